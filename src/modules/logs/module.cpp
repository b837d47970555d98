#include "modules/logs/module.hpp"

#include "core/first_of.hpp"
#include "modules/logs/metrics.hpp"
#include "modules/logs/render.hpp"
#include "modules/logs/routes.hpp"
#include "modules/logs/task_service.hpp"

namespace opsd::logs {
namespace {

/// The newest entry, so that a journal that cannot be read is known before somebody asks for it.
Task<> try_journal(Core& core)
{
    systemd::JournalRange range;
    range.from = systemd::From::tail;
    range.skip = -1;
    range.limit = 1;
    const auto next = core.outside.read(std::move(range), make_writer({}));
    const systemd::SliceLimits limits;
    const auto slice = co_await next(limits);
    core.note(slice ? nullptr : &slice.error());
}

}  // namespace

LogsModule::LogsModule(LogsOptions options, Services& services, Outside outside)
  : core_{std::make_shared<Core>(std::move(options), services, std::move(outside))}
{}

std::vector<http::Route> LogsModule::routes() { return routes_of(core_); }

Task<> LogsModule::run()
{
    const auto metrics = core_->services.metrics.collect(
        [core = core_](telemetry::Page& page) { write_metrics(*core, page); });
    struct Finish {
        explicit Finish(Core& whose) : core{whose} {}
        ~Finish() { core.finish(); }
        Finish(const Finish&) = delete;
        Finish& operator=(const Finish&) = delete;
        Core& core;
    };
    const Finish finish{*core_};
    core_->services.status.running();
    co_await try_journal(*core_);
    co_await first_of(core_->outside.run(), follow_agent(*core_));
}

}  // namespace opsd::logs
