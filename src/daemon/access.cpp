#include "daemon/access.hpp"

namespace opsd::daemon {
namespace {

http::AuditOptions audit_options(const std::string& state_directory)
{
    http::AuditOptions options;
    options.path = state_directory + "/audit.log";
    return options;
}

}  // namespace

AccessControl::AccessControl(Executor executor, http::AuthMaterial material,
                             const std::string& state_directory, Clock& clock, telemetry::Registry& metrics,
                             const Log& log)
  : clock_{clock}
  , tokens_{state_directory + "/auth.json", clock}
  , authenticator_{std::move(material), tokens_, clock}
  , audit_{executor, audit_options(state_directory), clock, metrics, log.named("audit")}
  , tasks_{executor, [log](std::string_view, std::exception_ptr e) {
               log.error("the audit log failed: {}", describe(e).what);
           }}
{
    const auto loaded = tokens_.load();
    if (!loaded) log.error("every token and user is refused: {}", loaded.error().message);
    tasks_.spawn("audit", audit_.run());
}

Task<> AccessControl::stop()
{
    audit_.close();
    co_await tasks_.join();
}

std::vector<http::Route> access_route_table()
{
    const SystemClock clock;
    http::TokenStore tokens{"/nonexistent/auth.json", clock};
    http::DefaultAuthenticator authenticator{{}, tokens, clock};
    return http::auth_routes(tokens, authenticator, clock);
}

}  // namespace opsd::daemon
