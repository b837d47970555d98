#include "modules/logs/core.hpp"

namespace opsd::logs {
namespace {

/// Slices that may wait for the thread that packs: one of each reading.
std::size_t packer_queue(const LogsOptions& options) { return static_cast<std::size_t>(options.readings); }

}  // namespace

Core::Core(LogsOptions settings, Services& all, Outside around)
  : options{std::move(settings)}
  , services{all}
  , outside{std::move(around)}
  , readings{options.readings, "logs.readings"}
  , followers{options.follow.clients, "logs.follow.clients"}
  , packer{"opsd-logs-gzip", packer_queue(options)}
  , finish_event_{all.executor, never}
{}

QueryContext Core::context() const
{
    return {.now = services.clock.now(),
            .boot_id = outside.boot_id,
            .max_entry = static_cast<std::size_t>(options.max_entry.count)};
}

void Core::note(const Error* failure)
{
    if (failure != nullptr) ++counters.failed;
    // Too far behind, or too many: that is said to whoever asked, and nothing is wrong with the module.
    const bool trouble = failure != nullptr
                         && (failure->code == Errc::denied || failure->code == Errc::not_found
                             || failure->code == Errc::internal);
    const auto sentence = trouble ? failure->message : std::string{};
    if ((failure != nullptr && !trouble) || sentence == trouble_ || finished_) return;
    trouble_ = sentence;
    if (trouble)
        services.status.degraded(sentence);
    else
        services.status.running();
}

void Core::count(const Result<systemd::JournalSlice>& slice)
{
    note(slice ? nullptr : &slice.error());
    if (!slice) return;
    ++counters.slices;
    counters.damaged += slice->damaged;
    if (!slice->loss) return;
    ++counters.gaps;
    counters.lost += slice->loss->entries.value_or(0);
}

void Core::count(std::uint64_t entries, std::size_t bytes)
{
    counters.entries += entries;
    counters.bytes += bytes;
}

void Core::finish()
{
    finished_ = true;
    finish_event_.cancel();
}

Task<> Core::until_finished()
{
    while (!finished_)
        co_await wait_event(finish_event_);
}

}  // namespace opsd::logs
