#include "modules/health/module.hpp"

#include "modules/health/directories.hpp"
#include "modules/health/metrics.hpp"
#include "modules/health/routes.hpp"
#include "opsd/worker.hpp"

#include <fmt/format.h>

namespace opsd::health {

using namespace std::chrono_literals;

namespace {

constexpr Duration load_retry = 10s;
constexpr Duration end_deadline = 3s;
constexpr Duration longest_wait = 50ms;

/// Files are looked at on a thread of their own: a hung disk must not hold the loop.
Task<Result<explain::Answers>> look_apart(std::shared_ptr<WorkerThread> looker, explain::Questions questions)
{
    auto job = [questions = std::move(questions)]() -> Result<explain::Answers> {
        return explain::look(questions, explain::Places{});
    };
    auto answers = co_await looker->run(std::move(job));
    co_return answers;
}

/// The real ones.
Outside real_outside(const HealthOptions& options, Services& services)
{
    systemd::ConnectOptions connect;
    connect.address = services.paths.system_bus;
    connect.allow_private_socket = options.systemd.private_socket && connect.address.empty();
    connect.call_timeout = options.systemd.call_timeout;
    connect.window = static_cast<std::size_t>(options.systemd.window);
    Outside outside;
    outside.connect = [executor = services.executor, connect] { return systemd::connect(executor, connect); };
    outside.read_wants = [units = services.paths.systemd_units, targets = options.targets] {
        return read_wants(units, targets);
    };
    auto journal = std::make_shared<systemd::JournalReader>(services.paths.journal);
    outside.read_journal = [journal](systemd::JournalQuery query) {
        return journal->lines_of(std::move(query));
    };
    outside.boot_id = boot_id();
    const auto looker =
        std::make_shared<RetiringWorker>("explain", static_cast<std::size_t>(options.explain.concurrent));
    outside.look = [looker](explain::Questions questions) {
        return look_apart(looker, std::move(questions));
    };
    return outside;
}

Result<std::unique_ptr<Module>> create(const config::Value* section, Services& services)
{
    config::Mistakes mistakes;
    auto options = schema().parse(section, "health", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    const auto valid = validate(options);
    if (!valid) return fail(valid.error());
    auto outside = real_outside(options, services);
    return std::make_unique<HealthModule>(std::move(options), services, std::move(outside));
}

/// The first answer waits this long for the store.
Task<> open_after(Clock& clock, Publisher& publisher, Duration limit)
{
    co_await clock.sleep_for(limit);
    publisher.open();
}

Task<> say_started(Core& core)
{
    co_await core.publisher.shown();
    core.troubles.started();
}

Task<> end_within(History& history, Duration limit)
{
    // The real clock: this is the end of the daemon's patience, not logic.
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, limit};
    co_await first_of(history.end(), wait_event(timer));
}

/// Nobody follows systemd until the module is started again: what is shown is last known, not confirmed.
void show_failure(Core& core, std::string_view why)
{
    auto& cell = core.services.board.health;
    NodeHealth node = cell.get() ? cell.get()->value : NodeHealth{};
    node.systemd_readable = false;
    node.health = Health::unknown;
    node.reason = fmt::format("the health module failed: {}", why);
    cell.publish(std::move(node), core.services.clock.now());
}

}  // namespace

HealthModule::HealthModule(HealthOptions options, Services& services, Outside outside)
  : executor_{services.executor}
  , core_{std::make_shared<Core>(std::move(options), services, std::move(outside))}
{}

std::vector<http::Route> HealthModule::routes() { return routes_of(core_); }

/// Brings back what the store knows. The states do not wait for it; without it the history begins anew.
Task<> HealthModule::remember()
{
    auto& core = *core_;
    for (bool first = true;; first = false) {
        auto loaded = co_await core.history.load();
        if (loaded) {
            core.troubles.set("store", "");
            const auto now = core.services.clock.now();
            const auto monotonic = core.services.clock.monotonic();
            for (auto& [unit, ack] : loaded->acknowledgements) {
                const auto left = ack.until - now;
                if (left.count() > 0) core.tracker.acknowledge(unit, std::move(ack), monotonic + left);
            }
            if (first)
                core.tracker.remember(std::move(loaded->known), core.boot_id);
            else
                core.tracker.remember_restarts(std::move(loaded->known));
            core.publisher.made(core.history.last_id());
            core.publisher.open();
            core.publisher.wake();
            co_return;
        }
        core.troubles.set("store", fmt::format("the history is incomplete: {}", loaded.error().message));
        if (first) {
            core.tracker.remember({}, core.boot_id);
            core.publisher.open();
        }
        co_await core.services.clock.sleep_for(load_retry);
    }
}

Task<> HealthModule::run()
{
    auto& core = *core_;
    const auto metrics =
        core.services.metrics.collect([core = core_](telemetry::Page& page) { write_metrics(*core, page); });
    std::exception_ptr failure;
    asio::steady_timer failed{executor_, never};
    const auto on_failure = [&failure, &failed](std::string_view, std::exception_ptr e) {
        if (!failure) failure = std::move(e);
        failed.expires_at(asio::steady_timer::time_point::min());
    };
    TaskGroup group{executor_, on_failure};
    group.spawn("history load", remember());
    group.spawn("history wait", open_after(core.services.clock, core.publisher, longest_wait));
    group.spawn("publisher", core.publisher.run());
    group.spawn("first version", say_started(core));
    group.spawn("source", core.source.run());
    group.spawn("evidence", core.evidence.run());
    group.spawn("history", core.history.run());
    group.spawn("explain", core.explainer.run());
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
    if (failure) show_failure(core, describe(failure).what);
    core.take(core.tracker.last_words({core.services.clock.monotonic(), core.services.clock.now()}));
    co_await end_within(core.history, end_deadline);
    std::rethrow_exception(failure ? failure : ended);
}

CatalogEntry catalog_entry()
{
    return {"health", "Health of this node's units", config::AnySchema{schema()}, create};
}

}  // namespace opsd::health
