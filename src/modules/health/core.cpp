#include "modules/health/core.hpp"

#include "core/timeline.hpp"

#include <algorithm>
#include <utility>

namespace opsd::health {

void Troubles::set(const std::string& part, const std::string& sentence, bool fatal)
{
    const auto known = parts_.find(part);
    if (sentence.empty()) {
        if (known == parts_.end()) return;
        parts_.erase(known);
    } else {
        if (known != parts_.end() && known->second.sentence == sentence) return;
        parts_.insert_or_assign(part, Trouble{sentence, fatal});
    }
    report();
}

void Troubles::started()
{
    if (std::exchange(started_, true)) return;
    report();
}

void Troubles::report()
{
    if (!started_) return;
    std::string all;
    bool fatal = false;
    for (const auto& [part, trouble] : parts_) {
        all += (all.empty() ? "" : "; ") + trouble.sentence;
        fatal |= trouble.fatal;
    }
    if (fatal)
        status_.failed(std::move(all));
    else if (!all.empty())
        status_.degraded(std::move(all));
    else
        status_.running();
}

namespace {

Source::Parts source_parts(Core& core, Outside& outside)
{
    auto report = [&core](const std::string& part, const std::string& sentence) {
        core.troubles.set(part, sentence, part == "systemd");
    };
    return {.executor = core.services.executor,
            .clock = core.services.clock,
            .tracker = core.tracker,
            .publisher = core.publisher,
            .options = core.options,
            .connect = std::move(outside.connect),
            .read_wants = std::move(outside.read_wants),
            .report = std::move(report),
            .log = core.services.log};
}

/// The rows of an explanation's history: enough to find the last good run.
constexpr std::size_t history_rows = 200;

Task<Result<std::vector<Transition>>> history_of(History& history, std::string unit)
{
    HistoryQuery query;
    query.unit = std::move(unit);
    query.limit = history_rows;
    auto page = co_await history.read(std::move(query));
    if (!page) co_return fail(std::move(page).error());
    co_return std::move(page->rows);
}

std::shared_ptr<const UnitState> state_of(const Core& core, std::string_view id)
{
    const auto& health = core.services.board.health.get();
    if (!health) return nullptr;
    const auto& all = health->value.units;
    const auto at =
        std::ranges::lower_bound(all, id, {}, [](const auto& u) { return std::string_view{u->id}; });
    return at != all.end() && (*at)->id == id ? *at : nullptr;
}

Task<Result<explain::Answers>> nobody_looks(explain::Questions)
{
    co_return fail(Errc::unavailable, "cannot look at files: nobody was asked to");
}

explain::Explainer::Parts explainer_parts(Core& core, Outside& outside, EvidenceTask::Read read_journal)
{
    explain::Sources sources;
    sources.manager = [&core] { return core.source.manager(); };
    sources.history = [&core](std::string unit) { return history_of(core.history, std::move(unit)); };
    sources.journal = std::move(read_journal);
    sources.look = outside.look ? std::move(outside.look) : nobody_looks;
    sources.state = [&core](std::string_view id) { return state_of(core, id); };
    auto node_name = [&core] {
        const auto& identity = core.services.board.identity.get();
        return identity ? identity->value.hostname : std::string{};
    };
    return {.executor = core.services.executor,
            .clock = core.services.clock,
            .options = core.options.explain,
            .restart_window = core.options.flapping.window,
            .sources = std::move(sources),
            .node_name = std::move(node_name),
            .log = core.services.log};
}

}  // namespace

Core::Core(HealthOptions settings, Services& all, Outside outside)
  : options{std::move(settings)}
  , services{all}
  , boot_id{std::move(outside.boot_id)}
  , troubles{all.status}
  , tracker{Tracker::Options{.flapping = options.flapping,
                             .stuck_after = options.stuck_after,
                             .max_units = static_cast<std::size_t>(options.max_units)}}
  , publisher{all.executor,
              all.clock,
              tracker,
              all.board.health,
              options.publish_interval,
              [this](Effects effects) { take(std::move(effects)); }}
  , history{all.executor,
            all.clock,
            all.store,
            options.history,
            [this](const std::string& sentence) { troubles.set("history", sentence); },
            all.log}
  , readers{options.history.concurrent, "health.history.concurrent"}
  , evidence{all.executor,
             all.clock,
             tracker,
             publisher,
             options.journal,
             outside.read_journal,
             [this](const std::string& sentence) { troubles.set("journal", sentence); }}
  , source{source_parts(*this, outside)}
  , explainer{explainer_parts(*this, outside, outside.read_journal)}
{}

/// What followed from a batch of changes: to the history, to those who listen, to the log, to the journal
/// reader.
void Core::take(Effects effects)
{
    for (auto& record : effects.records) {
        auto transition = history.add(std::move(record));
        if (!transition) continue;
        publisher.made(transition->id);
        const bool turned = transition->from_health != transition->to_health;
        if (turned && transition->to_health == Health::unhealthy)
            services.log.warning("{} turned unhealthy ({}): {}", transition->unit, transition->to,
                                 transition->reason);
        else if (turned && transition->from_health == Health::unhealthy)
            services.log.info("{} {} ({})", transition->unit,
                              transition->to == gone_state ? "is not there any more" : "recovered",
                              transition->to);
        services.feeds.transitions.publish(std::move(*transition));
    }
    for (const auto& unit : effects.recovered)
        evidence.forget(unit);
    for (const auto& wish : effects.evidence)
        evidence.want(wish);
}

}  // namespace opsd::health
