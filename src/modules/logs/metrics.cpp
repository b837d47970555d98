#include "modules/logs/metrics.hpp"

namespace opsd::logs {
namespace {

using telemetry::Kind;
using telemetry::Page;

template <class Number>
void single(Page& page, std::string_view name, Kind kind, std::string_view help, Number value)
{
    page.family(name, kind, help);
    page.sample({}, static_cast<double>(value));
}

}  // namespace

void write_metrics(const Core& core, Page& page)
{
    const auto& c = core.counters;
    single(page, "opsd_logs_readings", Kind::gauge,
           "Answers being read from the journal, logs.readings at most.", core.readings.taken());
    single(page, "opsd_logs_readings_refused_total", Kind::counter,
           "Questions refused because logs.readings answers were being read.", core.readings.refused());
    single(page, "opsd_logs_followers", Kind::gauge,
           "Clients that follow the journal, logs.follow.clients at most.", core.followers.taken());
    single(page, "opsd_logs_followers_refused_total", Kind::counter,
           "Clients refused because logs.follow.clients were following.", core.followers.refused());
    single(page, "opsd_logs_follow_handles", Kind::gauge,
           "Different filters and formats followed, logs.follow.handles at most.", core.outside.handles());
    single(page, "opsd_logs_waiting_slices", Kind::gauge, "Slices that wait for a thread (logs.threads).",
           core.outside.waiting());
    single(page, "opsd_logs_entries_total", Kind::counter, "Entries given to clients.", c.entries);
    single(page, "opsd_logs_bytes_total", Kind::counter, "Text given to clients, before compression.",
           c.bytes);
    single(page, "opsd_logs_slices_total", Kind::counter, "Slices read from the journal.", c.slices);
    single(page, "opsd_logs_failed_readings_total", Kind::counter, "Slices that could not be read.",
           c.failed);
    single(page, "opsd_logs_lost_entries_total", Kind::counter,
           "Entries that were deleted before a client could read them, as far as their number is known.",
           c.lost);
    single(page, "opsd_logs_gaps_total", Kind::counter, "Places where entries were missing.", c.gaps);
    single(page, "opsd_logs_damaged_entries_total", Kind::counter,
           "Entries that could not be read and were passed over.", c.damaged);
    single(
        page, "opsd_logs_slow_followers_total", Kind::counter,
        "Times a client did not keep up (logs.follow.queue) and read on from the journal; it lost nothing.",
        c.behind);
    single(page, "opsd_logs_cut_answers_total", Kind::counter,
           "Answers cut off because they were longer than logs.max_answer.", c.cut);
    single(page, "opsd_logs_forbidden_total", Kind::counter, "Questions refused by logs.allow.", c.forbidden);
}

}  // namespace opsd::logs
