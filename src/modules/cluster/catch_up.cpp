// Transitions that a member made while nobody here listened: fetched page by page, few members at a time.

#include "modules/cluster/follower.hpp"

#include <fmt/format.h>

namespace opsd::cluster {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t page_rows = 500;
constexpr int most_pages = 200;
constexpr Duration retry_after = 10s;

}  // namespace

void Followers::want_transitions(Followed& one)
{
    if (one.is_behind || one.speech == Speech::dcos || parts_.clock.monotonic() < one.next_catch_up) return;
    const auto known = followed_.find(one.address);
    if (known == followed_.end()) return;
    one.is_behind = true;
    behind_.push_back(known->second);
    behind_event_.cancel();
}

Task<> Followers::catch_up_loop()
{
    for (;;) {
        while (behind_.empty())
            co_await wait_event(behind_event_);
        const auto one = behind_.front();
        behind_.pop_front();
        if (one->stopped) {
            one->is_behind = false;
            continue;
        }
        const auto told = one->told;
        auto done = co_await catch_up(one);
        one->is_behind = false;
        if (done) {
            one->caught_up = told;
            continue;
        }
        one->next_catch_up = parts_.clock.monotonic() + retry_after;
        ++counters_.failures["history"];
        parts_.log.debug("{}", done.error().message);
    }
}

Task<Result<>> Followers::catch_up(Member one)
{
    for (int page = 0; page < most_pages && !one->stopped; ++page) {
        const auto kept = parts_.kept(one->address);
        if (!kept) co_return fail(Errc::unavailable, "cannot take more transitions: the archive has no room");
        const auto after = *kept > 0 ? *kept : std::max<std::int64_t>(0, one->told - parts_.backlog);
        net::ClientRequest request;
        request.url = fmt::format("{}/api/v1/node/history?after={}&limit={}",
                                  origin_of(one->address, parts_.reach), after, page_rows);
        if (!parts_.reach.token.empty())
            request.headers.emplace_back("Authorization", "Bearer " + parts_.reach.token);
        request.connect_timeout = parts_.options.connect_timeout;
        request.first_byte_timeout = parts_.options.answer_timeout;
        request.timeout = parts_.options.connect_timeout + 2 * parts_.options.answer_timeout;
        request.max_body = parts_.options.max_document.count;
        auto response = co_await parts_.send(std::move(request));
        if (!response) co_return fail(std::move(response).error());
        if (response->status == 404) co_return Result<>{};  // it keeps none
        if (response->status == 503)  // its history is not open, or others read it: later, from here on
            co_return fail(
                Errc::unavailable,
                fmt::format("cannot read the transitions of {} yet: it answers 503", one->address));
        if (response->status != 200)
            co_return fail(Errc::protocol, fmt::format("cannot read the transitions of {}: it answers {}",
                                                       one->address, response->status));
        auto rows = read_page(response->body, page_rows);
        if (!rows) co_return fail(std::move(rows).error());
        const bool more = rows->more && rows->last_id > after;
        counters_.transitions += rows->rows.size();
        parts_.learned(one->address, std::move(*rows));
        if (!more) break;
    }
    co_return Result<>{};
}

}  // namespace opsd::cluster
