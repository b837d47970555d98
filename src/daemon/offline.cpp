#include "daemon/offline.hpp"

#include "daemon/access.hpp"
#include "daemon/catalog.hpp"
#include "daemon/listening.hpp"
#include "daemon/plan.hpp"
#include "daemon/self.hpp"
#include "daemon/supervisor.hpp"
#include "http/auth_default.hpp"
#include "http/router.hpp"
#include "http/server.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <memory>
#include <string>

namespace opsd::daemon {
namespace {

/// Stands where a store is asked for and none is open: create() does no I/O, so nobody calls it.
class ClosedStore final : public Store {
public:
    Task<Result<>> migrate(std::string, std::vector<std::string>) override { co_return closed(); }
    Task<Result<std::vector<Row>>> read(Statement, std::size_t) override { co_return closed(); }
    Task<Result<Written>> write(std::vector<Statement>) override { co_return closed(); }

private:
    static std::unexpected<Error> closed()
    {
        return fail(Errc::unavailable, "cannot use the store: it is not open");
    }
};

/// Everything a module is created with, none of it running.
struct Idle {
    asio::io_context io{1};
    SystemClock clock;
    Board board{io.get_executor()};
    Feeds feeds{io.get_executor()};
    ClosedStore store;
    telemetry::Registry metrics;
    Paths paths;
    Log log{make_stderr_sink(Level::error, false), "config"};
    Supervisor modules{{io.get_executor(), clock, board, feeds, store, metrics, paths, log}, catalog()};
};

}  // namespace

std::expected<config::Value, config::Mistakes> check_configuration(const config::Sources& sources)
{
    auto root = config::load(sources, all_sections());
    if (!root) return root;
    auto plan = make_plan(std::move(*root));
    if (!plan) return std::unexpected{std::move(plan).error()};
    config::Mistakes mistakes;
    Idle idle;
    idle.modules.create(plan->root, mistakes);
    if (!mistakes.empty()) return std::unexpected{std::move(mistakes)};
    return std::move(plan->root);
}

config::Mistakes check_files(const config::Value& root, const std::string& credentials_directory,
                             std::vector<std::string>& unchecked)
{
    auto plan = make_plan(root);
    if (!plan) return std::move(plan).error();
    config::Mistakes mistakes;
    const auto certificates = http::read_certificates(tls_listeners(plan->http));
    if (!certificates) mistakes.push_back({{}, "http.listen", certificates.error().message});
    auto& token = plan->auth.cluster_token;
    if (token.from == config::Secret::From::credential && credentials_directory.empty()) {
        unchecked.push_back(fmt::format("the credential {} of auth.cluster_token: systemd passes it to "
                                        "opsd.service only",
                                        token.name));
        token = {};
    }
    plan->auth.credentials_directory = credentials_directory;
    const auto material = http::read_auth_material(std::move(plan->auth));
    if (!material) mistakes.push_back({{}, "auth", material.error().message});
    return mistakes;
}

std::string api_page()
{
    config::Mistakes ignored;
    Idle idle;
    idle.modules.create(config::Value::map(), ignored);
    const ConfigState state;
    const std::shared_ptr<const http::Router> none;
    auto routes = self_routes({idle.board, idle.clock, idle.metrics, state, none, {}});
    for (auto& route : access_route_table())
        routes.push_back(std::move(route));
    for (auto& route : idle.modules.routes())
        routes.push_back(std::move(route));
    const auto router = http::Router::build(std::move(routes));
    return router ? (*router)->markdown() : router.error().message;
}

}  // namespace opsd::daemon
