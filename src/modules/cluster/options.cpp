#include "modules/cluster/options.hpp"

#include <fmt/format.h>

namespace opsd::cluster {

using config::at_least;
using config::between;
using config::Bytes;
using config::Schema;
using namespace std::chrono_literals;

namespace {

Schema<TlsOptions> tls_schema()
{
    return Schema<TlsOptions>{}
        .field(&TlsOptions::enabled, "enabled",
               "Speak TLS to the members; set by itself with ca or certificate")
        .field(&TlsOptions::ca, "ca",
               "PEM file of the authorities that members' certificates are verified by; "
               "empty: the system's")
        .field(&TlsOptions::certificate, "certificate", "PEM file of this node's client certificate")
        .field(&TlsOptions::key, "key", "PEM file of its key");
}

Schema<PullOptions> pull_schema()
{
    return Schema<PullOptions>{}
        .field(&PullOptions::wait, "wait",
               "How long a member is asked to hold its answer until something changes",
               between(Duration{1s}, Duration{60s}))
        .field(&PullOptions::poll_interval, "poll_interval",
               "Between two questions to a member that does not hold its answer",
               between(Duration{1s}, Duration{10min}))
        .field(&PullOptions::min_interval, "min_interval",
               "Between two answers of one member at least, however often it changes",
               between(Duration{10ms}, Duration{10s}))
        .field(&PullOptions::stale_after, "stale_after",
               "A member that does not answer for so long is shown as stale",
               between(Duration{1s}, Duration{10min}))
        .field(&PullOptions::answer_timeout, "answer_timeout",
               "For the first byte of an answer that need not be waited for, and for its rest",
               between(Duration{100ms}, Duration{60s}))
        .field(&PullOptions::connect_timeout, "connect_timeout", "For a connection to a member, TLS included",
               between(Duration{100ms}, Duration{60s}))
        .field(&PullOptions::retry_min, "retry_min", "First pause before a member that fails is asked again",
               between(Duration{100ms}, Duration{60s}))
        .field(&PullOptions::retry_max, "retry_max",
               "Longest pause before a member that fails is asked again",
               between(Duration{1s}, Duration{10min}))
        .field(&PullOptions::first_contacts, "first_contacts",
               "Members that are asked at the same time while nothing is known of them",
               between<std::int64_t>(1, 10'000))
        .field(&PullOptions::first_contact_time, "first_contact_time",
               "After this a silent member no longer keeps others from being asked",
               between(Duration{10ms}, Duration{10s}))
        .field(&PullOptions::refreshes, "refreshes",
               "Members asked at the same time when a client wants news", between<std::int64_t>(1, 10'000))
        .field(&PullOptions::refresh_timeout, "refresh_timeout",
               "How long ?cache waits for all members before it answers 504",
               between(Duration{100ms}, Duration{55s}))
        .field(&PullOptions::max_document, "max_document", "Size of a member's answer; more is refused",
               between(Bytes{64 << 10}, Bytes{64 << 20}));
}

Schema<ArchiveOptions> archive_schema()
{
    return Schema<ArchiveOptions>{}
        .field(&ArchiveOptions::max_age, "max_age", "Transitions older than this are deleted",
               at_least(Duration{1h}))
        .field(&ArchiveOptions::max_rows, "max_rows", "Transitions kept at most, of all members",
               between<std::int64_t>(1'000, 10'000'000))
        .field(&ArchiveOptions::max_rows_per_member, "max_rows_per_member",
               "Transitions kept of one member at most", between<std::int64_t>(10, 1'000'000))
        .field(&ArchiveOptions::save_interval, "save_interval",
               "A member's last picture is written at most this often", between(Duration{10s}, Duration{24h}))
        .field(&ArchiveOptions::concurrent, "concurrent",
               "Answers about the past that are read from the store at a time; more are refused",
               between<std::int64_t>(1, 64));
}

}  // namespace

Schema<ClusterOptions> schema()
{
    return Schema<ClusterOptions>{}
        .field(&ClusterOptions::watch, "watch",
               "Whether this node watches the others. auto: if a source is set and it is no agent",
               config::one_of({"auto", "always", "never"}))
        .field(&ClusterOptions::port, "port", "Port of opsd on the members", between<std::int64_t>(1, 65'535))
        .section(&ClusterOptions::sources, "sources", "Who says which nodes belong to the cluster",
                 sources_schema())
        .field(&ClusterOptions::token, "token",
               "Token that is shown to members, for a viewer there; without one journal lines are not seen")
        .field(&ClusterOptions::insecure, "insecure",
               "Show the token also without TLS, where anybody on the network can read it")
        .section(&ClusterOptions::tls, "tls", "How members are spoken to", tls_schema())
        .section(&ClusterOptions::pull, "pull", "How members are asked", pull_schema())
        .section(&ClusterOptions::history, "history", "What is kept of the cluster's past", archive_schema())
        .field(&ClusterOptions::max_members, "max_members", "Members known at most; more degrades the module",
               between<std::int64_t>(1, 100'000))
        .field(&ClusterOptions::forget_after, "forget_after",
               "A member that nobody names and that does not answer for so long is forgotten",
               at_least(Duration{1min}))
        .field(&ClusterOptions::max_answers, "max_answers",
               "Room for rendered answers, also those that slow readers still hold; a report that would take "
               "half of it is made anew for each reader",
               between(Bytes{1U << 20U}, Bytes{1U << 30U}))
        .field(&ClusterOptions::node_health_in_units, "node_health_in_units",
               "Show the whole node's health in /units/{unit}/nodes, as the DC/OS program does")
        .field(&ClusterOptions::publish_interval, "publish_interval",
               "Changes within this time become one version of the cluster's picture",
               between(Duration{10ms}, Duration{10s}))
        .field(&ClusterOptions::max_wait, "max_wait",
               "How long this node holds its answer to those who ask to wait for a change",
               between(Duration{0s}, Duration{10min}));
}

Result<> validate(const ClusterOptions& options)
{
    auto sources = validate(options.sources);
    if (!sources) return sources;
    if (options.tls.certificate.empty() != options.tls.key.empty())
        return fail(Errc::invalid_argument,
                    "cannot use cluster.tls: it has only one of certificate and key, a client needs both");
    const bool tls = options.tls.enabled || !options.tls.ca.empty() || !options.tls.certificate.empty();
    if (options.token.from != config::Secret::From::none && !tls && !options.insecure)
        return fail(Errc::invalid_argument,
                    "cannot use cluster.token: without cluster.tls it would be sent in the clear to every "
                    "address that a source names; set up TLS (opsd cluster init), or say cluster.insecure: "
                    "true");
    if (options.pull.retry_max < options.pull.retry_min)
        return fail(Errc::invalid_argument,
                    "cannot use cluster.pull.retry_max: it is less than cluster.pull.retry_min");
    return {};
}

}  // namespace opsd::cluster
