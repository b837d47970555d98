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

// --- who is a member

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
