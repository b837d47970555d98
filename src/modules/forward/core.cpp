#include "modules/forward/core.hpp"

#include "core/first_of.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::forward {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds watch_interval = 5s;
constexpr std::size_t most_jobs = 1'024;  // of small writes, waiting

/// The cursor, and nothing else.
class CursorWriter final : public systemd::EntryWriter {
public:
    bool write(const systemd::JournalEntry& entry, std::string& out) override
    {
        out = entry.cursor;
        return true;
    }
};

bool all_ended(const std::vector<std::unique_ptr<Output>>& outputs)
{
    return std::ranges::none_of(outputs, [](const auto& output) { return output->running(); });
}

}  // namespace

Core::Core(ForwardOptions settings, Services& all, Outside around)
  : options{std::move(settings)}
  , services{all}
  , outside{std::move(around)}
  , disk_{"opsd-forward", most_jobs}
  , started_{all.clock.now()}
{
    auto make_sink = [this](const OutputOptions& output) {
        const SinkServices sink{services.executor, services.clock, disk_, services.paths.credentials};
        return outside.make_sink(output, sink);
    };
    auto seed = outside.seed;
    for (const auto& output : options.outputs) {
        surroundings_.push_back(std::make_unique<Surroundings>(Surroundings{
            services, outside.journal, options.tasks, outside.tasks, make_sink, [this] { return labels(); },
            disk_, services.paths.state + "/forward", outside.own_unit, seed++}));
        outputs_.push_back(std::make_unique<Output>(output, *surroundings_.back()));
    }
}

/// As they are now: a node may learn late what it is.
pipeline::Labels Core::labels() const
{
    const auto& identity = services.board.identity.get();
    pipeline::Labels labels;
    const auto add = [&labels](const char* name, const std::string& value) {
        if (!value.empty()) labels.emplace_back(name, value);
    };
    if (identity) {
        add("node", identity->value.hostname);
        add("role", identity->value.role);
    }
    add("cluster", options.cluster);
    return labels;
}

Output* Core::find(std::string_view name) const
{
    const auto named = [name](const auto& output) { return output->options().name == name; };
    const auto found = std::ranges::find_if(outputs_, named);
    return found == outputs_.end() ? nullptr : found->get();
}

Lag Core::lag(const OutputStatus& status) const { return lag_of(status, end_, services.clock.now()); }

bool Core::anybody_behind() const
{
    return std::ranges::any_of(outputs_, [](const auto& output) {
        const auto status = output->status();
        if (status.tasks) return false;  // they have no end that all share
        return !status.at_end || status.delivery.state != pipeline::DeliveryStatus::State::running;
    });
}

Task<> Core::find_end()
{
    systemd::JournalRange range;
    range.from = systemd::From::tail;
    range.skip = -1;
    range.limit = 1;
    const auto read = outside.journal.read(std::move(range), std::make_unique<CursorWriter>());
    const systemd::SliceLimits limits;
    auto slice = co_await read(limits);
    if (slice && !slice->text.empty()) end_ = std::move(slice->text);
}

Task<> Core::watch()
{
    for (;;) {
        report();
        if (anybody_behind()) co_await find_end();
        co_await services.clock.sleep_for(watch_interval);
    }
}

void Core::report()
{
    std::string all;
    for (const auto& output : outputs_) {
        const auto trouble =
            trouble_of(output->options().name, output->status(), started_, services.clock.now());
        if (!trouble.empty()) all += (all.empty() ? "" : "; ") + trouble;
    }
    if (all.empty())
        services.status.running();
    else
        services.status.degraded(std::move(all));
}

Task<> Core::finish(std::chrono::milliseconds limit)
{
    for (const auto& output : outputs_)
        output->stop();
    // The real clock: this is the end of the daemon's patience, not logic.
    const auto executor = co_await asio::this_coro::executor;
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!all_ended(outputs_) && std::chrono::steady_clock::now() < until) {
        asio::steady_timer timer{executor, 10ms};
        co_await wait_event(timer);
    }
}

}  // namespace opsd::forward
