#include "io/kafka/producer.hpp"

#include "io/kafka/handle.hpp"
#include "opsd/worker.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <fmt/format.h>
#include <librdkafka/rdkafka.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <optional>

namespace opsd::kafka {
namespace {

using namespace std::chrono_literals;

// librdkafka wakes us once for all that came until we look; we look by ourselves too, should a wake-up be
// lost.
constexpr auto look_again = 500ms;

// A message is known by the number of its send() and its place in there, in the pointer it carries.
constexpr unsigned place_bits = 24;
constexpr std::uint64_t place_mask = (std::uint64_t{1} << place_bits) - 1;
static_assert(sizeof(void*) == sizeof(std::uint64_t));

/// Theirs or ours: librdkafka has one code for these and for connections that broke.
bool about_certificates(std::string_view trouble)
{
    return trouble.contains("certificate") || trouble.contains("unknown ca");
}

/// Into librdkafka's queue, or why not.
rd_kafka_resp_err_t hand_over(rd_kafka_t* client, const Message& message, std::uint64_t mark)
{
    // Headers of our own: librdkafka 2.0 frees those it makes twice when it does not take the message.
    auto* headers = rd_kafka_headers_new(1);
    rd_kafka_header_add(headers, "opsd_id", -1, message.id.data(), static_cast<ssize_t>(message.id.size()));
    const std::string topic{message.topic};
    std::array<rd_kafka_vu_t, 7> parts{};
    parts[0].vtype = RD_KAFKA_VTYPE_TOPIC;
    parts[0].u.cstr = topic.c_str();
    parts[1].vtype = RD_KAFKA_VTYPE_VALUE;  // its type is not const, but it is copied
    parts[1].u.mem = {const_cast<char*>(message.value.data()), message.value.size()};
    parts[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    parts[2].u.i = RD_KAFKA_MSG_F_COPY;
    parts[3].vtype = RD_KAFKA_VTYPE_OPAQUE;
    parts[3].u.ptr = reinterpret_cast<void*>(mark);
    parts[4].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    parts[4].u.i64 = std::max<std::int64_t>(message.time, 0);
    parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
    parts[5].u.headers = headers;
    parts[6].vtype = RD_KAFKA_VTYPE_KEY;
    parts[6].u.mem = {const_cast<char*>(message.key.data()), message.key.size()};
    const auto count = parts.size() - (message.key.empty() ? 1U : 0U);
    auto* error = rd_kafka_produceva(client, parts.data(), count);
    if (error == nullptr) return RD_KAFKA_RESP_ERR_NO_ERROR;
    const auto code = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    rd_kafka_headers_destroy(headers);  // still ours
    return code;
}

}  // namespace

/// One send().
struct Waiting {
    Waiting(const Executor& executor, std::size_t size)
      : event{executor, never}
      , reports(size)
      , settled(size, false)
      , left{size}
    {}
    void settle(std::size_t place, Report report)
    {
        if (place >= reports.size() || settled[place]) return;
        reports[place] = std::move(report);
        settled[place] = true;
        --left;
    }
    /// All that is not settled, also what was not handed over yet.
    void give_up(const std::string& reason)
    {
        for (std::size_t place = 0; place < reports.size(); ++place)
            settle(place, Report{Outcome::retry, reason});
        next = reports.size();
    }

    asio::steady_timer event;
    std::vector<Report> reports;
    std::vector<bool> settled;
    std::size_t left;
    std::size_t next = 0;  ///< to be handed over
};

struct Producer::Impl : std::enable_shared_from_this<Producer::Impl> {
    /// What the worker's thread makes and unmakes; used on the loop only while `open`.
    struct Slot {
        std::unique_ptr<Handle> handle;
    };

    Impl(Executor on, Settings given) : executor{std::move(on)}, settings{std::move(given)} {}
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() { worker.retire(std::move(slot)); }

    static Task<Result<std::vector<Report>>> send(std::shared_ptr<Impl> self,
                                                  std::span<const Message> messages);
    Task<Result<>> make();
    Result<> begin_watching();
    void watch();
    void serve();
    void settle(const rd_kafka_message_t& message);
    void hear(rd_kafka_event_t* event);
    void produce(std::uint64_t number, Waiting& waiting, std::span<const Message> messages);
    [[nodiscard]] Report report_of(rd_kafka_resp_err_t code) const;

    Executor executor;
    Settings settings;
    WorkerThread worker{"kafka"};
    std::shared_ptr<Slot> slot = std::make_shared<Slot>();
    std::optional<asio::posix::stream_descriptor> event;  ///< a duplicate of the handle's
    std::map<std::uint64_t, Waiting*> waiting;            ///< by number
    std::uint64_t numbers = 0;
    Report trouble;     ///< the last of no message in particular: why brokers are not reached
    bool open = false;  ///< the slot has a producer, which the loop may use
    /// That one shall be replaced before the next messages: it has had a fatal error, or what it was refused
    /// for may have been mended meanwhile, which it would notice after minutes.
    bool spent = false;
};

/// A producer is there afterwards; a new one when the old one is spent.
Task<Result<>> Producer::Impl::make()
{
    if (open && !spent) co_return Result<>{};
    const bool anew = spent;
    if (anew) {
        for (const auto& [number, one] : waiting) {
            one->give_up("the producer had to begin anew: " + trouble.reason);
            one->event.cancel();
        }
    }
    open = spent = false;
    event.reset();
    auto job = [anew, to = slot, how = settings]() -> Result<> {
        if (anew) to->handle.reset();
        if (to->handle) return {};
        auto made = open_handle(how);
        if (!made) return fail(std::move(made).error());
        to->handle = std::move(*made);
        return {};
    };
    auto made = co_await worker.run(std::move(job));
    if (!made || open) co_return made;
    co_return begin_watching();
}

Result<> Producer::Impl::begin_watching()
{
    const int fd = ::fcntl(slot->handle->event, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return fail(Errc::internal, "cannot open a descriptor for the Kafka producer");
    event.emplace(executor, fd);
    open = true;
    watch();
    return {};
}

void Producer::Impl::watch()
{
    auto woken = [weak = weak_from_this()](error_code ec) {
        const auto self = weak.lock();
        if (!self || ec || !self->open) return;
        self->serve();
        self->watch();
    };
    event->async_wait(asio::posix::descriptor_base::wait_read, std::move(woken));
}

void Producer::Impl::serve()
{
    if (!open) return;
    std::uint64_t count = 0;
    [[maybe_unused]] const auto size = ::read(event->native_handle(), &count, sizeof count);
    while (auto* news = rd_kafka_queue_poll(slot->handle->queue, 0)) {
        while (const auto* message = rd_kafka_event_message_next(news))
            settle(*message);
        if (rd_kafka_event_type(news) == RD_KAFKA_EVENT_ERROR) hear(news);
        rd_kafka_event_destroy(news);
    }
    for (const auto& [number, one] : waiting)
        one->event.cancel();
}

void Producer::Impl::settle(const rd_kafka_message_t& message)
{
    const auto mark = reinterpret_cast<std::uintptr_t>(message._private);
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) trouble = {};
    auto report = report_of(message.err);
    spent = spent || message.err == RD_KAFKA_RESP_ERR__FATAL || report.outcome == Outcome::kept;
    const auto known = waiting.find(mark >> place_bits);
    if (known != waiting.end()) known->second->settle(mark & place_mask, std::move(report));
}

/// An error of no message: brokers out of reach, refused certificates and passwords, the end.
void Producer::Impl::hear(rd_kafka_event_t* news)
{
    auto code = rd_kafka_event_error(news);
    const char* text = rd_kafka_event_error_string(news);
    std::array<char, 512> why{};
    if (code == RD_KAFKA_RESP_ERR__FATAL || rd_kafka_event_error_is_fatal(news) != 0) {
        spent = true;
        code = rd_kafka_fatal_error(slot->handle->client, why.data(), why.size());
        text = why.data();
    }
    // That all brokers are down is said behind the reason why.
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN && !trouble.reason.empty()) return;
    trouble.reason = text != nullptr ? text : rd_kafka_err2str(code);
    const bool keeps = outcome_of(code) == Outcome::kept || about_certificates(trouble.reason);
    trouble.outcome = keeps ? Outcome::kept : Outcome::retry;
}

Report Producer::Impl::report_of(rd_kafka_resp_err_t code) const
{
    Report report{outcome_of(code), {}};
    if (report.outcome == Outcome::delivered) return report;
    report.reason = rd_kafka_err2str(code);
    const bool explained = code == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT || code == RD_KAFKA_RESP_ERR__FATAL;
    if (explained && !trouble.reason.empty()) {
        report.reason += ": " + trouble.reason;
        report.outcome = trouble.outcome;
    }
    return report;
}

/// Hands over as many as librdkafka's queue takes.
void Producer::Impl::produce(std::uint64_t number, Waiting& one, std::span<const Message> messages)
{
    if (!open) return;
    for (; one.next < messages.size(); ++one.next) {
        const auto& message = messages[one.next];
        const auto code = hand_over(slot->handle->client, message, number << place_bits | one.next);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) return;
        auto report = report_of(code);
        spent = spent || code == RD_KAFKA_RESP_ERR__FATAL || report.outcome == Outcome::kept;
        // Larger than the setting: that is about this one alone, whatever is sent with it.
        if (report.outcome == Outcome::too_large) report.outcome = Outcome::refused;
        one.settle(one.next, std::move(report));
    }
}

Task<Result<std::vector<Report>>> Producer::Impl::send(std::shared_ptr<Impl> self,
                                                       std::span<const Message> messages)
{
    auto made = co_await self->make();
    if (!made) co_return fail(std::move(made).error());
    if (messages.size() > place_mask)
        co_return fail(Errc::invalid_argument, "cannot send so many messages at once");
    Waiting one{self->executor, messages.size()};
    const auto number = ++self->numbers;
    // Leaves however the task ends.
    struct Listed {
        Impl& impl;
        std::uint64_t number;
        ~Listed() { impl.waiting.erase(number); }
    };
    self->waiting.emplace(number, &one);
    const Listed listed{*self, number};
    for (;;) {
        self->produce(number, one, messages);
        if (one.left == 0) break;
        one.event.expires_after(look_again);
        co_await wait_event(one.event);
        self->serve();
    }
    co_return std::move(one.reports);
}

Producer::Producer(Executor executor, Settings settings)
  : impl_{std::make_shared<Impl>(std::move(executor), std::move(settings))}
{}

Producer::~Producer() = default;

Task<Result<std::vector<Report>>> Producer::send(std::span<const Message> messages)
{
    return Impl::send(impl_, messages);
}

std::size_t Producer::outstanding() const noexcept
{
    if (!impl_->open) return 0;
    return static_cast<std::size_t>(std::max(rd_kafka_outq_len(impl_->slot->handle->client), 0));
}

}  // namespace opsd::kafka
