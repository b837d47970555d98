#include "modules/cluster/metrics.hpp"

#include <algorithm>

namespace opsd::cluster {
namespace {

using telemetry::Kind;
using telemetry::Page;

void single(Page& page, std::string_view name, Kind kind, std::string_view help, double value)
{
    page.family(name, kind, help);
    page.sample({}, value);
}

double count(std::uint64_t number) { return static_cast<double>(number); }

void by_health(Page& page, const HealthCounts& counts)
{
    page.sample({{"health", "healthy"}}, counts.healthy);
    page.sample({{"health", "unhealthy"}}, counts.unhealthy);
    page.sample({{"health", "unknown"}}, counts.unknown);
}

void write_members(const Core& core, Page& page)
{
    double fresh = 0;
    double stale = 0;
    double unanswered = 0;
    auto oldest = core.services.clock.now();
    const auto& cluster = core.services.board.cluster.get();
    if (cluster) {
        for (const auto& member : cluster->value.members) {
            const auto freshness = member->freshness;
            (freshness == Freshness::fresh ? fresh : freshness == Freshness::stale ? stale : unanswered) += 1;
            if (freshness == Freshness::fresh && !member->self)
                oldest = std::min(oldest, member->answered_at);
        }
    }
    page.family("opsd_cluster_members", Kind::gauge, "Members by whether they answer.");
    page.sample({{"freshness", "fresh"}}, fresh);
    page.sample({{"freshness", "stale"}}, stale);
    page.sample({{"freshness", "unanswered"}}, unanswered);
    const Cluster nobody;
    write_totals(cluster ? cluster->value : nobody, page);
    single(page, "opsd_cluster_members_refused_total", Kind::counter,
           "Members beyond cluster.max_members that a source named.", count(core.table.refused()));
    const auto lag = std::chrono::duration<double>(core.services.clock.now() - oldest).count();
    single(page, "opsd_cluster_oldest_answer_seconds", Kind::gauge,
           "Age of the oldest last answer among the members that are fresh.", std::max(lag, 0.0));
}

void write_pulls(const FollowCounters& c, const Core& core, Page& page)
{
    page.family("opsd_cluster_answers_total", Kind::counter, "Answers of members by what they brought.");
    page.sample({{"kind", "document"}}, count(c.answers));
    page.sample({{"kind", "unchanged"}}, count(c.unchanged));
    page.family("opsd_cluster_failures_total", Kind::counter, "Questions to members that failed, by kind.");
    for (const auto& [kind, number] : c.failures)
        page.sample({{"kind", kind}}, count(number));
    single(page, "opsd_cluster_received_bytes_total", Kind::counter, "Bytes of members' documents.",
           count(c.bytes));
    single(page, "opsd_cluster_questions", Kind::gauge, "Questions to members under way.",
           count(c.in_flight));
    single(page, "opsd_cluster_questions_held", Kind::gauge,
           "Of these: that members hold until there is news.", count(c.held));
    single(page, "opsd_cluster_contacts_waiting", Kind::gauge, "Members that wait for their first question.",
           count(core.followers.contacts_waiting()));
    single(page, "opsd_cluster_overtaken_total", Kind::counter, "Answers that came after a newer one.",
           count(c.overtaken));
    single(page, "opsd_cluster_refreshes_total", Kind::counter, "Rounds that clients asked for.",
           count(c.refreshes));
    single(page, "opsd_cluster_transitions_total", Kind::counter, "Transitions fetched from members.",
           count(c.transitions));
}

}  // namespace

void write_totals(const Cluster& cluster, Page& page)
{
    page.family("opsd_cluster_nodes", Kind::gauge, "Nodes of the cluster by health.");
    by_health(page, cluster.nodes);
    HealthCounts units;
    for (const auto& roll : cluster.units)
        units.add(roll.nodes.rolled_up());
    page.family("opsd_cluster_rolled_up_units", Kind::gauge,
                "Units of the cluster by their health over all nodes that have them.");
    by_health(page, units);
}

void write_metrics(const Core& core, Page& page)
{
    single(page, "opsd_node_waiters", Kind::gauge, "Clients that wait for this node's document to change.",
           count(core.own->waiting()));
    if (!core.watching) return;
    write_members(core, page);
    write_pulls(core.followers.counters(), core, page);
    single(page, "opsd_cluster_archive_queue_length", Kind::gauge, "Transitions that wait to be written.",
           count(core.archive.queued()));
    single(page, "opsd_cluster_archive_unsaved", Kind::gauge,
           "Members whose last picture is not written yet.", count(core.archive.unsaved()));
    single(page, "opsd_cluster_archive_dropped_total", Kind::counter,
           "Transitions lost because the store could not be written.", count(core.archive.dropped()));
    single(page, "opsd_cluster_archive_reads", Kind::gauge,
           "Answers about the past that are being read, cluster.history.concurrent at most.",
           static_cast<double>(core.readers.taken()));
    single(page, "opsd_cluster_archive_reads_refused_total", Kind::counter,
           "Questions about the past that were refused because cluster.history.concurrent were being read.",
           count(core.readers.refused()));
    single(page, "opsd_cluster_own_transitions_missed_total", Kind::counter,
           "Transitions of this node that came too fast for the cluster's list.", count(core.own_missed));
    single(page, "opsd_cluster_event_streams", Kind::gauge, "Clients that follow /api/v1/events.",
           count(core.streams));
    single(page, "opsd_cluster_events_missed_total", Kind::counter, "Events that slow clients missed.",
           count(core.services.feeds.cluster.missed_total()));
}

}  // namespace opsd::cluster
