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

void write_task_metrics(const Core& core, Page& page)
{
    const auto& c = core.counters;
    single(page, "opsd_logs_task_readings", Kind::gauge,
           "Answers from files of tasks under way, logs.tasks.readings at most.", core.task_readings.taken());
    single(page, "opsd_logs_task_readings_refused_total", Kind::counter,
           "Questions refused because logs.tasks.readings answers were under way.",
           core.task_readings.refused());
    single(page, "opsd_logs_task_finds", Kind::gauge, "Tasks being looked for, logs.tasks.finds at most.",
           core.finds.taken());
    single(page, "opsd_logs_task_finds_refused_total", Kind::counter,
           "Questions refused because logs.tasks.finds tasks were looked for.", core.finds.refused());
    single(page, "opsd_logs_tasks_found_total", Kind::counter, "Tasks that were found.", c.found);
    single(page, "opsd_logs_tasks_not_found_total", Kind::counter,
           "Tasks that were not found, whatever the reason.", c.not_found);
    single(page, "opsd_logs_mesos_questions_total", Kind::counter,
           "Times the leading Mesos master was asked for its state.", core.tasks.fetches());
    single(page, "opsd_logs_mesos_state_bytes", Kind::gauge, "Size of the state that is kept.",
           core.tasks.held());
    single(page, "opsd_logs_task_bytes_total", Kind::counter, "Bytes of files of tasks given to clients.",
           c.sandbox_bytes);
}

void write_node_metrics(const Core& core, Page& page)
{
    const auto& c = core.counters;
    single(page, "opsd_logs_node_streams", Kind::gauge,
           "Answers of other nodes under way, logs.nodes.streams at most.", core.streams.taken());
    single(page, "opsd_logs_node_streams_refused_total", Kind::counter,
           "Questions refused because logs.nodes.streams answers were under way.", core.streams.refused());
    single(page, "opsd_logs_passed_on_total", Kind::counter, "Answers of other nodes that were passed on.",
           c.passed_on);
    single(page, "opsd_logs_unreached_total", Kind::counter,
           "Times another node did not answer, or not to the end.", c.unreached);
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
    write_task_metrics(core, page);
    write_node_metrics(core, page);
}

}  // namespace opsd::logs
