#include "modules/health/options.hpp"

#include "io/systemd/manager.hpp"

#include <fmt/format.h>

namespace opsd::health {

using config::at_least;
using config::between;
using config::Bytes;
using config::Schema;
using namespace std::chrono_literals;

namespace {

Schema<StuckAfter> stuck_schema()
{
    return Schema<StuckAfter>{}
        .field(&StuckAfter::activating, "activating", "A unit that is starting for longer is stuck",
               at_least(Duration{1s}))
        .field(&StuckAfter::deactivating, "deactivating", "A unit that is stopping for longer is stuck",
               at_least(Duration{1s}))
        .field(&StuckAfter::reloading, "reloading", "A unit that is reloading for longer is stuck",
               at_least(Duration{1s}));
}

Schema<Flapping> flapping_schema()
{
    return Schema<Flapping>{}
        .field(&Flapping::restarts, "restarts", "So many automatic restarts within the window are flapping",
               between<std::int64_t>(1, 10'000))
        .field(&Flapping::window, "window", "How far back restarts are counted",
               between(Duration{10s}, Duration{24h}))
        .field(&Flapping::gather, "gather",
               "What a flapping unit does within this time is looked at together; 0s follows its every step",
               between(Duration{0s}, Duration{1min}));
}

Schema<HistoryOptions> history_schema()
{
    return Schema<HistoryOptions>{}
        .field(&HistoryOptions::max_age, "max_age", "Transitions older than this are deleted",
               at_least(Duration{1h}))
        .field(&HistoryOptions::max_rows, "max_rows", "Transitions kept at most",
               between<std::int64_t>(100, 10'000'000))
        .field(&HistoryOptions::max_rows_per_unit, "max_rows_per_unit",
               "Transitions kept of one unit at most", between<std::int64_t>(10, 1'000'000))
        .field(&HistoryOptions::fold_window, "fold_window",
               "The same transition of a unit again within this time becomes one counted row",
               between(Duration{0s}, Duration{24h}))
        .field(&HistoryOptions::concurrent, "concurrent",
               "Answers about the past that are read from the store at a time; more are refused",
               between<std::int64_t>(1, 64));
}

Schema<JournalOptions> journal_schema()
{
    return Schema<JournalOptions>{}
        .field(&JournalOptions::lines, "lines", "Journal lines shown with an unhealthy unit",
               between<std::int64_t>(0, 1'000))
        .field(&JournalOptions::max_bytes, "max_bytes", "Journal text shown with an unhealthy unit",
               between(Bytes{256}, Bytes{1 << 20}))
        .field(&JournalOptions::settle, "settle",
               "How long after a failure its journal lines are read again (journald writes with a delay)",
               between(Duration{100ms}, Duration{30s}));
}

Schema<SystemdOptions> systemd_schema()
{
    return Schema<SystemdOptions>{}
        .field(&SystemdOptions::call_timeout, "call_timeout", "Deadline of one call to systemd",
               between(Duration{100ms}, Duration{60s}))
        .field(&SystemdOptions::window, "window", "Unanswered calls at a time; the system bus allows 128",
               between<std::int64_t>(1, 120))
        .field(&SystemdOptions::resync, "resync", "How often all states are compared with systemd's list",
               between(Duration{10s}, Duration{24h}))
        .field(&SystemdOptions::reconnect_min, "reconnect_min", "First pause before connecting again",
               between(Duration{10ms}, Duration{60s}))
        .field(&SystemdOptions::reconnect_max, "reconnect_max", "Longest pause before connecting again",
               between(Duration{10ms}, Duration{10min}))
        .field(&SystemdOptions::private_socket, "private_socket",
               "As root, use systemd's private socket instead of the system bus");
}

Schema<ExplainOptions> explain_schema()
{
    return Schema<ExplainOptions>{}
        .field(&ExplainOptions::deadline, "deadline",
               "How long the facts of one explanation may take; what is missing then is said",
               between(Duration{100ms}, Duration{60s}))
        .field(&ExplainOptions::concurrent, "concurrent", "Explanations gathered at a time; more are refused",
               between<std::int64_t>(1, 64))
        .field(&ExplainOptions::keep, "keep",
               "How long an explanation is given again while its unit stays as it is",
               between(Duration{0s}, Duration{5min}))
        .field(&ExplainOptions::kept, "kept", "Explanations kept at most", between<std::int64_t>(1, 10'000))
        .field(&ExplainOptions::journal_lines, "journal_lines", "Journal lines of an explanation",
               between<std::int64_t>(1, 1'000))
        .field(&ExplainOptions::dependencies, "dependencies",
               "Units looked at on the way to the first cause at most", between<std::int64_t>(1, 10'000))
        .field(&ExplainOptions::worked_after, "worked_after",
               "A run that lasted for so long counts as one that worked",
               between(Duration{0s}, Duration{24h}));
}

Result<> bad_name(const std::string& setting, const std::string& name, const std::string& why)
{
    return fail(Errc::invalid_argument, fmt::format("cannot use {}: \"{}\" {}", setting, name, why));
}

}  // namespace

Schema<HealthOptions> schema()
{
    return Schema<HealthOptions>{}
        .field(&HealthOptions::units, "units",
               "Units to watch by name; they are expected to be there and well")
        .field(&HealthOptions::globs, "globs",
               "Units to watch by pattern (* ? [a-z]); those that are enabled are expected to run")
        .field(&HealthOptions::targets, "targets",
               "Targets whose wanted and required units are watched; dcos.target always, where it exists")
        .field(&HealthOptions::exclude, "exclude", "Names or patterns of units that are not watched")
        .field(&HealthOptions::max_units, "max_units", "Units watched at most; more degrades the module",
               between<std::int64_t>(1, 100'000))
        .field(&HealthOptions::publish_interval, "publish_interval",
               "Changes within this time become one version of the answer",
               between(Duration{0s}, Duration{1s}))
        .section(&HealthOptions::stuck_after, "stuck_after", "How long a unit may stay between two states",
                 stuck_schema())
        .section(&HealthOptions::flapping, "flapping", "When a restarting unit is called flapping",
                 flapping_schema())
        .section(&HealthOptions::history, "history", "What is kept of state changes", history_schema())
        .section(&HealthOptions::journal, "journal", "Journal lines as evidence", journal_schema())
        .section(&HealthOptions::systemd, "systemd", "The connection to systemd", systemd_schema())
        .section(&HealthOptions::explain, "explain", "Explanations of single units", explain_schema());
}

Result<> validate(const HealthOptions& options)
{
    for (const auto& name : options.units) {
        if (name.find("@.") != std::string::npos)
            return bad_name("health.units", name, "is a template; name an instance, like getty@tty1.service");
        if (!systemd::valid_unit_name(name))
            return bad_name("health.units", name,
                            "is not a unit name; write it with its suffix, like ssh.service");
    }
    for (const auto& name : options.targets) {
        if (!systemd::valid_unit_name(name) || !name.ends_with(".target"))
            return bad_name("health.targets", name, "is not a target; write it like multi-user.target");
    }
    if (options.systemd.reconnect_min > options.systemd.reconnect_max)
        return fail(Errc::invalid_argument, "cannot use health.systemd.reconnect_min: it is longer than "
                                            "health.systemd.reconnect_max; make it shorter");
    return {};
}

}  // namespace opsd::health
