#include "daemon/access.hpp"

#include <algorithm>
#include <iterator>

namespace opsd::daemon {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 1'000ms;
constexpr auto longest_pause = 30'000ms;

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
  : executor_{executor}
  , clock_{clock}
  , log_{log}
  , tokens_{std::make_shared<http::TokenStore>(state_directory + "/auth.json", clock)}
  , authenticator_{std::move(material), *tokens_, clock}
  , audit_{executor, audit_options(state_directory), clock, metrics, log.named("audit")}
  , answered_{executor, never}
  , auditing_{make_group("the audit log")}
{
    auditing_->spawn("audit", audit_.run());
}

std::unique_ptr<TaskGroup> AccessControl::make_group(std::string name)
{
    return std::make_unique<TaskGroup>(
        executor_, [log = log_, name = std::move(name)](std::string_view, std::exception_ptr e) {
            log.error("{} failed: {}", name, describe(e).what);
        });
}

Task<> AccessControl::read_tokens(std::chrono::milliseconds limit)
{
    if (reading_) {
        reading_->cancel();
        co_await reading_->join();
    }
    reading_ = make_group("reading tokens");
    reading_->spawn("tokens", keep_reading());
    co_await clock_.wait_for(answered_, limit);
}

Task<> AccessControl::keep_reading()
{
    bool refused = false;
    for (auto pause = first_pause;; pause = std::min(pause * 2, longest_pause)) {
        const auto read = co_await tokens_->reload();
        answered_.cancel();
        if (read && refused) log_.info("tokens and users are read now");
        if (!read && !refused) log_.error("every token and user is refused: {}", read.error().message);
        refused = !read;
        if (read || !read.error().retryable()) co_return;
        co_await clock_.sleep_for(pause);
    }
}

Task<> AccessControl::stop()
{
    audit_.close();
    if (reading_) {
        reading_->cancel();
        co_await reading_->join();
    }
    co_await auditing_->join();
    tokens_->retire(tokens_);
}

std::vector<std::string> AccessControl::running() const
{
    auto names = auditing_->names();
    if (reading_) std::ranges::copy(reading_->names(), std::back_inserter(names));
    return names;
}

std::vector<http::Route> access_route_table()
{
    const SystemClock clock;
    http::TokenStore tokens{"/nonexistent/auth.json", clock};
    http::DefaultAuthenticator authenticator{{}, tokens, clock};
    return http::auth_routes(tokens, authenticator, clock);
}

}  // namespace opsd::daemon
