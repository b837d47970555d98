#pragma once
// Who may call, wired: tokens and users in auth.json, the authenticator over them, the audit log beside them.

#include "http/audit.hpp"
#include "http/auth_default.hpp"
#include "http/auth_options.hpp"
#include "http/auth_routes.hpp"
#include "http/tokens.hpp"
#include "opsd/http.hpp"
#include "opsd/task_group.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace opsd::daemon {

class AccessControl {
public:
    /// Tokens and users are refused until read_tokens().
    AccessControl(Executor executor, http::AuthMaterial material, const std::string& state_directory,
                  Clock& clock, telemetry::Registry& metrics, const Log& log);
    AccessControl(const AccessControl&) = delete;
    AccessControl& operator=(const AccessControl&) = delete;

    [[nodiscard]] http::Authenticator& authenticator() noexcept { return authenticator_; }
    [[nodiscard]] http::AuditSink& audit() noexcept { return audit_; }
    [[nodiscard]] std::vector<http::Route> routes()
    {
        return http::auth_routes(*tokens_, authenticator_, clock_);
    }
    /// Why every token and user is refused; "" when all is well.
    [[nodiscard]] std::string damage() const { return tokens_->damage(); }

    /// Puts other options, keys and groups in force.
    void use(http::AuthMaterial material) { authenticator_.use(std::move(material)); }
    /// Reads auth.json, and returns after `limit` at the latest: a disk that hangs holds nobody up. What
    /// fails for a reason that may pass (a full disk) is tried again after 1 s, 2 s, ... 30 s; a damaged file
    /// only when this is called again. Neither stops the daemon: every token is refused and damage() says
    /// why.
    Task<> read_tokens(std::chrono::milliseconds limit);

    /// Writes what the audit log still holds and ends. Once, before destruction.
    Task<> stop();
    /// What it still does, which stop() waits for.
    [[nodiscard]] std::vector<std::string> running() const;

private:
    std::unique_ptr<TaskGroup> make_group(std::string name);
    Task<> keep_reading();

    Executor executor_;
    Clock& clock_;
    Log log_;
    std::shared_ptr<http::TokenStore> tokens_;
    http::DefaultAuthenticator authenticator_;
    http::AuditLog audit_;
    asio::steady_timer answered_;  // auth.json was read, well or not
    std::unique_ptr<TaskGroup> reading_;
    std::unique_ptr<TaskGroup> auditing_;
};

/// The rows of auth routes for the generated page; their handlers are not to be called.
[[nodiscard]] std::vector<http::Route> access_route_table();

}  // namespace opsd::daemon
