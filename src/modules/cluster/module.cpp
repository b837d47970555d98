#include "modules/cluster/module.hpp"

#include "core/first_of.hpp"
#include "io/systemd/machine.hpp"
#include "modules/cluster/metrics.hpp"
#include "modules/cluster/routes.hpp"
#include "modules/cluster/views.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <random>

namespace opsd::cluster {

using namespace std::chrono_literals;

namespace {

constexpr Duration load_retry = 10s;
constexpr Duration flush_deadline = 3s;

std::string random_instance()
{
    std::random_device random;
    return fmt::format("{:08x}{:08x}", random(), random());
}

/// An agent has the same configuration as a master, and watches nobody.
bool watches(const ClusterOptions& options, const Services& services)
{
    if (options.watch != "auto") return options.watch == "always";
    const auto& identity = services.board.identity.get();
    const auto role = identity ? identity->value.role : std::string{};
    return any_source(options.sources) && !role.starts_with("agent");
}

/// The real ones.
Outside real_outside(const ClusterOptions& options, Services& services)
{
    net::TlsClientOptions tls;
    tls.ca_file = options.tls.ca;
    tls.certificate_file = options.tls.certificate;
    tls.key_file = options.tls.key;
    net::ConnectionOptions connections;
    connections.idle_total = static_cast<std::size_t>(options.max_members);
    connections.dead_after = options.pull.stale_after * 4 / 5;
    auto client = std::make_shared<net::HttpClient>(services.executor, std::move(tls), connections);
    Outside outside;
    // The longest silence is the receiver's to know; a connection that is dead is noticed.
    outside.open = [client](net::ClientRequest request) {
        request.max_body = std::numeric_limits<std::size_t>::max();  // whoever reads it bounds it
        return client->open(std::move(request), std::chrono::milliseconds{0});
    };
    outside.send = [client](net::ClientRequest request) { return client->send(std::move(request)); };
    outside.node_id = systemd::public_machine_id;
    outside.instance = random_instance();
    outside.seed = std::random_device{}();
    return outside;
}

Result<std::unique_ptr<Module>> create(const config::Value* section, Services& services,
                                       std::shared_ptr<net::PeersPlace> place)
{
    config::Mistakes mistakes;
    auto options = schema().parse(section, "cluster", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    const auto valid = validate(options);
    if (!valid) return fail(valid.error());
    const bool watch = watches(options, services);
    auto outside = real_outside(options, services);
    auto core = std::make_shared<Core>(std::move(options), services, watch, std::move(outside));
    return std::make_unique<ClusterModule>(std::move(core), std::move(place));
}

Task<> flush_within(Archive& archive, Duration limit)
{
    // The real clock: this is the end of the daemon's patience, not logic.
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, limit};
    co_await first_of(archive.flush(), wait_event(timer));
}

ViewOptions view_options(const ClusterOptions& options)
{
    ViewOptions view;
    view.node_health_in_units = options.node_health_in_units;
    view.answers.bytes = static_cast<std::size_t>(options.max_answers.count);
    return view;
}

Actions actions_of(const std::shared_ptr<Core>& core)
{
    return {.refresh = [core] { return core->refresh(); },
            .forget = [core](std::string address) { return core->forget(std::move(address)); },
            .acknowledge =
                [core](std::string address, std::optional<Acknowledgement> ack) {
                    return core->acknowledge(std::move(address), std::move(ack));
                },
            .fetch = [core](std::shared_ptr<const Member> member,
                            std::string path) { return core->fetch(std::move(member), std::move(path)); }};
}

Task<Result<std::string>> state_of(std::shared_ptr<mesos::MesosMasters> masters, net::Deadline end,
                                   std::string authorization)
{
    co_return co_await masters->state_text(end, std::move(authorization));
}

net::Peers peers_of(const std::shared_ptr<Core>& core, std::shared_ptr<mesos::MesosMasters> masters)
{
    net::Peers peers;
    peers.open = [core](std::string address, net::ClientRequest request) {
        return core->open_at(std::move(address), std::move(request));
    };
    if (!masters) return peers;
    peers.mesos_state = [masters = std::move(masters)](net::Deadline end, std::string authorization) {
        return state_of(masters, end, std::move(authorization));
    };
    return peers;
}

SourceServices source_services(Core& core)
{
    const auto& services = core.services;
    return {.executor = services.executor,
            .clock = services.clock,
            .metrics = services.metrics,
            .log = services.log,
            .credentials_directory = services.paths.credentials};
}

}  // namespace

ClusterModule::ClusterModule(std::shared_ptr<Core> core, std::shared_ptr<net::PeersPlace> place)
  : core_{std::move(core)}
  , views_{std::make_shared<Views>(view_options(core_->options), core_->services, actions_of(core_))}
  , place_{std::move(place)}
{}

std::vector<http::Route> ClusterModule::routes()
{
    auto rows = routes_of(core_);
    std::ranges::move(view_routes(views_), std::back_inserter(rows));
    return rows;
}

/// What an earlier run kept: before a source names anybody, so that they have their last pictures.
Task<Result<>> ClusterModule::restore()
{
    auto& core = *core_;
    if (!restored_) {
        auto kept = co_await core.archive.load(core.table.pool());
        if (!kept) {
            core.trouble("store", fmt::format("earlier members are not known: {}", kept.error().message));
            co_return fail(std::move(kept).error());
        }
        core.restored(std::move(*kept));
        restored_ = true;
    }
    auto begun = co_await core.archive.begin();
    const auto why =
        begun ? std::string{} : fmt::format("the cluster is not kept: {}", begun.error().message);
    core.trouble("store", why);
    co_return begun;
}

Task<> ClusterModule::restore_later()
{
    for (;;) {
        co_await core_->services.clock.sleep_for(load_retry);
        auto done = co_await restore();
        if (done) co_return;
    }
}

Task<> ClusterModule::read_token()
{
    auto& core = *core_;
    if (core.options.token.from == config::Secret::From::none) co_return;
    RetiringWorker reader{"opsd-token", 1};
    for (;;) {
        auto job = [secret = core.options.token, place = core.services.paths.credentials] {
            return secret.read(place);
        };
        auto token = co_await reader.run(std::move(job));
        if (token) {
            core.trouble("token", "");
            core.reach.token = *token;
            core.followers.use_token(std::move(*token));
            co_return;
        }
        core.trouble("token", fmt::format("no member is asked: {}", token.error().message));
        co_await core.services.clock.sleep_for(load_retry);
    }
}

/// Members are watched also if the store cannot be read.
Task<> ClusterModule::watch(TaskGroup& group, MemberSources& sources)
{
    auto& core = *core_;
    auto restored = co_await restore();
    if (!restored) group.spawn("restore", restore_later());
    sources.start(group);
    co_await read_token();
    co_await core.followers.run();
}

Task<> ClusterModule::run()
{
    auto& core = *core_;
    const auto executor = core.services.executor;
    const auto metrics =
        core.services.metrics.collect([core = core_](telemetry::Page& page) { write_metrics(*core, page); });
    std::exception_ptr failure;
    asio::steady_timer failed{executor, never};
    const auto on_failure = [&failure, &failed](std::string_view, std::exception_ptr e) {
        if (!failure) failure = std::move(e);
        failed.expires_at(asio::steady_timer::time_point::min());
    };
    MemberSources sources{core.options.sources, source_services(core), core};
    core.table.expect(sources.names());
    std::optional<net::PeersPlace::Offer> offer;
    if (place_) offer.emplace(place_, peers_of(core_, sources.mesos()));
    TaskGroup group{executor, on_failure};
    group.spawn("self", core.self_loop());
    group.spawn("publish", core.publish_loop());
    if (core.watching) {
        group.spawn("archive", core.archive.run());
        group.spawn("own transitions", core.own_transitions_loop());
        group.spawn("tick", core.tick_loop());
        group.spawn("watch", watch(group, sources));
    }
    core.started();
    std::exception_ptr ended;
    try {
        co_await wait_event(failed);
    } catch (...) {
        ended = std::current_exception();
    }
    // From here on the cancellation is known: stop what was started, keep what is queued.
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    group.cancel();
    co_await group.join();
    if (core.watching) co_await flush_within(core.archive, flush_deadline);
    std::rethrow_exception(failure ? failure : ended);
}

CatalogEntry catalog_entry(std::shared_ptr<net::PeersPlace> place)
{
    auto make = [place = std::move(place)](const config::Value* section, Services& services) {
        return create(section, services, place);
    };
    return {"cluster", "All nodes of the cluster: who they are and how they are", config::AnySchema{schema()},
            std::move(make)};
}

}  // namespace opsd::cluster
