// Timers, sockets, paths and automounts that are loaded or unloaded: a unit at rest is judged by whether
// there is one that starts it, and no signal of its own tells when that changes.

#include "modules/health/source.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace opsd::health {
namespace {

using namespace std::chrono_literals;

constexpr Monotonic triggers_pause = 1s;           // several that are loaded together are one look
constexpr std::size_t most_new_triggers = 10'000;  // beyond it the others wait for the next reload

bool triggers_others(std::string_view id)
{
    constexpr std::array<std::string_view, 4> kinds{".timer", ".socket", ".path", ".automount"};
    return std::ranges::any_of(kinds, [id](std::string_view kind) { return id.ends_with(kind); });
}

}  // namespace

/// A reload unloads and loads all units, and everything is read after it.
void Source::trigger_loaded(std::string_view id)
{
    if (reloading_ || !triggers_others(id) || new_triggers_.size() >= most_new_triggers) return;
    new_triggers_.emplace(id);
    if (triggers_at_) return;
    triggers_at_ = clock_.monotonic() + triggers_pause;
    bell_.ring();
}

void Source::trigger_unloaded(std::string_view id)
{
    if (reloading_ || !triggers_others(id)) return;
    if (const auto it = new_triggers_.find(id); it != new_triggers_.end()) new_triggers_.erase(it);
    for (const auto& unit : tracker_.all_triggered_by(id))
        want_read(unit);
}

/// Reading a unit that is unloaded again would load it, and so begin anew: only a list tells without that.
/// What is loaded while the list is under way may not be in it: that waits for the next look.
Task<Result<>> Source::look_at_triggers(systemd::Manager& manager, TaskGroup& readers)
{
    if (new_triggers_.empty()) co_return Result<>{};
    const auto asked = new_triggers_;
    auto units = co_await manager.list_units();
    if (!units) co_return fail(std::move(units).error());
    std::vector<std::string> ids;
    for (const auto& id : asked) {
        if (new_triggers_.erase(id) == 0) continue;  // unloaded meanwhile
        if (std::ranges::find(*units, id, &systemd::ListedUnit::id) == units->end()) continue;
        if (tracker_.contains(id))
            want_read(id);
        else
            ids.push_back(id);
    }
    if (!ids.empty()) readers.spawn("read triggers", read_triggers(manager, std::move(ids)));
    co_return Result<>{};
}

/// Of units that are not watched; one after another, as nobody waits for them.
Task<> Source::read_triggers(systemd::Manager& manager, std::vector<std::string> ids)
{
    for (const auto& id : ids) {
        ++counters_.reads;
        auto facts = co_await manager.read_unit(systemd::unit_path(id));
        if (facts)
            read_triggered(id, facts->triggers);
        else
            ++counters_.failed_reads;
    }
}

void Source::read_triggered(const std::string& trigger, const std::vector<std::string>& ids)
{
    for (const auto& id : ids)
        if (!tracker_.triggered_by(id, trigger).value_or(true)) want_read(id);
}

}  // namespace opsd::health
