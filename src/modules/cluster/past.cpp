#include "modules/cluster/past.hpp"

#include "core/transition_row.hpp"
#include "modules/cluster/archive_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <span>
#include <tuple>
#include <utility>

namespace opsd::cluster {
namespace {

/// By our clock. Rows of one millisecond are in the order in which we learned of them.
Transition by_our_clock(ClusterTransition row)
{
    auto transition = std::move(row.transition);
    transition.id = row.id;
    transition.at -= row.clock_offset;
    transition.last_at -= row.clock_offset;
    return transition;
}

std::vector<StateNow> states_now(const Member* member)
{
    std::vector<StateNow> now;
    if (member == nullptr) return now;
    const auto offset = counted_offset(member->clock_offset);
    now.reserve(member->units.size());
    for (const auto& unit : member->units)
        now.push_back({.unit = unit.label->id,
                       .health = member->systemd_readable ? unit.verdict->health : Health::unknown,
                       .state = unit.verdict->state,
                       .reason = unit.verdict->reason,
                       .since = unit.since == WallTime{} ? unit.since : unit.since - offset});
    return now;
}

/// Was the member answering then? Its own transitions (unit "") and what is known now say; `first` is when
/// the first of its units' that is kept was made: its own ones of before were deleted with theirs.
bool answered_then(const StateThen* own, const Member* now, const PastQuestion& question,
                   std::optional<WallTime> first, std::string& why)
{
    if (question.unwatched) {
        const auto& gap = *question.unwatched;
        why = gap.since
                  ? fmt::format("opsd was not running on this node from {} until {}, or its clock was set",
                                rfc3339(*gap.since), rfc3339(gap.until))
                  : fmt::format("whether it answered is kept since {} only", rfc3339(gap.until));
        return false;
    }
    const bool self = now != nullptr && now->self;
    if (self && (own == nullptr || own->state != "unreadable")) return true;  // nobody asks it
    if (own != nullptr && own->state != "unknown") {
        if (own->state == "fresh" || own->state == "replaced") return true;
        why = "it did not answer";
        if (own->state != "gone")  // it was named anew since
            why = fmt::format("it was {}: {}", own->state, own->reason.empty() ? why : own->reason);
        return false;
    }
    if (own != nullptr) {  // it came and went, but what is kept of that begins later
        why = own->reason;
        return false;
    }
    const auto kept_since = std::max(question.kept_since, first.value_or(question.kept_since));
    if (question.time < kept_since) {
        why = fmt::format("whether it answered is kept since {} only", rfc3339(kept_since));
        return false;
    }
    if (now != nullptr && (now->freshness == Freshness::fresh || question.time <= now->answered_at))
        return true;
    why = "it did not answer";
    return false;
}

/// Known by then: named by a source, or with a row that begins before; and not gone since.
bool was_there(const Member* member, const std::vector<Transition>& rows, WallTime time)
{
    if (member != nullptr && member->self) return true;
    const Transition* last = nullptr;  // of its own
    for (const auto& row : rows) {
        if (!row.unit.empty() || row.at > time) continue;
        if (last == nullptr || std::tie(last->at, last->id) < std::tie(row.at, row.id)) last = &row;
    }
    const bool gone = last != nullptr && last->to == "gone";
    const auto named = [&](const MemberSource& source) {
        return source.first <= time && (!gone || source.first >= last->at);
    };
    if (member != nullptr && std::ranges::any_of(member->sources, named)) return true;
    return !gone && std::ranges::any_of(rows, [time](const Transition& row) { return row.at <= time; });
}

/// That this node could not read its systemd ends with the opsd that said so at the latest: what a unit did
/// later was read again.
void drop_ended(std::vector<Transition>& own, std::span<const Transition> rows, WallTime time)
{
    WallTime read{};
    for (const auto& row : rows)
        if (row.at <= time) read = std::max(read, row.at);
    std::erase_if(own, [read](const Transition& row) { return row.at < read; });
}

/// Another machine had the address before: what it did in units that this one does not have ended with it.
void drop_other_machine(std::vector<Transition>& rows, std::span<const Transition> own, const Member* member,
                        WallTime time)
{
    WallTime replaced{};
    const auto count = [&](WallTime at) {
        if (at <= time) replaced = std::max(replaced, at);
    };
    for (const auto& row : own)
        if (row.to == "replaced") count(row.at);
    if (member != nullptr) count(member->replaced_at);
    if (replaced == WallTime{}) return;
    std::set<std::string, std::less<>> present;
    if (member != nullptr)
        for (const auto& unit : member->units)
            present.insert(unit.label->id);
    for (const auto& row : rows)
        if (row.last_at > replaced) present.insert(row.unit);
    std::erase_if(rows, [&present](const Transition& row) { return !present.contains(row.unit); });
}

/// Rows in the store, and later versions of some of them that wait to be written.
void add_waiting(std::vector<ClusterTransition>& rows, std::vector<ClusterTransition> waiting)
{
    for (auto& row : waiting) {
        std::erase_if(rows, [&row](const ClusterTransition& old) { return supersedes(row, old); });
        rows.push_back(std::move(row));
    }
}

/// Of this node itself: they have no position in a member's list.
bool is_own(const ClusterTransition& row) { return !row.transition.unit.empty() && row.transition.id == 0; }

void begin_earlier(std::optional<WallTime>& begins, std::optional<WallTime> other)
{
    if (other) begins = std::min(begins.value_or(*other), *other);
}

}  // namespace

Past::Past(PastQuestion question, ClusterSnapshot cluster, std::vector<ClusterTransition> waiting)
  : question_{std::move(question)}
  , cluster_{std::move(cluster)}
{
    const auto& node = question_.node;
    for (auto& row : waiting)
        if (node.empty() || row.address == node || row.hostname == node)
            waiting_[row.address].push_back(std::move(row));
    if (!cluster_) return;
    for (const auto& member : cluster_->value.members) {
        if (node.empty() || member->address == node) untold_.emplace(member->address, member.get());
        if (member->self) self_ = member.get();
    }
}

void Past::take(const Archive::Around& page)
{
    std::map<std::string, Evidence> members;
    for (const auto& row : page.rows) {
        auto transition = transition_from(row);
        members[transition.address].rows.push_back(std::move(transition));
    }
    for (const auto& row : page.begins) {
        const auto known = members.find(as_text(row.at(0)));
        if (known != members.end()) known->second.begins = wall_time(row.at(1));
    }
    for (auto& [address, evidence] : members)
        take(address, std::move(evidence));
}

void Past::take(const std::string& address, Evidence evidence)
{
    if (auto waiting = waiting_.extract(address)) add_waiting(evidence.rows, std::move(waiting.mapped()));
    if (self_ != nullptr && address == self_->address) {  // told when all of it is there
        begin_earlier(own_.begins, evidence.begins);
        std::ranges::move(evidence.rows, std::back_inserter(own_.rows));
        return;
    }
    if (self_ != nullptr) take_own_rows(address, evidence);
    tell(address, std::move(evidence));
}

/// What this node did while it had another address.
void Past::take_own_rows(const std::string& address, Evidence& evidence)
{
    const auto before = own_.rows.size();
    std::ranges::copy_if(evidence.rows, std::back_inserter(own_.rows), is_own);
    if (own_.rows.size() == before) return;
    std::erase_if(evidence.rows, is_own);
    if (evidence.rows.empty()) begin_earlier(own_.begins, evidence.begins);
    evidence.begins.reset();  // whose it is cannot be told
    const auto of_itself = [](const ClusterTransition& row) { return row.transition.unit.empty(); };
    if (untold_.contains(address) || !std::ranges::all_of(evidence.rows, of_itself)) return;
    std::ranges::move(evidence.rows, std::back_inserter(own_.rows));  // nobody else had the address
    evidence.rows.clear();
}

void Past::tell(const std::string& address, Evidence evidence)
{
    const Member* member = nullptr;
    if (auto known = untold_.extract(address)) member = known.mapped();
    NodeThen node;
    node.address = address;
    if (member != nullptr)
        node.hostname = member->identity.hostname;
    else if (!evidence.rows.empty())
        node.hostname = evidence.rows.back().hostname;
    std::vector<Transition> rows;
    rows.reserve(evidence.rows.size());
    node.begins = evidence.begins;
    for (auto& row : evidence.rows) {
        rows.push_back(by_our_clock(std::move(row)));
        const auto& last = rows.back();
        if (!last.unit.empty()) begin_earlier(node.begins, last.last_at);
    }
    if (!was_there(member, rows, question_.time)) return;
    const auto of_itself = [](const Transition& row) { return row.unit.empty(); };
    std::vector<Transition> own_rows;
    std::ranges::copy_if(rows, std::back_inserter(own_rows), of_itself);
    std::erase_if(rows, of_itself);
    if (member != nullptr && member->self)
        drop_ended(own_rows, rows, question_.time);
    else
        drop_other_machine(rows, own_rows, member, question_.time);
    const auto own = states_at(question_.time, own_rows, {}, node.begins);
    node.answered =
        answered_then(own.empty() ? nullptr : &own.front(), member, question_, node.begins, node.why);
    node.units = states_at(question_.time, rows, states_now(member), node.begins);
    nodes_.insert_or_assign(address, std::move(node));
}

Result<std::shared_ptr<const http::Content>> Past::report()
{
    while (!waiting_.empty())
        take(std::string{waiting_.begin()->first}, {});
    if (self_ != nullptr && untold_.contains(self_->address)) tell(self_->address, std::move(own_));
    while (!untold_.empty())
        tell(std::string{untold_.begin()->first}, {});
    if (!question_.node.empty() && nodes_.empty())
        return fail(Errc::not_found, fmt::format("cannot find the node \"{}\" at that time", question_.node));
    std::vector<NodeThen> nodes;
    nodes.reserve(nodes_.size());
    for (auto& [address, node] : nodes_)
        nodes.push_back(std::move(node));
    nodes_.clear();
    auto text = report_json(question_.time, nodes, question_.full);
    return http::make_content(std::move(text), "application/json", question_.gzip);
}

}  // namespace opsd::cluster
