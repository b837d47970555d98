// Ids, queue and writing. Rows, pages and pruning are in archive_rows.cpp and archive_prune.cpp.

#include "modules/cluster/archive.hpp"

#include "core/first_of.hpp"
#include "core/transition_row.hpp"
#include "modules/cluster/archive_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace opsd::cluster {

using namespace std::chrono_literals;

namespace {

constexpr std::int64_t id_block = 10'000;  // ids are reserved in the store in blocks, ahead of their use
constexpr std::size_t batch = 500;
constexpr std::size_t members_a_batch = 50;
constexpr Duration gather = 200ms;
constexpr Duration first_retry = 1s;
constexpr Duration longest_retry = 30s;
constexpr Duration save_pause = 5s;  // between two looks for members to write
constexpr Duration watch_interval = 60s;
constexpr Duration steered = 10s;  // a clock that is corrected by more was set

}  // namespace

Archive::Archive(Executor executor, Clock& clock, Store& store, const ArchiveOptions& options, Report report,
                 Log log)
  : clock_{clock}
  , store_{store}
  , options_{options}
  , report_{std::move(report)}
  , log_{std::move(log)}
  , news_{executor, never}
  , began_{clock.now()}
  , looked_{began_}
  , looked_steady_{clock.monotonic()}
  // Far above any counter, so that ids ascend also if the store cannot be read until later.
  , next_id_{clock.now().time_since_epoch().count()}
  , first_id_{next_id_}
{}

Task<Result<std::vector<Member>>> Archive::load(TextPool& pool)
{
    auto migrated = co_await store_.migrate("cluster", archive_schema_steps());
    if (!migrated) co_return fail(std::move(migrated).error());
    std::vector<Member> members;
    std::string after;
    for (bool more = true; more;) {
        constexpr std::size_t page = 200;  // a picture is a few KiB
        Statement query{
            "SELECT address, picture FROM cluster_members WHERE address > ?1 ORDER BY address LIMIT 200",
            {after}};
        auto rows = co_await store_.read(std::move(query), page);
        if (!rows) co_return fail(std::move(rows).error());
        more = rows->size() == page;
        for (const auto& row : *rows) {
            after = as_text(row.at(0));
            const auto newer = dirty_.find(after);
            if (newer != dirty_.end() && !newer->second.member) continue;  // forgotten, not written yet
            auto member = read_member(as_text(row.at(1)), pool);
            if (member) {
                saved_.insert_or_assign(after, clock_.monotonic());
                members.push_back(std::move(*member));
            } else {
                log_.warning("{} is begun anew: {}", after, member.error().message);
            }
        }
    }
    co_return members;
}

Task<Result<>> Archive::begin()
{
    auto positions = co_await read_positions();
    if (!positions) co_return fail(std::move(positions).error());
    auto rows = co_await store_.read(select_given_ids("cluster"), 1);
    if (!rows) co_return fail(std::move(rows).error());
    const auto ids = go_on({.next = next_id_, .lost = lost_}, given_ids(*rows), first_id_, !queue_.empty());
    next_id_ = ids.next;
    lost_ = ids.lost;
    auto reserved = co_await reserve();
    if (!reserved) {
        // What cannot be reserved is taken from the clock: the next run would give it again.
        next_id_ = std::max(next_id_, first_id_);
        co_return fail(std::move(reserved).error());
    }
    auto begun = co_await keep_watched();
    if (!begun) co_return fail(std::move(begun).error());
    begun_ = true;
    news_.cancel();
    co_return Result<>{};
}

Task<Result<>> Archive::read_positions()
{
    Statement query{"SELECT address, node_id, last_id FROM cluster_positions", {}};
    auto rows = co_await store_.read(std::move(query), 200'000);
    if (!rows) co_return fail(std::move(rows).error());
    for (const auto& row : *rows)
        positions_.insert_or_assign(as_text(row.at(0)),
                                    Position{.node_id = as_text(row.at(1)), .id = as_integer(row.at(2))});
    co_return Result<>{};
}

/// Ids are used for events before their rows are durable: after a kill they must not be given again.
Task<Result<>> Archive::reserve()
{
    const auto end = next_id_ + id_block;
    auto all = reserve_ids("cluster", end);
    const auto lost = lost_;
    if (lost > 0) all.push_back(note_lost("cluster", lost));
    auto written = co_await store_.write(std::move(all));
    if (!written) co_return fail(std::move(written).error());
    reserved_ = std::max(reserved_, end);
    lost_written_ = lost;
    co_return Result<>{};
}

ClusterTransition Archive::add(ClusterTransition transition, const std::string& node_id)
{
    transition.id = next_id_++;
    if (!transition.transition.unit.empty() && transition.transition.id > 0) {
        auto& position = positions_[transition.address];
        if (position.node_id != node_id) position = {.node_id = node_id};
        position.id = std::max(position.id, transition.transition.id);
        position.clock_offset = counted_offset(transition.clock_offset, position.clock_offset);
        transition.clock_offset = position.clock_offset;
    } else {
        transition.clock_offset = {};  // it is by our clock
    }
    if (queue_.size() >= most_queued) {
        ++dropped_;
        const auto oldest = queue_.begin() + static_cast<std::ptrdiff_t>(in_flight_);
        lost_ = std::max(lost_, oldest->row.id);
        queue_.erase(oldest);
    }
    Op op{.row = transition, .node_id = node_id};
    if (next_id_ + id_block / 2 > reserved_) op.reserve = reserved_ = next_id_ + id_block;
    queue_.push_back(std::move(op));
    news_.cancel();
    return transition;
}

std::int64_t Archive::position(const std::string& address, const std::string& node_id) const
{
    const auto known = positions_.find(address);
    return known != positions_.end() && known->second.node_id == node_id ? known->second.id : 0;
}

void Archive::keep(std::shared_ptr<const Member> member)
{
    if (!member) return;
    const auto address = member->address;
    if (member->self && !member->acknowledged) {
        if (saved_.contains(address)) forget(address);  // it was kept for its acknowledgement only
        return;
    }
    dirty_.insert_or_assign(address, Dirty{std::move(member)});
}

void Archive::forget(const std::string& address)
{
    positions_.erase(address);
    saved_.erase(address);
    dirty_.insert_or_assign(address, Dirty{nullptr});
}

Task<> Archive::run()
{
    auto writing = first_of(write_loop(), save_loop());
    co_await first_of(std::move(writing), prune_loop());
}

Task<> Archive::write_loop()
{
    auto retry = first_retry;
    for (;;) {
        while (!begun_ || queue_.empty())
            co_await wait_event(news_);
        co_await clock_.sleep_for(gather);
        while (!queue_.empty()) {
            const bool written = co_await write_batch();
            if (written) {
                retry = first_retry;
                continue;
            }
            co_await clock_.sleep_for(retry);
            retry = std::min(retry * 2, longest_retry);
        }
    }
}

Task<bool> Archive::write_batch()
{
    in_flight_ = std::min(batch, queue_.size());
    std::vector<Statement> all;
    for (std::size_t i = 0; i < in_flight_; ++i) {
        const auto& op = queue_[i];
        if (op.reserve > 0) std::ranges::move(reserve_ids("cluster", op.reserve), std::back_inserter(all));
        append_statements(all, op.row, op.node_id);
    }
    struct Landed {
        std::size_t& count;
        explicit Landed(std::size_t& n) : count{n} {}
        Landed(const Landed&) = delete;
        Landed& operator=(const Landed&) = delete;
        ~Landed() { count = 0; }
    };
    const auto lost = lost_;
    if (lost > lost_written_) all.push_back(note_lost("cluster", lost));
    const auto count = in_flight_;
    const Landed landed{in_flight_};
    auto written = co_await store_.write(std::move(all));
    if (!written) {
        report_("history", fmt::format("the cluster's history is incomplete: {}", written.error().message));
        co_return false;
    }
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(count));
    lost_written_ = lost;
    report_("history", "");
    co_return true;
}

Task<> Archive::save_loop()
{
    for (;;) {
        co_await clock_.sleep_for(save_pause);
        notice_gap();
        if (!begun_) continue;
        auto saved = co_await save(false);
        if (saved && clock_.monotonic() - watched_ >= watch_interval) saved = co_await keep_watched();
        report_("members", saved ? "" : fmt::format("the members are not kept: {}", saved.error().message));
    }
}

/// While this node slept, or before its clock was set right, nobody watched what the clock says now.
void Archive::notice_gap()
{
    const auto now = clock_.now();
    const auto steady = clock_.monotonic();
    const auto by_clock = now - looked_;
    const auto passed = steady - looked_steady_;
    if (by_clock > longest_gap || std::chrono::abs(by_clock - passed) > steered) {
        began_ = now;
        watched_ = steady - watch_interval;  // to be written at once
    }
    looked_ = now;
    looked_steady_ = steady;
}

/// That somebody watched until now.
Task<Result<>> Archive::keep_watched()
{
    notice_gap();
    const auto now = clock_.monotonic();
    std::vector<Statement> one{watched(began_, clock_.now())};
    auto written = co_await store_.write(std::move(one));
    if (!written) co_return fail(std::move(written).error());
    watched_ = now;
    co_return Result<>{};
}

/// Writes members whose time has come, all of them at the end, in small transactions.
Task<Result<>> Archive::save(bool all)
{
    const auto now = clock_.monotonic();
    std::vector<std::string> due;
    for (const auto& [address, dirty] : dirty_) {
        const auto last = saved_.find(address);
        const bool time = last == saved_.end() || now - last->second >= options_.save_interval;
        if (all || !dirty.member || time) due.push_back(address);
    }
    co_return co_await save_these(std::move(due));
}

Task<Result<>> Archive::save_now(std::string address)
{
    if (!dirty_.contains(address)) co_return Result<>{};
    if (!begun_)
        co_return fail(Errc::unavailable,
                       "cannot keep it: the store is not ready; it is in force until opsd restarts");
    std::vector<std::string> one;
    one.push_back(std::move(address));
    co_return co_await save_these(std::move(one));
}

Task<Result<>> Archive::save_these(std::vector<std::string> due)
{
    const auto now = clock_.monotonic();
    for (std::size_t begin = 0; begin < due.size(); begin += members_a_batch) {
        std::vector<Statement> statements;
        std::vector<std::pair<std::string, Dirty>> batch_of;
        for (std::size_t i = begin; i < std::min(due.size(), begin + members_a_batch); ++i) {
            auto taken = dirty_.extract(due[i]);
            if (taken.empty()) continue;
            append_member(statements, taken.key(), taken.mapped().member.get());
            batch_of.emplace_back(taken.key(), std::move(taken.mapped()));
        }
        auto written = co_await store_.write(std::move(statements));
        for (auto& [address, dirty] : batch_of) {
            if (!written)
                dirty_.try_emplace(address, std::move(dirty));  // unless there is a newer one
            else if (dirty.member)
                saved_.insert_or_assign(address, now);
        }
        if (!written) co_return fail(std::move(written).error());
    }
    co_return Result<>{};
}

Task<> Archive::flush()
{
    if (!begun_) co_return;
    while (!queue_.empty()) {
        const bool written = co_await write_batch();
        if (!written) co_return;
    }
    auto saved = co_await save(true);
    if (saved) saved = co_await keep_watched();
    if (!saved) log_.warning("cannot keep all members: {}", saved.error().message);
    if (queue_.empty()) (void)co_await store_.write(note_end("cluster", lost_));
}

Duration counted_offset(Duration measured, Duration last) noexcept
{
    constexpr Duration alike = 1s;
    if (std::chrono::abs(measured - last) < alike) return last;
    return std::chrono::abs(measured) < alike ? Duration{} : measured;
}

}  // namespace opsd::cluster
