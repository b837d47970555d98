#include "modules/forward/module.hpp"

#include "modules/forward/metrics.hpp"
#include "modules/forward/routes.hpp"
#include "opsd/task_group.hpp"

namespace opsd::forward {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds stop_patience = 3s;

}  // namespace

ForwardModule::ForwardModule(ForwardOptions options, Services& services, Outside outside)
  : core_{std::make_shared<Core>(std::move(options), services, std::move(outside))}
{}

std::vector<http::Route> ForwardModule::routes() { return routes_of(core_); }

Task<> ForwardModule::run()
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
    TaskGroup group{executor, on_failure};
    core.services.status.running();
    if (!core.outputs().empty()) {
        group.spawn("follower", core.outside.run());
        for (const auto& output : core.outputs())
            group.spawn(output->options().name, output->run());
        group.spawn("watch", core.watch());
        group.spawn("leftovers", core.tell_leftovers());
    }
    std::exception_ptr ended;
    try {
        co_await wait_event(failed);
    } catch (...) {
        ended = std::current_exception();
    }
    // From here on the cancellation is known: deliver what is in flight, keep the positions.
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    if (!failure) co_await core.finish(stop_patience);
    group.cancel();
    co_await group.join();
    std::rethrow_exception(failure ? failure : ended);
}

}  // namespace opsd::forward
