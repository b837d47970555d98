#include "modules/forward/metrics.hpp"

#include "modules/forward/place.hpp"

#include <optional>
#include <vector>

namespace opsd::forward {
namespace {

using telemetry::Kind;
using telemetry::Page;

struct Row {
    telemetry::Labels labels;
    const OutputOptions* options = nullptr;
    OutputStatus status;
    Lag lag;
};

/// A family, and where its value is; nothing: there is none.
struct Family {
    const char* name;
    Kind kind;
    const char* help;
    std::optional<double> (*value)(const Row&);
};

template <class Number>
std::optional<double> of(Number number)
{
    return static_cast<double>(number);
}

std::optional<double> seconds_of(WallTime time)
{
    if (time == WallTime{}) return std::nullopt;
    return std::chrono::duration<double>(time.time_since_epoch()).count();
}

const pipeline::Counters& counters(const Row& row) { return row.status.delivery.counters; }

std::optional<double> task_number(const Row& row, std::uint64_t TaskStatus::* number)
{
    return row.status.tasks ? of((*row.status.tasks).*number) : std::nullopt;
}

const Family families[] = {
    {"opsd_forward_in", Kind::gauge,
     "Entries read since the start, with those that were lost: acknowledged, pending, dead letters and lost.",
     [](const Row& r) { return of(counters(r).in); }},
    {"opsd_forward_acknowledged_total", Kind::counter, "Entries that the far side has confirmed.",
     [](const Row& r) { return of(counters(r).acknowledged); }},
    {"opsd_forward_pending", Kind::gauge, "Entries read and not confirmed.",
     [](const Row& r) { return of(counters(r).pending); }},
    {"opsd_forward_dead_lettered", Kind::gauge,
     "Entries of this run that the far side refused for good and that were kept, also those that were taken "
     "when they were sent again; without those that were given up for newer ones.",
     [](const Row& r) { return of(counters(r).dead_lettered); }},
    {"opsd_forward_dead_letters", Kind::gauge, "Dead letters that are kept now, whichever run they are from.",
     [](const Row& r) { return r.status.letters ? of(*r.status.letters) : std::nullopt; }},
    {"opsd_forward_lost_total", Kind::counter,
     "Entries that were deleted from the journal before they could be read, and dead letters given up for "
     "newer ones.",
     [](const Row& r) { return of(counters(r).lost); }},
    {"opsd_forward_unknown_losses_total", Kind::counter, "Times that an unknown number was lost.",
     [](const Row& r) { return of(counters(r).unknown_losses); }},
    {"opsd_forward_damaged_entries_total", Kind::counter,
     "Entries that could not be read and were passed over.",
     [](const Row& r) { return of(r.status.damaged); }},
    {"opsd_forward_redacted_total", Kind::counter, "Secrets taken out of entries.",
     [](const Row& r) { return of(r.status.redacted); }},
    {"opsd_forward_held_back_total", Kind::counter,
     "Lines of opsd about forwarding, which are not forwarded.",
     [](const Row& r) { return of(r.status.held_back); }},
    {"opsd_forward_resent_total", Kind::counter, "Dead letters that were sent again and taken.",
     [](const Row& r) { return of(r.status.resent); }},
    {"opsd_forward_requests_total", Kind::counter, "Requests sent.",
     [](const Row& r) { return of(counters(r).requests); }},
    {"opsd_forward_failed_requests_total", Kind::counter, "Requests of which not all was taken.",
     [](const Row& r) { return of(counters(r).failed_requests); }},
    {"opsd_forward_sent_total", Kind::counter, "Records in requests, repetitions included.",
     [](const Row& r) { return of(counters(r).sent); }},
    {"opsd_forward_sent_bytes_total", Kind::counter, "Bytes in requests, before compression.",
     [](const Row& r) { return of(counters(r).sent_bytes); }},
    {"opsd_forward_held_bytes", Kind::gauge, "Text held for requests; at its memory reading waits.",
     [](const Row& r) { return of(r.status.delivery.held_bytes); }},
    {"opsd_forward_memory_bytes", Kind::gauge, "The most of it, as configured.",
     [](const Row& r) { return of(r.options->memory.count); }},
    {"opsd_forward_lag_seconds", Kind::gauge, "Age of the oldest entry that is not confirmed.",
     [](const Row& r) { return std::optional{std::chrono::duration<double>(r.lag.time).count()}; }},
    {"opsd_forward_lag_entries", Kind::gauge, "Entries that are not confirmed, as far as known.",
     [](const Row& r) { return r.lag.entries ? of(*r.lag.entries) : std::nullopt; }},
    {"opsd_forward_task_files", Kind::gauge, "Files of tasks that are followed.",
     [](const Row& r) { return task_number(r, &TaskStatus::files); }},
    {"opsd_forward_task_files_not_followed", Kind::gauge,
     "Files of tasks that wait because tasks.max_files is reached.",
     [](const Row& r) { return task_number(r, &TaskStatus::not_followed); }},
    {"opsd_forward_task_files_queued", Kind::gauge,
     "Files of tasks that are open only until older ones of their name are read, up to tasks.max_queued.",
     [](const Row& r) { return task_number(r, &TaskStatus::queued); }},
    {"opsd_forward_task_files_unreadable", Kind::gauge, "Files of tasks that cannot be read.",
     [](const Row& r) { return task_number(r, &TaskStatus::unreadable); }},
    {"opsd_forward_task_behind_bytes", Kind::gauge,
     "Bytes of files of tasks that are not read yet, as last seen.",
     [](const Row& r) { return task_number(r, &TaskStatus::behind_bytes); }},
    {"opsd_forward_paused", Kind::gauge, "1: an operator has paused it.",
     [](const Row& r) { return of(r.status.paused ? 1 : 0); }},
    {"opsd_forward_refused", Kind::gauge,
     "1: the far side refuses the output itself (credentials, address, index): somebody has to act.",
     [](const Row& r) {
         return of(r.status.delivery.state == pipeline::DeliveryStatus::State::kept ? 1 : 0);
     }},
    {"opsd_forward_failed", Kind::gauge,
     "1: the journal cannot be read, or refused entries cannot be kept: it does not go on.",
     [](const Row& r) {
         return of(r.status.delivery.state == pipeline::DeliveryStatus::State::failed ? 1 : 0);
     }},
    {"opsd_forward_last_success_timestamp_seconds", Kind::gauge, "When the far side last took something.",
     [](const Row& r) { return seconds_of(r.status.delivery.last_success_at); }},
    {"opsd_forward_position_timestamp_seconds", Kind::gauge, "When the entry at the position was received.",
     [](const Row& r) {
         const auto moment = moment_of(r.status.delivery.position);
         return moment ? std::optional{static_cast<double>(*moment) / 1e6} : std::nullopt;
     }},
};

}  // namespace

void write_metrics(const Core& core, Page& page)
{
    std::vector<Row> rows;
    for (const auto& output : core.outputs()) {
        auto status = output->status();
        const auto lag = core.lag(status);
        rows.push_back({{{"output", output->options().name}}, &output->options(), std::move(status), lag});
    }
    if (rows.empty()) return;
    for (const auto& family : families) {
        page.family(family.name, family.kind, family.help);
        for (const auto& row : rows) {
            if (const auto value = family.value(row)) page.sample(row.labels, *value);
        }
    }
}

}  // namespace opsd::forward
