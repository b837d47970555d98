#include "io/systemd/bus.hpp"

#include <boost/asio/post.hpp>

#include <systemd/sd-bus.h>

#include <fmt/format.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <utility>

namespace opsd::systemd {
namespace {

using Time = asio::steady_timer::time_point;
using WaitType = asio::posix::stream_descriptor::wait_type;

/// Messages handled before the loop gets its turn again: a storm of signals must not starve the HTTP server.
constexpr int messages_per_turn = 256;

/// How long lingering lasts: about as long as systemd's signals of one restart go on.
constexpr std::chrono::milliseconds linger_time{20};

/// sd-bus counts microseconds of CLOCK_MONOTONIC as steady_clock does; UINT64_MAX is never.
Time to_time(std::uint64_t usec)
{
    if (usec > static_cast<std::uint64_t>(INT64_MAX / 1000)) return never;
    return Time{std::chrono::microseconds{usec}};
}

}  // namespace

// No flush: it would block the loop when the peer hangs.
void BusUnref::operator()(sd_bus* p) const noexcept { sd_bus_close_unref(p); }
void BusUnref::operator()(sd_bus_message* p) const noexcept { sd_bus_message_unref(p); }
void BusUnref::operator()(sd_bus_slot* p) const noexcept { sd_bus_slot_unref(p); }

/// A call that was sent. Listed in pending_ until it is answered, even when its caller left.
struct Bus::Pending {
    Pending(Bus& b, const Executor& executor, Time deadline) : bus{&b}, arrived{executor, deadline} {}

    static int on_reply(sd_bus_message* message, void* self, sd_bus_error*)
    {
        auto& pending = *static_cast<Pending*>(self);
        auto& bus = *pending.bus;
        bus.greeted_ = bus.greeted_ || sd_bus_is_ready(bus.bus_.get()) > 0;  // not the farewell of a lost one
        bus.last_reply_ = asio::steady_timer::clock_type::now();
        pending.reply.reset(sd_bus_message_ref(message));
        pending.arrived.cancel();
        bus.forget(&pending);  // may destroy it, and its slot; sd-bus holds the slot while it calls back
        return 1;
    }

    Bus* bus;
    asio::steady_timer arrived;
    Message reply;
    Slot slot;
};

/// A place in the queue of those who wait for the window.
class Bus::Turn {
public:
    explicit Turn(Bus& bus) : event{bus.executor_, never}, bus_{bus}
    {
        self_ = bus.turns_.insert(bus.turns_.end(), this);
    }
    ~Turn()
    {
        bus_.turns_.erase(self_);
        bus_.next_turn();  // whoever leaves, cancelled or served, passes a free place on
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    [[nodiscard]] bool is_next() const noexcept { return bus_.turns_.front() == this; }
    asio::steady_timer event;

private:
    Bus& bus_;
    std::list<Turn*>::iterator self_;
};

/// sd-bus's C callback; a class for access to what is private.
struct Bus::Filter {
    static int on_message(sd_bus_message* message, void* self, sd_bus_error*)
    {
        auto& bus = *static_cast<Bus*>(self);
        std::uint8_t type = 0;
        sd_bus_message_get_type(message, &type);
        if (type != SD_BUS_MESSAGE_SIGNAL || !bus.on_signal_ || bus.lost_) return 0;
        try {
            bus.on_signal_(message);
        } catch (...) {  // sd-bus is C: nothing may fly through it
            bus.failure_ = std::current_exception();
            bus.close({Errc::internal, "the handler of signals threw an exception"});
        }
        return 0;
    }
};

Result<std::shared_ptr<Bus>> Bus::open(const Executor& executor, const BusOptions& options)
{
    assert(options.window > 0);
    const std::string what = "connect to systemd";
    const auto peer = (options.direct ? "systemd at " : "the system bus at ") + options.address;
    sd_bus* raw = nullptr;
    int r = sd_bus_new(&raw);
    if (r < 0) return fail(cause_of_errno(-r, peer).when_asked_to(what));
    BusPtr bus{raw};
    r = sd_bus_set_address(raw, options.address.c_str());
    if (r >= 0) r = sd_bus_set_bus_client(raw, options.direct ? 0 : 1);
    if (r >= 0) r = sd_bus_start(raw);
    if (r == -EINVAL)
        return fail(Errc::invalid_argument,
                    "cannot connect to systemd: \"" + options.address + "\" is no D-Bus address");
    if (r < 0) return fail(cause_of_errno(-r, peer).when_asked_to(what));
    // sd-bus owns its descriptor; Asio gets a duplicate that it may close.
    const int own = sd_bus_get_fd(raw);
    const int fd = own < 0 ? -1 : ::fcntl(own, F_DUPFD_CLOEXEC, 0);
    if (fd < 0) return fail(cause_of_errno(own < 0 ? -own : errno, peer).when_asked_to(what));
    auto opened = std::shared_ptr<Bus>{new Bus{executor, options, std::move(bus), fd}};
    opened->peer_ = peer;
    sd_bus_slot* filter = nullptr;
    r = sd_bus_add_filter(raw, &filter, &Filter::on_message, opened.get());
    if (r < 0) return fail(cause_of_errno(-r, peer).when_asked_to(what));
    opened->filter_.reset(filter);
    return opened;
}

Bus::Bus(const Executor& executor, BusOptions options, BusPtr bus, int fd)
  : executor_{executor}
  , options_{std::move(options)}
  , bus_{std::move(bus)}
  , fd_{executor, fd}
  , deadline_{executor, never}
  , ended_{executor, never}
  , resting_{executor, never}
{}

Bus::~Bus()
{
    assert(turns_.empty() && "a waiting call holds the Bus");
    if (resting_fd_ >= 0) ::close(resting_fd_);
}

// The bytes move in callbacks, not in a coroutine: a flapping unit wakes us some twenty times a second, and
// the hop through a coroutine would cost half as much again as the signal itself.
Task<Error> Bus::run()
{
    struct Pumping {
        explicit Pumping(bool& on) : flag{on} { flag = true; }
        ~Pumping() { flag = false; }
        Pumping(const Pumping&) = delete;
        Pumping& operator=(const Pumping&) = delete;
        bool& flag;
    };
    const auto self = shared_from_this();
    const Pumping pumping{pumping_};
    pump();
    while (!lost_)
        co_await wait_event(ended_);
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    co_return lost_->when_asked_to("stay connected to systemd");
}

void Bus::pump()
{
    if (!pumping_) return;
    const auto self = shared_from_this();  // a handler may drop the last reference but ours
    const bool rested = resting_fd_ >= 0;
    const bool all = dispatch();
    const bool linger = std::exchange(lingering_, false) && !rested;
    if (all) return linger ? rest() : arm();
    if (!lost_) {
        asio::post(executor_, [weak = weak_from_this()] {
            if (const auto bus = weak.lock()) bus->pump();
        });
    }
}

/// Handles what has arrived; true when that is all.
bool Bus::dispatch()
{
    for (int i = 0; i < messages_per_turn && !lost_; ++i) {
        const int r = sd_bus_process(bus_.get(), nullptr);
        if (r == 0) return !lost_;
        if (r > 0) continue;
        auto cause = cause_of_errno(-r, peer_);
        if (!greeted_ && cause.code == Errc::unavailable) {
            cause.text += "; a user that dbus-daemon cannot look up (DynamicUser=yes) is refused in this way";
        }
        close(std::move(cause));
    }
    return false;
}

void Bus::arm()
{
    if (!pumping_ || lost_) return;
    end_rest();
    const int events = sd_bus_get_events(bus_.get());
    std::uint64_t usec = UINT64_MAX;
    const int r = sd_bus_get_timeout(bus_.get(), &usec);
    if (events < 0 || r < 0) return close(cause_of_errno(events < 0 ? -events : -r, peer_));
    if ((events & POLLIN) != 0) arm(Direction::reading);
    if ((events & POLLOUT) != 0) arm(Direction::writing);
    arm_deadline(usec);
}

/// Takes the descriptor away from the loop: to be woken costs several times what a signal does. Not twice in
/// a row, so that it is known when the peer is calm.
void Bus::rest()
{
    if (writing_ || reading_ || !pending_.empty()) return arm();
    resting_fd_ = fd_.release();
    resting_.expires_after(linger_time);
    resting_.async_wait([weak = weak_from_this()](const error_code& waited) {
        const auto bus = weak.lock();
        if (bus && !waited) bus->pump();
    });
}

void Bus::end_rest()
{
    if (resting_fd_ < 0) return;
    resting_.cancel();
    error_code ec;
    fd_.assign(std::exchange(resting_fd_, -1), ec);
    if (ec) close(cause_of_errno(ec.value(), peer_));
}

void Bus::arm(Direction direction)
{
    bool Bus::* armed = direction == Direction::reading ? &Bus::reading_ : &Bus::writing_;
    if (this->*armed) return;
    this->*armed = true;
    fd_.async_wait(direction == Direction::reading ? WaitType::wait_read : WaitType::wait_write,
                   [weak = weak_from_this(), armed](const error_code& ec) {
                       const auto bus = weak.lock();
                       if (!bus) return;
                       (*bus).*armed = false;
                       if (!ec) bus->pump();
                   });
}

void Bus::arm_deadline(std::uint64_t usec)
{
    const auto deadline = to_time(usec);
    if (deadline == deadline_.expiry()) return;
    deadline_.expires_at(deadline);
    if (deadline == never) return;
    deadline_.async_wait([weak = weak_from_this()](const error_code& ec) {
        const auto bus = weak.lock();
        if (!bus || ec) return;
        bus->deadline_.expires_at(never);
        bus->pump();
    });
}

void Bus::close(Cause cause)
{
    if (lost_) return;
    lost_ = std::move(cause);
    for (const auto& pending : pending_)
        pending->arrived.cancel();
    pending_.clear();  // callers hold theirs; abandoned ones go
    for (auto* turn : turns_)
        turn->event.cancel();
    ended_.cancel();
    resting_.cancel();
}

Result<Message> Bus::method(const char* service, const char* path, const char* interface, const char* member)
{
    sd_bus_message* raw = nullptr;
    const int r = sd_bus_message_new_method_call(bus_.get(), &raw, options_.direct ? nullptr : service, path,
                                                 interface, member);
    if (r < 0)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot call {} of {}: it is no D-Bus object path", member, path));
    Message message{raw};
    // Without an owner the answer must be an error at once, not 25 s of waiting for an activation.
    sd_bus_message_set_auto_start(raw, 0);
    return message;
}

Task<Result<Message>> Bus::call(std::shared_ptr<Bus> bus, Message request, std::string what)
{
    auto sent = co_await begin(*bus, request, what);
    if (!sent) co_return fail(std::move(sent).error());
    auto reply = co_await end(*bus, std::move(*sent), what);
    co_return reply;
}

Task<Result<std::vector<Message>>> Bus::call_all(std::shared_ptr<Bus> bus, std::vector<Message> requests,
                                                 std::string what)
{
    std::vector<std::shared_ptr<Pending>> all;
    for (const auto& request : requests) {
        auto sent = co_await begin(*bus, request, what);
        if (!sent) co_return fail(std::move(sent).error());
        all.push_back(std::move(*sent));
    }
    std::vector<Message> replies;
    for (auto& pending : all) {
        auto reply = co_await end(*bus, std::move(pending), what);
        if (!reply) co_return fail(std::move(reply).error());
        replies.push_back(std::move(*reply));
    }
    co_return replies;
}

Task<Result<std::shared_ptr<Bus::Pending>>> Bus::begin(Bus& bus, const Message& request,
                                                       const std::string& what)
{
    auto refused = co_await bus.turn();
    if (refused) co_return fail(refused->when_asked_to(what));
    co_return bus.send(request.get(), what);
}

Task<Result<Message>> Bus::end(Bus& bus, std::shared_ptr<Pending> pending, const std::string& what)
{
    while (!pending->reply && !bus.lost_
           && pending->arrived.expiry() > asio::steady_timer::clock_type::now()) {
        co_await wait_event(pending->arrived);
    }
    if (!pending->reply) {
        if (bus.lost_) co_return fail(Errc::unavailable, bus.lost_->when_asked_to(what).message);
        co_return fail(bus.late().when_asked_to(what));
    }
    if (const auto* error = sd_bus_message_get_error(pending->reply.get()); error != nullptr) {
        const auto cause = cause_of_reply(error->name, error->message == nullptr ? "" : error->message);
        co_return fail(cause.when_asked_to(what));
    }
    co_return std::move(pending->reply);
}

Task<std::optional<Cause>> Bus::turn()
{
    if (lost_) co_return Cause{Errc::unavailable, lost_->text};
    if (turns_.empty() && pending_.size() < options_.window) co_return std::nullopt;
    Turn turn{*this};
    const auto since = asio::steady_timer::clock_type::now();
    for (;;) {
        if (lost_) co_return Cause{Errc::unavailable, lost_->text};
        if (turn.is_next() && pending_.size() < options_.window) co_return std::nullopt;
        const auto until = std::max(since, last_reply_) + options_.call_timeout;
        if (asio::steady_timer::clock_type::now() >= until) co_return late();
        turn.event.expires_at(until);
        co_await wait_event(turn.event);
    }
}

void Bus::next_turn()
{
    if (!turns_.empty() && pending_.size() < options_.window) turns_.front()->event.cancel();
}

Cause Bus::late() const
{
    return {Errc::timeout,
            fmt::format("{} did not answer within {} ms ({} calls unanswered); is PID 1 busy or hanging?",
                        peer_, options_.call_timeout.count(), pending_.size())};
}

Result<std::shared_ptr<Bus::Pending>> Bus::send(sd_bus_message* request, const std::string& what)
{
    const auto deadline = asio::steady_timer::clock_type::now() + options_.call_timeout;
    auto pending = std::make_shared<Pending>(*this, executor_, deadline);
    sd_bus_slot* raw = nullptr;
    const int r = sd_bus_call_async(bus_.get(), &raw, request, &Pending::on_reply, pending.get(), UINT64_MAX);
    if (r < 0) return fail(cause_of_errno(-r, peer_).when_asked_to(what));
    pending->slot.reset(raw);
    pending_.push_back(pending);
    arm();  // sd-bus may want to write now
    return pending;
}

void Bus::forget(const Pending* pending)
{
    std::erase_if(pending_, [&](const auto& one) { return one.get() == pending; });
    next_turn();
}

}  // namespace opsd::systemd
