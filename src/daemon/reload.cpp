#include "daemon/reload.hpp"

#include "daemon/options.hpp"

#include <iterator>

namespace opsd::daemon {
namespace {

/// Takes renewed certificates into use, whatever the configuration is like.
Task<> renew_certificates(http::Server& server, WorkerThread& files, config::Mistakes& mistakes)
{
    auto read = [listeners = server.tls_listeners()] { return http::read_certificates(listeners); };
    const auto certificates = co_await files.run(std::move(read));
    if (certificates)
        server.use_certificates(*certificates);
    else
        mistakes.push_back({{}, "http.listen", certificates.error().message});
}

}  // namespace

Task<std::expected<Plan, config::Mistakes>> read_plan(DaemonOptions options, WorkerThread& files)
{
    auto read = [sources = options.sources]() -> Result<std::expected<Plan, config::Mistakes>> {
        auto root = config::load(sources, all_sections());
        return root ? make_plan(std::move(*root)) : std::unexpected{std::move(root).error()};
    };
    auto plan = co_await files.run(std::move(read));
    if (!plan) {
        config::Mistakes unread;
        unread.push_back({{}, "", plan.error().message});
        co_return std::unexpected{std::move(unread)};
    }
    if (*plan) (*plan)->auth.credentials_directory = options.paths.credentials;
    co_return std::move(*plan);
}

Task<Reloaded> reload(DaemonOptions options, Running running)
{
    config::Mistakes mistakes;
    co_await renew_certificates(running.server, running.files, mistakes);
    auto plan = co_await read_plan(std::move(options), running.files);
    if (!plan) {
        std::ranges::move(plan.error(), std::back_inserter(mistakes));
        co_return std::unexpected{std::move(mistakes)};
    }
    auto read = [wanted = plan->auth] { return http::read_auth_material(wanted); };
    auto material = co_await running.files.run(std::move(read));
    if (!material) mistakes.push_back({{}, "auth", material.error().message});
    auto changes = running.supervisor.prepare(plan->root, mistakes);
    if (!mistakes.empty()) co_return std::unexpected{std::move(mistakes)};
    // From here on nothing can be refused.
    running.access.use(std::move(*material));
    co_await running.supervisor.replace(std::move(changes));
    co_await running.access.read_tokens(first_answer);
    co_return std::move(*plan);
}

}  // namespace opsd::daemon
