#pragma once
// Who may call, wired: tokens and users in auth.json, the authenticator over them, the audit log beside them.

#include "http/audit.hpp"
#include "http/auth_default.hpp"
#include "http/auth_options.hpp"
#include "http/auth_routes.hpp"
#include "http/tokens.hpp"
#include "opsd/http.hpp"
#include "opsd/task_group.hpp"

#include <memory>
#include <string>
#include <vector>

namespace opsd::daemon {

class AccessControl {
public:
    /// `material` was read on a thread; auth.json is read here (blocks: for the start). A damaged auth.json
    /// does not stop the daemon: every credential is refused and damage() says why.
    AccessControl(Executor executor, http::AuthMaterial material, const std::string& state_directory,
                  Clock& clock, telemetry::Registry& metrics, const Log& log);
    AccessControl(const AccessControl&) = delete;
    AccessControl& operator=(const AccessControl&) = delete;

    [[nodiscard]] http::Authenticator& authenticator() noexcept { return authenticator_; }
    [[nodiscard]] http::AuditSink& audit() noexcept { return audit_; }
    [[nodiscard]] std::vector<http::Route> routes()
    {
        return http::auth_routes(tokens_, authenticator_, clock_);
    }
    [[nodiscard]] std::string damage() const { return tokens_.damage(); }

    /// Reads auth.json, keys and groups again; on an error the old ones stay in force.
    Task<Result<>> reload(http::AuthOptions options) { return authenticator_.reload(std::move(options)); }

    /// Writes what the audit log still holds and ends. Once, before destruction.
    Task<> stop();

private:
    Clock& clock_;
    http::TokenStore tokens_;
    http::DefaultAuthenticator authenticator_;
    http::AuditLog audit_;
    TaskGroup tasks_;
};

/// The rows of auth routes for the generated page; their handlers are not to be called.
[[nodiscard]] std::vector<http::Route> access_route_table();

}  // namespace opsd::daemon
