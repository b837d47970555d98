#pragma once
// Module health: which of this node's units are unhealthy, since when, and with what evidence.
//
// What comes in
//   systemd, over one connection: signals first, lists once, details of each unit once, then only what
//   changes (source, lists). Which units: dcos.target's wants, and names, globs and targets of the
//   configuration; without any of these what is enabled or failed (selection). The journal, for units that
//   turn unhealthy (evidence). Operators' acknowledgements of planned work (acks).
//
// What goes out
//   Board::health and Feeds::transitions for other modules; /system/health/v1 as DC/OS shapes it;
//   /api/v1/health, /units, /units/{unit}, /history, /ack, /events (routes, events); metrics; the history in
//   the store; /units/{unit}/explain (explain/: why a unit is red, gathered on demand).
//
// What it promises
//   - A verdict comes from a table of rules (rules; docs/health.md), from what systemd says and what happened
//     within a window of time (restarts), never from a sample alone.
//   - Unknown is never shown as healthy, and no watched unit is dropped: what cannot be read stays with
//   health 3.
//   - A change is published within milliseconds; its journal lines follow within about a second.
//   - Work and memory are bounded whatever the units do; what a bound costs is counted and said.
//   - The history survives restarts and kills; a restart of opsd makes no transition, a change meanwhile
//   does.
//   - Durations are measured on the monotonic clock: steps of the wall clock change no verdict.
//
// How it is built: pure logic (options, rules, restarts, selection, tracker, verdicts, evidence, json_text,
// render) with time as an argument, and thin tasks around it (source, publisher, evidence_task, history,
// events).

#include "modules/health/core.hpp"
#include "opsd/module.hpp"

namespace opsd::health {

class HealthModule final : public Module {
public:
    HealthModule(HealthOptions options, Services& services, Outside outside);

    std::vector<http::Route> routes() override;
    Task<> run() override;

private:
    Task<> remember();

    Executor executor_;
    std::shared_ptr<Core> core_;
};

/// The module's line in the catalog.
[[nodiscard]] CatalogEntry catalog_entry();

}  // namespace opsd::health
