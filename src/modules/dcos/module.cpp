#include "modules/dcos/module.hpp"

#include "core/first_of.hpp"
#include "io/files/files.hpp"
#include "io/systemd/machine.hpp"
#include "modules/dcos/metrics.hpp"
#include "modules/dcos/routes.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace opsd::dcos {
namespace {

constexpr std::size_t longest_cluster_id = 256;

/// Thousands of agents must not ask the leader for their own peace of mind.
bool is_agent(const Core& core)
{
    const auto& identity = core.services.board.identity.get();
    return identity && identity->value.role.starts_with("agent");
}

Result<std::unique_ptr<Module>> create(const config::Value* section, Services& services)
{
    config::Mistakes mistakes;
    auto options = schema().parse(section, "dcos", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    Outside outside;
    outside.node_id = systemd::public_machine_id();
    auto core = std::make_shared<Core>(std::move(options), services, std::move(outside));
    return std::make_unique<DcosModule>(std::move(core));
}

Task<> news_of(Latest<mesos::KnownMasters>& masters, std::uint64_t seen)
{
    [[maybe_unused]] const auto news = co_await masters.next(seen);
}

std::string first_line(std::string_view text)
{
    text = text.substr(0, text.find_first_of("\r\n"));
    const bool plain =
        std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/'; });
    return plain ? std::string{text} : std::string{};
}

}  // namespace

std::vector<http::Route> DcosModule::routes()
{
    if (!core_->options.enabled) return {};
    std::vector<http::Route> all;
    for (auto rows : {setup_routes(core_), plugin_routes(core_), mesos_routes(core_), marathon_routes(core_),
                      name_routes(core_), absent_routes()})
        std::ranges::move(rows, std::back_inserter(all));
    return all;
}

Task<> DcosModule::run()
{
    auto& core = *core_;
    const auto metrics =
        core.services.metrics.collect([kept = core_](telemetry::Page& page) { write_metrics(*kept, page); });
    core.services.status.running();
    if (!core.options.enabled) {
        asio::steady_timer for_ever{core.services.executor, never};
        for (;;)
            co_await wait_event(for_ever);
    }
    co_await read_cluster_id();
    co_await watch();
}

/// DC/OS keeps it there. A node without the file has none, which is no fault.
Task<> DcosModule::read_cluster_id()
{
    auto& core = *core_;
    if (!core.options.metadata.cluster_id.empty()) co_return;
    auto job = [path = core.outside.cluster_id_file] { return files::read_file(path, longest_cluster_id); };
    const auto text = co_await core.worker.run(std::move(job));
    if (text)
        core.cluster_id = first_line(*text);
    else if (text.error().code != Errc::not_found)
        core.services.log.warning("the cluster's id is this machine's: {}", text.error().message);
}

/// Takes over what the directory says, and looks whether Mesos answers.
Task<> DcosModule::watch()
{
    auto& core = *core_;
    auto& masters = mesos::MasterDirectory::of(core.services.executor).masters();
    std::uint64_t seen = 0;
    for (;;) {
        if (masters.version() != seen) {
            seen = masters.version();
            core.mesos.use(masters.get()->value);
        }
        if (core.mesos.configured() && !is_agent(core)) co_await look();
        if (!core.mesos.configured()) {
            core.reachable.reset();
            core.services.status.running();
        }
        auto pause = core.services.clock.sleep_for(core.options.mesos.probe_interval);
        co_await first_of(std::move(pause), news_of(masters, seen));
    }
}

Task<> DcosModule::look()
{
    auto& core = *core_;
    const auto leader = co_await core.mesos.leader(Duration{0});
    core.reachable = leader.has_value();
    if (leader)
        core.services.status.running();
    else
        core.services.status.degraded(leader.error().message);
}

CatalogEntry catalog_entry()
{
    return {"dcos", "What the dcos command line asks", config::AnySchema{schema()}, create};
}

}  // namespace opsd::dcos
