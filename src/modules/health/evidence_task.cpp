#include "modules/health/evidence_task.hpp"

#include "core/first_of.hpp"

#include <fmt/format.h>

namespace opsd::health {
namespace {

/// The reader itself stops after 2 s of reading, and explanations may be before us.
constexpr Duration reading_deadline = std::chrono::seconds{10};

}  // namespace

EvidenceTask::EvidenceTask(Executor executor, Clock& clock, Tracker& tracker, Publisher& publisher,
                           const JournalOptions& options, Read read, Report report)
  : clock_{clock}
  , tracker_{tracker}
  , publisher_{publisher}
  , options_{options}
  , read_{std::move(read)}
  , report_{std::move(report)}
  , plan_{options.settle}
  , bell_{executor}
{}

void EvidenceTask::want(const EvidenceWish& wish)
{
    if (plan_.want(wish, clock_.monotonic())) bell_.ring();
}

void EvidenceTask::forget(const std::string& unit) { plan_.forget(unit); }

Task<> EvidenceTask::run()
{
    for (;;) {
        const auto job = plan_.next(clock_.monotonic());
        if (job) {
            co_await read_one(*job);
            continue;
        }
        co_await bell_.wait(clock_, plan_.next_due());
        bell_.reset();
    }
}

/// A reading that hangs in one call, as on a disk that does not answer, is left behind.
Task<EvidenceTask::Lines> EvidenceTask::give_up()
{
    co_await clock_.sleep_for(reading_deadline);
    co_return fail(Errc::timeout,
                   fmt::format("cannot read the journal within {}; look whether its disk answers",
                               human_duration(reading_deadline)));
}

Task<> EvidenceTask::read_one(EvidencePlan::Job job)
{
    systemd::JournalQuery query;
    query.unit = job.unit;
    query.invocation_id = job.invocation_id;
    query.main = tracker_.main_process(job.unit, job.invocation_id);
    query.max_lines = static_cast<std::size_t>(options_.lines);
    query.max_bytes = options_.max_bytes.count;
    ++reads_;
    auto lines = co_await first_of(read_(std::move(query)), give_up());
    if (lines) {
        report_("");
        tracker_.journal(job.unit, job.key, journal_text(*lines), job.last);
    } else {
        ++failures_;
        report_(lines.error().message);
        tracker_.journal(job.unit, job.key, fmt::format("journal: {}\n", lines.error().message), job.last);
    }
    plan_.done(job, clock_.monotonic(), lines.has_value());
    publisher_.wake();
}

}  // namespace opsd::health
