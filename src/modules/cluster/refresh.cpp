// Rounds that ask all members now: for clients that will not wait for the members' own word.

#include "core/first_of.hpp"
#include "modules/cluster/follower.hpp"

#include <fmt/format.h>

namespace opsd::cluster {

struct Followers::Refresh {
    explicit Refresh(const Executor& executor) : finished{executor, never} {}
    std::vector<Member> members;
    std::size_t next = 0;
    std::size_t done = 0;
    std::size_t workers = 0;
    bool ended = false;
    asio::steady_timer finished;
};

Task<Result<>> Followers::refresh_all(Duration limit)
{
    if (!running_)
        co_return fail(Errc::unavailable, "cannot ask the members: the cluster is not watched now");
    if (!refresh_) {
        ++counters_.refreshes;
        refresh_ = std::make_shared<Refresh>(parts_.executor);
        for (const auto& [address, one] : followed_)
            if (!one->stopped) refresh_->members.push_back(one);
        group_.spawn("refresh", refresh_round(refresh_));
    }
    const auto round = refresh_;
    const auto until = parts_.clock.monotonic() + limit;
    while (round && !round->ended) {
        const auto left = std::chrono::ceil<Duration>(until - parts_.clock.monotonic());
        if (left.count() <= 0) {
            co_return fail(
                Errc::timeout,
                fmt::format("cannot refresh within {}: {} of {} members have not answered; what is "
                            "shown of them is older",
                            human_duration(limit), round->members.size() - round->done,
                            round->members.size()));
        }
        co_await first_of(parts_.clock.sleep_for(left), wait_event(round->finished));
    }
    co_return Result<>{};
}

Task<> Followers::refresh_round(std::shared_ptr<Refresh> round)
{
    const auto enough =
        std::min<std::size_t>(static_cast<std::size_t>(parts_.options.refreshes), round->members.size());
    round->workers = enough;
    for (std::size_t i = 0; i < enough; ++i)
        group_.spawn("refresh", refresh_some(round));
    while (round->workers > 0)
        co_await wait_event(round->finished);
    round->ended = true;
    refresh_.reset();
    round->finished.cancel();
}

Task<> Followers::refresh_some(std::shared_ptr<Refresh> round)
{
    while (round->next < round->members.size()) {
        const auto one = round->members[round->next++];
        if (!one->stopped) co_await refresh_one(one);
        ++round->done;
    }
    if (--round->workers == 0) round->finished.cancel();
}

/// What fails here is left to the member's own task to judge.
Task<> Followers::refresh_one(Member one)
{
    auto question = question_for(*one);
    question.wait = Duration{0};
    const auto begun = parts_.clock.monotonic();
    auto reply = co_await ask(question);
    if (one->stopped) co_return;
    if (reply.kind == Reply::Kind::unchanged) {
        took_unchanged(*one);
    } else if (reply.kind == Reply::Kind::document) {
        [[maybe_unused]] const auto taken = co_await take_document(one, question, std::move(reply), begun);
    } else {
        ++counters_.failures[reply.failure.empty() ? "status" : reply.failure];
        co_return;
    }
    one->wake.cancel();  // it may have been given up for half a minute
}

}  // namespace opsd::cluster
