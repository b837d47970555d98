// Transitions as server-sent events. A reader that names the last id it saw gets what it missed from the
// store, then what happens, without a gap and without a duplicate.

#include "modules/health/routes.hpp"

#include <fmt/format.h>

#include <charconv>

namespace opsd::health {

using http::Request;
using http::Response;
using http::StreamWriter;
using namespace std::chrono_literals;
using Subscription = Feed<Transition>::Subscription;

namespace {

constexpr std::size_t mailbox = 1'000;  // events that may wait for a slow client
constexpr std::size_t page_size = 500;
constexpr std::size_t most_text = 16 * 1024;  // of one write
constexpr Duration heartbeat = 15s;

std::string event_text(const Transition& transition)
{
    std::string data;
    append_transition(data, transition);
    return http::sse(std::to_string(transition.id), "transition", data);
}

/// What was missed; false when the client is gone.
Task<bool> send_missed(Core& core, StreamWriter& writer, std::int64_t& last)
{
    for (bool more = true; more;) {
        HistoryQuery query;
        query.after = last;
        query.limit = page_size;
        query.newest_first = false;
        auto page = co_await core.history.read(std::move(query));
        if (!page) {
            const auto text = http::sse({}, "error", page.error().message);
            const auto told = co_await writer.write(text);
            co_return told.has_value();
        }
        std::string text;
        for (const auto& row : page->rows)
            text += event_text(row);
        if (!page->rows.empty()) last = page->rows.back().id;
        last = std::max(last, page->last_id);
        more = page->more;
        if (text.empty()) continue;
        const auto written = co_await writer.write(text);
        if (!written) co_return false;
    }
    co_return true;
}

/// Waits for news and appends it to `text`: an argument, so that nothing taken out of the mailbox is lost
/// when the race that this runs in is decided otherwise at the same moment.
Task<> collect(Subscription& subscription, std::int64_t& last, std::string& text)
{
    while (text.empty() || (!subscription.empty() && text.size() < most_text)) {
        auto item = co_await subscription.next();
        if (item.missed > 0) text += http::sse({}, "missed", fmt::format("{{\"count\":{}}}", item.missed));
        if (!item.event || item.event->id <= last) continue;
        last = item.event->id;
        text += event_text(*item.event);
    }
}

Task<> until_closed(StreamWriter& writer, bool& closed)
{
    co_await writer.closed();
    closed = true;
}

Task<> send_news(Core& core, StreamWriter& writer, Subscription& subscription, std::int64_t last)
{
    for (bool closed = false; !closed;) {
        std::string text;
        auto news = first_of(collect(subscription, last, text), core.services.clock.sleep_for(heartbeat));
        co_await first_of(std::move(news), until_closed(writer, closed));
        if (closed) co_return;
        if (text.empty()) text = ": alive\n\n";
        const auto written = co_await writer.write(text);
        if (!written) co_return;
    }
}

/// Lives as long as the client listens; owns what it reads.
Task<> stream(std::shared_ptr<Core> core, std::optional<std::int64_t> after, StreamWriter& writer)
{
    // Subscribed before the store is read: what happens meanwhile waits here.
    const auto subscription = core->services.feeds.transitions.subscribe(mailbox);
    struct Counted {
        std::uint64_t& streams;
        explicit Counted(std::uint64_t& n) : streams{n} { ++streams; }
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        ~Counted() { --streams; }
    };
    const Counted counted{core->streams};
    const auto begun = co_await writer.write(": opsd events\n\n");
    if (!begun) co_return;
    std::int64_t last = after.value_or(0);
    if (last > core->history.last_id()) {
        // Not given by this store, so what was missed is not known; news follow from now on.
        last = 0;
        const auto text = http::sse({}, "reset", fmt::format("{{\"last_id\":{}}}", core->history.last_id()));
        const auto told = co_await writer.write(text);
        if (!told) co_return;
    } else if (after) {
        const bool there = co_await send_missed(*core, writer, last);
        if (!there) co_return;
    }
    co_await send_news(*core, writer, *subscription, last);
}

}  // namespace

Task<Response> events(std::shared_ptr<Core> core, const Request& request)
{
    std::optional<std::int64_t> after;
    const auto* text = request.headers.find("last-event-id");
    if (text == nullptr) text = request.query.find("last_event_id");
    if (text != nullptr) {
        std::int64_t id = -1;
        const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), id);
        if (error != std::errc{} || end != text->data() + text->size() || id < 0)
            co_return Response::problem(400,
                                        "cannot resume: the last event id is not a number that opsd gave");
        after = id;
    }
    const auto producer = [core, after](StreamWriter& writer) { return stream(core, after, writer); };
    auto response = Response::stream("text/event-stream", producer);
    response.with("Cache-Control", "no-store").with("X-Accel-Buffering", "no");
    co_return response;
}

}  // namespace opsd::health
