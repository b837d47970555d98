// What members say, and what is shown of them. Who is one is in table_members.cpp.

#include "modules/cluster/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::cluster {

void TableChanges::merge(TableChanges other)
{
    follow.merge(other.follow);
    unfollow.merge(other.unfollow);
    changed.merge(other.changed);
    gone.merge(other.gone);
    touched |= other.touched;
    std::ranges::move(other.events, std::back_inserter(events));
}

Table::Table(TableOptions options) : options_{options} {}

/// Puts a new picture of a member in the place of the old one.
void Table::replace(Entry& entry, std::shared_ptr<Member> member, TableChanges& changes)
{
    if (entry.shown) {
        if (entry.member) rollup_.remove(*entry.member, member.get());
        rollup_.add(*member, entry.member.get());
    }
    changes.changed.insert(member->address);
    entry.member = std::move(member);
}

void Table::show(Entry& entry, bool shown, TableChanges& changes)
{
    if (entry.shown == shown) return;
    if (shown)
        rollup_.add(*entry.member);
    else
        rollup_.remove(*entry.member);
    entry.shown = shown;
    changes.changed.insert(entry.member->address);
}

/// Of several addresses of one process one is shown: our own node's entry, an address that answers, the one
/// the node calls its own, the first. Never hidden is a node that answers at the address it calls its own, or
/// another machine: what a member says of itself must not make another one disappear.
void Table::choose_shown(const std::string& instance, TableChanges& changes)
{
    const auto group = instances_.find(instance);
    if (group == instances_.end()) return;
    const auto at_home = [](const Entry& e) { return e.member->address == e.own.ip; };
    const auto rank = [&at_home](const Entry& e) {
        return (e.member->self ? 0 : 4) + (e.member->freshness == Freshness::fresh ? 0 : 2)
               + (at_home(e) ? 0 : 1);
    };
    const Entry* best = nullptr;
    for (const auto& address : group->second) {
        const auto& entry = entries_.at(address);
        if (best == nullptr || rank(entry) < rank(*best)) best = &entry;
    }
    for (const auto& address : group->second) {
        auto& entry = entries_.at(address);
        const bool answers_at_home = at_home(entry) && entry.member->freshness == Freshness::fresh;
        const bool same_machine = entry.member->node_id == best->member->node_id;
        show(entry, &entry == best || answers_at_home || !same_machine, changes);
    }
}

void Table::drop_from_instance(const std::string& instance, const std::string& address, TableChanges& changes)
{
    const auto group = instances_.find(instance);
    if (group == instances_.end()) return;
    group->second.erase(address);
    if (group->second.empty())
        instances_.erase(group);
    else
        choose_shown(instance, changes);
}

// --- what members say

TableChanges Table::self(const std::string& address, NodeDocument document, WallTime now)
{
    TableChanges changes;
    if (!self_.empty() && self_ != address) {
        const auto old = entries_.find(self_);
        if (old != entries_.end())
            remove(old, fmt::format("this node has the address {} now", address), now, changes);
    }
    self_ = address;
    auto at = entries_.find(address);
    if (at == entries_.end()) {
        if (add(address, now, changes) == nullptr) return changes;
        at = entries_.find(address);
    }
    if (!at->second.member->self) {
        auto member = std::make_shared<Member>(*at->second.member);
        member->self = true;
        replace(at->second, std::move(member), changes);
        changes.unfollow.insert(address);
    }
    auto done = answered(address, std::move(document), now, {});
    if (!done) return changes;
    std::erase_if(done->events, [](const ClusterTransition& event) {
        return event.transition.to == "fresh" && event.transition.from != "unreadable";  // no news to us
    });
    changes.merge(std::move(*done));
    return changes;
}

namespace {

/// The units after a partial document: both lists are sorted.
std::vector<MemberUnit> combined(const std::vector<MemberUnit>& old, NodeDocument& document)
{
    std::vector<MemberUnit> units;
    units.reserve(old.size() + document.units.size());
    std::ranges::sort(document.removed);
    auto next = document.units.begin();
    for (const auto& unit : old) {
        for (; next != document.units.end() && next->label->id < unit.label->id; ++next)
            units.push_back(std::move(*next));
        if (next != document.units.end() && next->label->id == unit.label->id) {
            units.push_back(std::move(*next++));
        } else if (!std::ranges::binary_search(document.removed, unit.label->id)) {
            units.push_back(unit);
        }
    }
    std::move(next, document.units.end(), std::back_inserter(units));
    return units;
}

}  // namespace

std::string_view own_state(const Member& member) noexcept
{
    const bool unreadable = member.freshness == Freshness::fresh && !member.systemd_readable;
    return unreadable ? "unreadable" : to_string(member.freshness);
}

void Table::tell_answer(const Member& old, const Member& member, WallTime now, TableChanges& changes)
{
    std::string was{own_state(old)};
    std::string is{own_state(member)};
    if (member.replaced_at == now && member.previous_node_id != old.previous_node_id) {
        event(member, was, "replaced", "another machine has this address now", now, changes);
        was = "replaced";
        if (is == "fresh") return;
    }
    if (is == was) return;
    std::string reason = "it answers";
    if (is == "unreadable")
        reason = member.reason.empty() ? "it cannot read its systemd" : member.reason;
    else if (was == "unreadable")
        reason = "it can read its systemd again";
    event(member, std::move(was), std::move(is), std::move(reason), now, changes);
}

Result<TableChanges> Table::answered(const std::string& address, NodeDocument document, WallTime now,
                                     std::chrono::milliseconds clock_offset)
{
    const auto at = entries_.find(address);
    if (at == entries_.end())
        return fail(Errc::not_found,
                    fmt::format("cannot take the answer of {}: it is no member any more", address));
    auto& entry = at->second;
    if (document.base > 0
        && (entry.held_instance != document.instance || entry.held_version != document.base)) {
        entry.held_instance.clear();
        entry.held_version = 0;
        return fail(
            Errc::protocol,
            fmt::format("cannot use the partial answer of {}: it builds on a picture that is not held",
                        address));
    }
    TableChanges changes;
    const auto old = entry.member;
    auto member = std::make_shared<Member>(*old);
    // A node that cannot list its units has not lost them: the last known ones stay, and count as unknown.
    const bool lists_none = document.base == 0 && document.units.empty() && !document.systemd_readable;
    if (document.base > 0)
        member->units = combined(old->units, document);
    else if (!lists_none)
        member->units = std::move(document.units);
    if (!document.node_id.empty() && !old->node_id.empty() && document.node_id != old->node_id) {
        member->previous_node_id = old->node_id;
        member->replaced_at = now;
    }
    if (!document.node_id.empty()) member->node_id = document.node_id;
    member->instance = document.instance;
    member->opsd_version = document.opsd_version;
    member->freshness = Freshness::fresh;
    member->why.clear();
    member->answered_at = member->changed_at = now;
    member->clock_offset = clock_offset;
    member->health = document.health;
    member->reason = std::move(document.reason);
    member->systemd_readable = document.systemd_readable;
    entry.own = document.identity;
    identify(*member, entry, entry.own);
    entry.held_instance = document.instance;
    entry.held_version = document.version;
    tell_answer(*old, *member, now, changes);
    replace(entry, std::move(member), changes);
    if (old->instance != document.instance) {
        drop_from_instance(old->instance, address, changes);
        if (!document.instance.empty()) instances_[document.instance].insert(address);
        if (document.instance.empty()) show(entry, true, changes);
    }
    choose_shown(document.instance, changes);
    return changes;
}

TableChanges Table::unchanged(const std::string& address, WallTime now)
{
    TableChanges changes;
    const auto at = entries_.find(address);
    if (at == entries_.end() || at->second.member->answered_at == WallTime{}) return changes;
    auto member = std::make_shared<Member>(*at->second.member);
    member->answered_at = now;
    if (member->freshness == Freshness::fresh) {
        at->second.member = std::move(member);
        changes.touched = true;
        return changes;
    }
    // It held nothing that we could have missed: what we have is its picture. Its own verdict was lost with
    // its freshness, so that it has to be asked for all.
    at->second.held_instance.clear();
    at->second.held_version = 0;
    at->second.member = std::move(member);
    changes.touched = true;
    return changes;
}

TableChanges Table::failed(const std::string& address, const std::string& why, WallTime now)
{
    TableChanges changes;
    const auto at = entries_.find(address);
    if (at == entries_.end() || at->second.member->self) return changes;
    auto& entry = at->second;
    const auto old = entry.member;
    if (old->freshness != Freshness::fresh && old->why == why) return changes;
    auto member = std::make_shared<Member>(*old);
    member->freshness = old->answered_at == WallTime{} ? Freshness::unanswered : Freshness::stale;
    member->why = member->reason = why;
    member->health = Health::unknown;
    if (old->freshness == Freshness::fresh) {
        member->changed_at = now;
        event(*member, std::string{own_state(*old)}, "stale", why, now, changes);
    }
    // The next answer brings the whole picture, and with it the verdict that is unknown now.
    entry.held_instance.clear();
    entry.held_version = 0;
    replace(entry, std::move(member), changes);
    choose_shown(old->instance, changes);
    return changes;
}

Result<TableChanges> Table::acknowledge(const std::string& address,
                                        std::shared_ptr<const Acknowledgement> ack, WallTime now)
{
    const auto at = entries_.find(address);
    if (at == entries_.end())
        return fail(Errc::not_found, fmt::format("cannot acknowledge {}: no such node is known", address));
    TableChanges changes;
    auto member = std::make_shared<Member>(*at->second.member);
    member->acknowledged = std::move(ack);
    member->changed_at = now;
    replace(at->second, std::move(member), changes);
    return changes;
}

// --- out

/// Where the process of a hidden address is shown.
std::string Table::shown_for(const Entry& hidden) const
{
    const auto group = instances_.find(hidden.member->instance);
    if (group == instances_.end()) return {};
    const auto shown = std::ranges::find_if(group->second, [&](const auto& address) {
        const auto& other = entries_.at(address);
        return other.shown && other.member->node_id == hidden.member->node_id;
    });
    return shown == group->second.end() ? std::string{} : *shown;
}

Cluster Table::cluster(bool watching) const
{
    Cluster cluster;
    cluster.watching = watching;
    cluster.nodes = rollup_.nodes();
    cluster.units = rollup_.units();
    cluster.members.reserve(entries_.size());
    for (const auto& [address, entry] : entries_) {
        if (!entry.shown) {
            cluster.aliases.push_back({address, shown_for(entry)});
            continue;
        }
        cluster.members.push_back(entry.member);
        const auto& member = *entry.member;
        if (member.self || member.freshness != Freshness::fresh) continue;
        const bool first = cluster.confirmed_at == WallTime{};
        cluster.confirmed_at =
            first ? member.answered_at : std::min(cluster.confirmed_at, member.answered_at);
    }
    return cluster;
}

std::shared_ptr<const Member> Table::find(std::string_view address) const
{
    const auto at = entries_.find(address);
    return at == entries_.end() ? nullptr : at->second.member;
}

std::string Table::held(std::string_view address) const
{
    const auto at = entries_.find(address);
    if (at == entries_.end() || at->second.held_version == 0) return {};
    return fmt::format("\"{}.{}\"", at->second.held_instance, at->second.held_version);
}

std::vector<std::string> Table::unheard() const
{
    std::vector<std::string> all;
    for (const auto& source : awaited_) {
        const auto names = [&source](const MemberSource& s) { return s.name == source && s.current; };
        const auto named = [&names](const auto& e) {
            return std::ranges::any_of(e.second.member->sources, names);
        };
        if (std::ranges::none_of(entries_, named)) all.push_back(source);
    }
    return all;
}

std::size_t Table::aliases() const noexcept
{
    return static_cast<std::size_t>(
        std::ranges::count_if(entries_, [](const auto& e) { return !e.second.shown; }));
}

}  // namespace opsd::cluster
