// Who is in the cluster: whom sources name, whom an earlier run kept, who is forgotten.

#include "modules/cluster/table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::cluster {

void Table::event(const Member& member, std::string from, std::string to, std::string reason, WallTime now,
                  TableChanges& changes)
{
    ClusterTransition event;
    event.address = member.address;
    event.hostname = member.identity.hostname;
    event.seen_at = now;
    event.transition.at = event.transition.last_at = now;
    event.transition.from = std::move(from);
    event.transition.to = std::move(to);
    event.transition.from_health = event.transition.to_health = member.health;
    event.transition.reason = std::move(reason);
    changes.events.push_back(std::move(event));
}

Table::Entry* Table::add(const std::string& address, WallTime now, TableChanges& changes)
{
    if (entries_.size() >= options_.max_members && address != self_) {
        ++refused_;
        return nullptr;
    }
    auto& entry = entries_[address];
    auto member = std::make_shared<Member>();
    member->address = address;
    member->why = member->reason = "it was not asked yet";
    member->changed_at = now;
    replace(entry, std::move(member), changes);
    return &entry;
}

void Table::remove(Entries::iterator at, const std::string& why, WallTime now, TableChanges& changes)
{
    const auto address = at->first;
    const auto member = at->second.member;
    if (at->second.shown) rollup_.remove(*member);
    entries_.erase(at);
    drop_from_instance(member->instance, address, changes);
    changes.follow.erase(address);
    changes.changed.erase(address);
    changes.unfollow.insert(address);
    changes.gone.insert(address);
    event(*member, std::string{own_state(*member)}, "gone", why, now, changes);
}

/// A node's own word counts; where it says nothing, the sources' does.
void Table::identify(Member& member, const Entry& entry, const NodeIdentity& own)
{
    member.identity = own;
    member.leader = false;
    for (const auto& [source, claim] : entry.claims) {
        const auto fill = [](std::string& mine, const std::string& theirs) {
            if (mine.empty()) mine = theirs;
        };
        fill(member.identity.hostname, claim.hostname);
        fill(member.identity.role, claim.role);
        fill(member.identity.mesos_id, claim.mesos_id);
        const auto current = [&](const MemberSource& s) { return s.name == source && s.current; };
        member.leader |= claim.leader && std::ranges::any_of(member.sources, current);
    }
    if (member.identity.ip.empty()) member.identity.ip = host_of(member.address);
}

void Table::expect(const std::vector<std::string>& sources)
{
    awaited_.insert(sources.begin(), sources.end());
}

TableChanges Table::restore(std::vector<Member> kept, WallTime now)
{
    TableChanges changes;
    for (auto& old : kept) {
        const auto address = old.address;
        if (address.empty()) continue;
        const auto known = entries_.find(address);
        if (known != entries_.end()) {
            remember(known->second, std::move(old), now, changes);
            continue;
        }
        auto* entry = add(address, now, changes);
        if (entry == nullptr) continue;
        remember(*entry, std::move(old), now, changes);
        changes.follow.insert(address);
        changes.changed.erase(address);  // it is as it is kept
    }
    return changes;
}

/// Lays what is known by now over what was kept: the store may open long after the first answers.
void Table::remember(Entry& entry, Member kept, WallTime now, TableChanges& changes)
{
    const auto& known = *entry.member;
    for (auto& source : kept.sources)
        source.current = source.current && awaited_.contains(source.name);
    for (const auto& source : known.sources) {
        const auto at = std::ranges::lower_bound(kept.sources, source.name, {}, &MemberSource::name);
        if (at == kept.sources.end() || at->name != source.name)
            kept.sources.insert(at, source);
        else
            *at = {source.name, std::min(at->first, source.first), source.last, source.current};
    }
    if (known.acknowledged) kept.acknowledged = known.acknowledged;
    auto member = std::make_shared<Member>(std::move(kept));
    if (known.answered_at != WallTime{}) {  // in this run: that picture is newer
        auto newer = std::make_shared<Member>(known);
        newer->sources = std::move(member->sources);
        newer->acknowledged = std::move(member->acknowledged);
        member = std::move(newer);
    } else {
        const bool answered = member->answered_at != WallTime{};
        member->freshness = answered ? Freshness::stale : Freshness::unanswered;
        member->why = member->reason = "it has not answered since this opsd started";
        member->health = Health::unknown;
        member->self = false;
        member->instance.clear();
        if (answered) entry.own = member->identity;
        if (!entry.claims.empty()) identify(*member, entry, entry.own);
    }
    entry.restored_at = now;
    replace(entry, std::move(member), changes);
}

TableChanges Table::named(const std::string& source, const std::vector<FoundMember>& found,
                          std::uint16_t cluster_port, WallTime now)
{
    TableChanges changes;
    awaited_.erase(source);
    std::map<std::string, const FoundMember*, AddressLess> list;
    for (const auto& one : found)
        if (!one.host.empty()) list.insert_or_assign(member_address(one.host, one.port, cluster_port), &one);
    for (const auto& [address, claim] : list) {
        if (entries_.contains(address)) continue;
        if (add(address, now, changes) != nullptr) changes.follow.insert(address);
    }
    for (auto& [address, entry] : entries_) {
        const auto named = list.find(address);
        const bool is_named = named != list.end();
        const auto known = std::ranges::find(entry.member->sources, source, &MemberSource::name);
        const bool was_current = known != entry.member->sources.end() && known->current;
        const auto claim = entry.claims.find(source);
        if (!is_named && !was_current) continue;
        const bool news = is_named != was_current
                          || (is_named && (claim == entry.claims.end() || claim->second != *named->second));
        auto member = std::make_shared<Member>(*entry.member);
        const auto at = std::ranges::lower_bound(member->sources, source, {}, &MemberSource::name);
        auto& mark = at != member->sources.end() && at->name == source
                         ? *at
                         : *member->sources.insert(at, {.name = source, .first = now});
        mark.current = is_named;
        if (is_named) {
            mark.last = now;
            entry.claims.insert_or_assign(source, *named->second);
        }
        if (!news) {  // only the time it was last named
            entry.member = std::move(member);
            changes.touched = true;
            continue;
        }
        identify(*member, entry, entry.own);
        replace(entry, std::move(member), changes);
    }
    return changes;
}

Result<TableChanges> Table::forget(const std::string& address, WallTime now)
{
    const auto at = entries_.find(address);
    if (at == entries_.end())
        return fail(Errc::not_found, fmt::format("cannot forget {}: no such node is known", address));
    const auto& member = *at->second.member;
    if (member.self)
        return fail(Errc::invalid_argument, fmt::format("cannot forget {}: it is this node", address));
    std::string naming;
    for (const auto& source : member.sources)
        if (source.current) naming += (naming.empty() ? "" : ", ") + source.name;
    if (!naming.empty()) {
        return fail(
            Errc::invalid_argument,
            fmt::format(
                "cannot forget {}: it would be back at once, since it is still named by {}; remove it "
                "there first",
                address, naming));
    }
    TableChanges changes;
    remove(at, "forgotten by an operator", now, changes);
    return changes;
}

TableChanges Table::tick(WallTime now)
{
    TableChanges changes;
    for (auto at = entries_.begin(); at != entries_.end();) {
        const auto here = at++;
        auto& entry = here->second;
        const auto& member = *entry.member;
        if (member.acknowledged && member.acknowledged->until <= now) {
            auto next = std::make_shared<Member>(member);
            next->acknowledged = nullptr;
            replace(entry, std::move(next), changes);
        }
        if (entry.member->self || entry.member->freshness == Freshness::fresh) continue;
        auto last = std::max(entry.member->answered_at, entry.restored_at);
        bool current = false;
        for (const auto& source : entry.member->sources) {
            current |= source.current;
            last = std::max(last, source.last);
        }
        if (!current && now - last > options_.forget_after)
            remove(here,
                   fmt::format("no source names it and it has not answered for {}",
                               human_duration(options_.forget_after)),
                   now, changes);
    }
    return changes;
}

}  // namespace opsd::cluster
