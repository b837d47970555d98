// What is too old or too much goes: by age, by member, in total; in small transactions.

#include "core/transition_row.hpp"
#include "modules/cluster/archive.hpp"

namespace opsd::cluster {

using namespace std::chrono_literals;

namespace {

constexpr std::int64_t chunk = 500;         // rows deleted in one transaction
constexpr std::int64_t most_runs = 10'000;  // of opsd: one that fails each second must not fill the store

}  // namespace

Task<> Archive::prune_loop()
{
    auto pause = Duration{1min};
    for (;;) {
        co_await clock_.sleep_for(pause);
        pause = 10min;
        if (!begun_) continue;
        auto pruned = co_await prune();
        if (!pruned) log_.warning("cannot shorten the cluster's history: {}", pruned.error().message);
    }
}

/// Repeats a deletion of at most `chunk` rows (its last value) until `most` are gone or it finds no more.
Task<Result<>> Archive::remove(std::vector<Statement> statements, std::int64_t most)
{
    while (most > 0) {
        auto all = statements;
        for (auto& one : all)
            one.values.emplace_back(std::min(most, chunk));
        auto written = co_await store_.write(std::move(all));
        if (!written) co_return fail(std::move(written).error());
        most -= chunk;
        if (written->rows < chunk) break;
    }
    co_return Result<>{};
}

Task<Result<>> Archive::prune()
{
    constexpr std::int64_t most_a_round = 200'000;
    const auto oldest = (clock_.now() - options_.max_age).time_since_epoch().count();
    auto by_age = lose_transitions(
        "cluster", "SELECT seq FROM cluster_transitions WHERE seen_at < ?1 ORDER BY seen_at, seq LIMIT ?2",
        {std::int64_t{oldest}});
    auto aged = co_await remove(std::move(by_age), most_a_round);
    if (!aged) co_return aged;
    std::vector<Statement> runs;
    runs.push_back(
        {"DELETE FROM cluster_watch WHERE began IN (SELECT began FROM cluster_watch WHERE ended < ?1 "
         "OR began <= (SELECT began FROM cluster_watch ORDER BY began DESC LIMIT 1 OFFSET ?2) "
         "LIMIT ?3)",
         {std::int64_t{oldest}, most_runs}});
    aged = co_await remove(std::move(runs), most_a_round);
    if (!aged) co_return aged;
    Statement query{"SELECT address, COUNT(*) FROM cluster_transitions GROUP BY address HAVING COUNT(*) > ?1",
                    {options_.max_rows_per_member}};
    auto greedy = co_await store_.read(std::move(query), 1'000);
    if (!greedy) co_return fail(std::move(greedy).error());
    for (const auto& row : *greedy) {
        auto of_member = lose_transitions(
            "cluster", "SELECT seq FROM cluster_transitions WHERE address = ?1 ORDER BY seq LIMIT ?2",
            {as_text(row.at(0))});
        auto done =
            co_await remove(std::move(of_member), as_integer(row.at(1)) - options_.max_rows_per_member);
        if (!done) co_return done;
    }
    query = {"SELECT COUNT(*) FROM cluster_transitions", {}};
    auto total = co_await store_.read(std::move(query), 1);
    if (!total) co_return fail(std::move(total).error());
    const auto rows = total->empty() ? std::int64_t{0} : as_integer(total->front().at(0));
    auto of_all = lose_transitions("cluster",
                                   "SELECT seq FROM cluster_transitions WHERE seq > ?1 ORDER BY seq LIMIT ?2",
                                   {std::int64_t{0}});
    co_return co_await remove(std::move(of_all), rows - options_.max_rows);
}

}  // namespace opsd::cluster
