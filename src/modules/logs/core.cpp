#include "modules/logs/core.hpp"

#include "core/first_of.hpp"

#include <utility>

namespace opsd::logs {
namespace {

/// Slices that may wait for the thread that packs: one of each reading.
std::size_t packer_queue(const LogsOptions& options) { return static_cast<std::size_t>(options.readings); }

}  // namespace

Core::Core(LogsOptions settings, Services& all, Outside around)
  : options{std::move(settings)}
  , services{all}
  , outside{std::move(around)}
  , readings{options.readings, "logs.readings", "read the journal", "answers from it"}
  , followers{options.follow.clients, "logs.follow.clients", "follow the journal", "followers"}
  , finds{options.tasks.finds, "logs.tasks.finds", "find the task", "such searches"}
  , task_readings{options.tasks.readings, "logs.tasks.readings", "read files of tasks", "answers from them"}
  , streams{options.nodes.streams, "logs.nodes.streams", "ask other nodes", "answers of them"}
  , packer{"opsd-logs-gzip", packer_queue(options)}
  , tasks{all.executor, all.clock, outside.elsewhere.mesos_state,
          mesos::LookupOptions{.timeout = options.tasks.find_timeout, .keep = options.tasks.keep}}
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
    if (failure == nullptr || trouble) this->trouble("journal", trouble ? failure->message : std::string{});
}

void Core::trouble(const std::string& part, std::string sentence)
{
    if (finished_) return;
    const auto known = troubles_.find(part);
    if (sentence == (known == troubles_.end() ? std::string_view{} : std::string_view{known->second})) return;
    if (sentence.empty())
        troubles_.erase(known);
    else
        troubles_.insert_or_assign(part, std::move(sentence));
    report();
}

void Core::report()
{
    std::string all;
    for (const auto& [part, sentence] : troubles_)
        all.append(all.empty() ? "" : "; ").append(sentence);
    if (all.empty())
        services.status.running();
    else
        services.status.degraded(std::move(all));
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

Task<> Core::until_over(http::StreamWriter& writer, bool& over)
{
    co_await first_of(writer.closed(), until_finished());
    over = true;
}

Task<> Core::until_finished()
{
    while (!finished_)
        co_await wait_event(finish_event_);
}

}  // namespace opsd::logs
