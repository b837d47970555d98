#pragma once
// A feed as server-sent events. A reader that names the last id it saw gets what it missed from where it is
// kept, then what happens, without a duplicate and without a gap that it is not told of: `missed` says how
// many events are not sent, null when that is not known because they are not kept any more; `reset` that the
// id is none of this store.

#include "core/first_of.hpp"
#include "opsd/clock.hpp"
#include "opsd/feed.hpp"
#include "opsd/http.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>

namespace opsd::http {

/// Where the events come from. T has an ascending `id`.
template <class T>
class EventSource {
public:
    struct Page {
        std::vector<T> rows;       ///< ids ascend
        std::int64_t last_id = 0;  ///< where the next page begins
        bool more = false;
    };
    virtual ~EventSource() = default;
    virtual Feed<T>& feed() = 0;
    virtual Clock& clock() = 0;
    virtual std::string text_of(const T& event) = 0;  ///< JSON
    virtual Task<Result<Page>> missed(std::int64_t after, std::size_t limit) = 0;
    /// The newest id of those that are not kept any more; 0: all are.
    virtual Task<Result<std::int64_t>> lost_through() = 0;
    virtual std::int64_t last_id() = 0;    ///< the newest that was given
    virtual std::uint64_t& streams() = 0;  ///< counts readers
};

/// One reader's stream.
template <class T>
class EventStream {
public:
    static constexpr std::size_t mailbox = 1'000;  // events that may wait for a slow client
    static constexpr std::size_t page_size = 500;
    static constexpr std::size_t most_text = 16 * 1024;  // of one write
    static constexpr std::chrono::seconds heartbeat{15};

    /// Lives as long as the client listens; owns what it reads.
    static Task<> run(std::shared_ptr<EventSource<T>> source, std::optional<std::int64_t> after,
                      StreamWriter& writer)
    {
        // Subscribed before what is kept is read: what happens meanwhile waits here.
        const auto subscription = source->feed().subscribe(mailbox);
        const Counted counted{source->streams()};
        const auto begun = co_await writer.write(": opsd events\n\n");
        if (!begun) co_return;
        std::int64_t last = after.value_or(0);
        if (last > source->last_id()) {
            // Not given by this store, so what was missed is not known; news follow from now on.
            last = 0;
            const auto text = sse({}, "reset", fmt::format("{{\"last_id\":{}}}", source->last_id()));
            const auto told = co_await writer.write(text);
            if (!told) co_return;
        } else if (after) {
            bool there = co_await send_gap(*source, writer, last);
            if (there) there = co_await send_missed(*source, writer, last);
            if (!there) co_return;
        }
        co_await send_news(*source, writer, *subscription, last);
    }

private:
    using Subscription = typename Feed<T>::Subscription;

    struct Counted {
        explicit Counted(std::uint64_t& n) : number{n} { ++number; }
        Counted(const Counted&) = delete;
        Counted& operator=(const Counted&) = delete;
        ~Counted() { --number; }
        std::uint64_t& number;
    };

    static std::string event_text(EventSource<T>& source, const T& event)
    {
        return sse(std::to_string(event.id), "transition", source.text_of(event));
    }

    static Task<bool> end_with(const Error& error, StreamWriter& writer)
    {
        const auto problem = sse({}, "error", error.message);
        (void)co_await writer.write(problem);
        co_return false;
    }

    /// That something was missed which is not kept any more. 0 asks for all that is kept, and misses nothing.
    static Task<bool> send_gap(EventSource<T>& source, StreamWriter& writer, std::int64_t last)
    {
        auto lost = co_await source.lost_through();
        if (!lost) co_return co_await end_with(lost.error(), writer);
        if (last == 0 || last >= *lost) co_return true;
        const auto text = sse({}, "missed", "{\"count\":null}");
        const auto written = co_await writer.write(text);
        co_return written.has_value();
    }

    /// What was missed; false when the client is gone, or must come again with the id it has: going on with
    /// news would leave a gap that nobody sees.
    static Task<bool> send_missed(EventSource<T>& source, StreamWriter& writer, std::int64_t& last)
    {
        for (bool more = true; more;) {
            auto page = co_await source.missed(last, page_size);
            if (!page) co_return co_await end_with(page.error(), writer);
            std::string text;
            for (const auto& row : page->rows)
                text += event_text(source, row);
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
    static Task<> collect(EventSource<T>& source, Subscription& subscription, std::int64_t& last,
                          std::string& text)
    {
        while (text.empty() || (!subscription.empty() && text.size() < most_text)) {
            auto item = co_await subscription.next();
            if (item.missed > 0) text += sse({}, "missed", fmt::format("{{\"count\":{}}}", item.missed));
            if (!item.event || item.event->id <= last) continue;
            last = item.event->id;
            text += event_text(source, *item.event);
        }
    }

    static Task<> until_closed(StreamWriter& writer, bool& closed)
    {
        co_await writer.closed();
        closed = true;
    }

    static Task<> send_news(EventSource<T>& source, StreamWriter& writer, Subscription& subscription,
                            std::int64_t last)
    {
        for (bool closed = false; !closed;) {
            std::string text;
            auto news =
                first_of(collect(source, subscription, last, text), source.clock().sleep_for(heartbeat));
            co_await first_of(std::move(news), until_closed(writer, closed));
            if (closed) co_return;
            if (text.empty()) text = ": alive\n\n";
            const auto written = co_await writer.write(text);
            if (!written) co_return;
        }
    }
};

/// Last-Event-ID or ?last_event_id; Errc::invalid_argument when it is no id.
[[nodiscard]] inline Result<std::optional<std::int64_t>> resume_after(const Request& request)
{
    const auto* text = request.headers.find("last-event-id");
    if (text == nullptr) text = request.query.find("last_event_id");
    if (text == nullptr) return std::optional<std::int64_t>{};
    std::int64_t id = -1;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), id);
    if (error != std::errc{} || end != text->data() + text->size() || id < 0)
        return fail(Errc::invalid_argument,
                    "cannot resume: the last event id is not a number that opsd gave");
    return std::optional<std::int64_t>{id};
}

/// The answer to GET /api/v1/events.
template <class T>
[[nodiscard]] Response event_response(std::shared_ptr<EventSource<T>> source, const Request& request)
{
    const auto after = resume_after(request);
    if (!after) return Response::problem(after.error());
    const auto producer = [source = std::move(source), after = *after](StreamWriter& writer) {
        return EventStream<T>::run(source, after, writer);
    };
    auto response = Response::stream("text/event-stream", producer);
    response.with("Cache-Control", "no-store").with("X-Accel-Buffering", "no");
    return response;
}

}  // namespace opsd::http
