#include "modules/health/metrics.hpp"

namespace opsd::health {
namespace {

using telemetry::Kind;
using telemetry::Page;

void single(Page& page, std::string_view name, Kind kind, std::string_view help, double value)
{
    page.family(name, kind, help);
    page.sample({}, value);
}

double count(std::uint64_t number) { return static_cast<double>(number); }
double health_number(Health health) { return static_cast<double>(static_cast<int>(health)); }

void write_units(const NodeHealth& node, Page& page)
{
    const auto shown = [&node](const UnitState& u) {
        return node.systemd_readable ? u.health : Health::unknown;
    };
    page.family("opsd_unit_health", Kind::gauge, "Health of a unit: 0 healthy, 1 unhealthy, 3 unknown.");
    for (const auto& unit : node.units)
        page.sample({{"unit", unit->id}}, health_number(shown(*unit)));
    page.family("opsd_unit_state", Kind::gauge, "State word of a unit; the sample of the present word is 1.");
    for (const auto& unit : node.units)
        page.sample({{"unit", unit->id}, {"state", unit->state}}, 1);
    page.family("opsd_unit_restarts_total", Kind::counter,
                "Automatic restarts since the unit was last started by hand.");
    for (const auto& unit : node.units)
        if (unit->id.ends_with(".service")) page.sample({{"unit", unit->id}}, count(unit->facts->restarts));
    page.family("opsd_unit_acknowledged", Kind::gauge, "1 for a unit with planned work on it.");
    for (const auto& unit : node.units)
        if (unit->acknowledged) page.sample({{"unit", unit->id}}, 1);
    double healthy = 0;
    double unhealthy = 0;
    double unknown = 0;
    for (const auto& unit : node.units) {
        const auto health = shown(*unit);
        (health == Health::healthy ? healthy : health == Health::unhealthy ? unhealthy : unknown) += 1;
    }
    page.family("opsd_units", Kind::gauge, "Watched units by health.");
    page.sample({{"health", "healthy"}}, healthy);
    page.sample({{"health", "unhealthy"}}, unhealthy);
    page.sample({{"health", "unknown"}}, unknown);
}

void write_source(const Core& core, Page& page)
{
    const auto& c = core.source.counters();
    single(page, "opsd_systemd_connected", Kind::gauge, "1 while opsd follows systemd.", c.connected ? 1 : 0);
    single(page, "opsd_systemd_connections_total", Kind::counter, "Connections to systemd that came up.",
           count(c.connections));
    single(page, "opsd_systemd_failed_connections_total", Kind::counter,
           "Attempts to connect to systemd that failed.", count(c.failed_connections));
    single(page, "opsd_systemd_signals_total", Kind::counter, "Signals heard from systemd.",
           count(c.signals));
    single(page, "opsd_systemd_gathered_signals_total", Kind::counter,
           "Signals of flapping units that were looked at together (health.flapping.gather).",
           count(c.gathered));
    single(page, "opsd_systemd_reads_total", Kind::counter, "Units read in detail.", count(c.reads));
    single(page, "opsd_systemd_failed_reads_total", Kind::counter, "Units that could not be read.",
           count(c.failed_reads));
    single(page, "opsd_systemd_resyncs_total", Kind::counter,
           "Comparisons of all states with systemd's list.", count(c.resyncs));
    single(page, "opsd_systemd_resync_corrections_total", Kind::counter,
           "States that a comparison found different without a signal having said so.", count(c.corrections));
    single(page, "opsd_units_left_out", Kind::gauge, "Units beyond health.max_units, which are not watched.",
           static_cast<double>(c.left_out));
}

void write_explanations(const explain::Explainer& explainer, Page& page)
{
    const auto& c = explainer.counters();
    single(page, "opsd_explain_requests_total", Kind::counter, "Explanations asked for.", count(c.asked));
    single(page, "opsd_explain_kept_answers_total", Kind::counter,
           "Explanations given again because the unit had not changed.", count(c.cached));
    single(page, "opsd_explain_joined_total", Kind::counter,
           "Requests that waited for a gathering which another had begun.", count(c.joined));
    single(page, "opsd_explain_gathered_total", Kind::counter, "Gatherings begun.", count(c.gathered));
    single(page, "opsd_explain_refused_total", Kind::counter,
           "Requests refused because health.explain.concurrent gatherings ran.", count(c.refused));
    single(page, "opsd_explain_late_total", Kind::counter,
           "Gatherings that health.explain.deadline ended; the answers say what is missing.", count(c.late));
    single(page, "opsd_explain_running", Kind::gauge, "Gatherings that run.",
           static_cast<double>(explainer.running()));
    single(page, "opsd_explain_kept", Kind::gauge, "Explanations kept, health.explain.kept at most.",
           static_cast<double>(explainer.kept()));
}

}  // namespace

void write_metrics(const Core& core, Page& page)
{
    write_source(core, page);
    const auto& h = core.history;
    single(page, "opsd_unit_transitions_total", Kind::counter, "State changes of units.",
           count(h.transitions()));
    single(page, "opsd_history_queue_length", Kind::gauge, "Records that wait to be written.",
           static_cast<double>(h.queued()));
    single(page, "opsd_history_dropped_total", Kind::counter,
           "Records lost because the store could not be written.", count(h.dropped()));
    single(page, "opsd_history_reads", Kind::gauge,
           "Answers about the past that are being read, health.history.concurrent at most.",
           static_cast<double>(core.readers.taken()));
    single(page, "opsd_history_reads_refused_total", Kind::counter,
           "Questions about the past that were refused because health.history.concurrent were being read.",
           count(core.readers.refused()));
    single(page, "opsd_acknowledgements_waiting", Kind::gauge,
           "Acknowledgements, or their ends, that a restart would lose: the store cannot be written.",
           static_cast<double>(h.acks_waiting()));
    const auto& e = core.evidence;
    single(page, "opsd_journal_reads_total", Kind::counter, "Journal readings for evidence.",
           count(e.reads()));
    single(page, "opsd_journal_read_failures_total", Kind::counter, "Journal readings that failed.",
           count(e.failures()));
    write_explanations(core.explainer, page);
    single(page, "opsd_event_streams", Kind::gauge, "Clients that follow /api/v1/events.",
           static_cast<double>(core.streams));
    single(page, "opsd_events_missed_total", Kind::counter, "Events that slow clients missed.",
           count(core.services.feeds.transitions.missed_total()));
    const auto& health = core.services.board.health.get();
    if (!health) return;
    single(page, "opsd_node_health", Kind::gauge, "Health of the node: 0 healthy, 1 unhealthy, 3 unknown.",
           health_number(health->value.health));
    if (core.publisher.confirmed_at().count() > 0) {
        const auto age = core.services.clock.monotonic() - core.publisher.confirmed_at();
        single(page, "opsd_health_data_age_seconds", Kind::gauge,
               "Seconds since systemd last confirmed the picture by a signal or an answer; while it is "
               "followed at most "
               "health.systemd.resync.",
               std::chrono::duration<double>(age).count());
    }
    single(page, "opsd_units_list_complete", Kind::gauge,
           "0 while a target's wants directory cannot be read, so that expected units may be missing.",
           health->value.incomplete.empty() ? 1 : 0);
    write_units(health->value, page);
}

}  // namespace opsd::health
