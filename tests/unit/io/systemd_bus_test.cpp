// sd-bus on the loop, against a real dbus-daemon of this test's own.

#include "io/systemd/bus.hpp"

#include "opsd/task_group.hpp"

#include "bus_daemon.hpp"
#include "support.hpp"

#include <atomic>
#include <deque>
#include <thread>

using namespace opsd;
using namespace opsd::systemd;
using namespace boost::asio::experimental::awaitable_operators;
using opsd::test::BusDaemon;
using opsd::test::Peer;
using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

namespace {

constexpr const char* peer_name = "org.opsd.Peer";

Result<Message> ping(Bus& bus) { return bus.method(peer_name, "/", peer_name, "Ping"); }

Task<Result<Message>> ping_peer(std::shared_ptr<Bus> bus)
{
    auto request = ping(*bus);
    if (!request) co_return fail(std::move(request).error());
    co_return co_await Bus::call(bus, std::move(*request), "ping the peer");
}

Task<Result<std::string>> bus_id(std::shared_ptr<Bus> bus)
{
    auto request =
        bus->method("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "GetId");
    if (!request) co_return fail(std::move(request).error());
    auto reply = co_await Bus::call(bus, std::move(*request), "ask for the id");
    if (!reply) co_return fail(std::move(reply).error());
    const char* text = nullptr;
    sd_bus_message_read(reply->get(), "s", &text);
    co_return std::string{text};
}

/// Answers every call.
void answer(sd_bus*, sd_bus_message* call) { sd_bus_reply_method_return(call, ""); }

/// Answers nobody until as many as `batch` wait, and counts how many waited at most. The last batch is
/// answered when a call named Flush arrives.
class Reluctant {
public:
    explicit Reluctant(std::size_t batch) : batch_{batch} {}
    void operator()(sd_bus*, sd_bus_message* call)
    {
        held_.emplace_back(sd_bus_message_ref(call));
        most = std::max(most.load(), held_.size());
        if (held_.size() >= batch_) release();
    }
    void release()
    {
        for (const auto& call : held_)
            sd_bus_reply_method_return(call.get(), "");
        held_.clear();
    }
    std::atomic<std::size_t> most{0};

private:
    std::size_t batch_;
    std::deque<Message> held_;
};

class SystemdBus : public ::testing::Test {
public:
    static void SetUpTestSuite() { daemon = std::make_unique<BusDaemon>(); }
    static void TearDownTestSuite() { daemon.reset(); }

    /// Runs `body(bus)` beside the pump.
    template <class Body>
    void with_bus(Body body)
    {
        options.address = daemon->address();
        test::run([&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            auto bus = Bus::open(executor, options);
            EXPECT_TRUE(bus) << bus.error().message;
            co_await ((*bus)->run() || body(*bus));
        });
    }

    static inline std::unique_ptr<BusDaemon> daemon;
    BusOptions options{.address = {}, .call_timeout = milliseconds{2000}};
};

}  // namespace

TEST_F(SystemdBus, ACallReturnsItsReply)
{
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        auto id = co_await bus_id(bus);
        EXPECT_TRUE(id) << id.error().message;
        EXPECT_EQ(id->size(), 32U);
        EXPECT_EQ(bus->in_flight(), 0U);
    });
}

TEST_F(SystemdBus, CallsBeyondTheWindowAreServedInTheirTurn)
{
    Reluctant reluctant{8};
    const Peer peer{daemon->address(), peer_name, std::ref(reluctant)};
    options.window = 8;
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        int answered = 0;
        TaskGroup group{executor, [](std::string_view, const std::exception_ptr&) { ADD_FAILURE(); }};
        auto one = [](std::shared_ptr<Bus> b, int& n) -> Task<> {
            auto reply = co_await ping_peer(b);
            EXPECT_TRUE(reply) << reply.error().message;
            if (reply) ++n;
        };
        for (int i = 0; i < 400; ++i)
            group.spawn("ping", one(bus, answered));
        co_await group.join();
        EXPECT_EQ(answered, 400);
    });
}

TEST_F(SystemdBus, NoMoreCallsAreSentThanTheWindowAllows)
{
    Reluctant mute{1000};
    const Peer peer{daemon->address(), peer_name, std::ref(mute)};
    options.window = 8;
    options.call_timeout = milliseconds{200};
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, [](std::string_view, const std::exception_ptr&) { ADD_FAILURE(); }};
        auto one = [](std::shared_ptr<Bus> b) -> Task<> {
            auto reply = co_await ping_peer(b);
            EXPECT_EQ(reply.error().code, Errc::timeout) << reply.error().message;
        };
        for (int i = 0; i < 40; ++i)
            group.spawn("ping", one(bus));
        co_await test::sleep(milliseconds{20});
        EXPECT_EQ(bus->in_flight(), 8U);
        EXPECT_EQ(bus->waiting(), 32U);
        co_await group.join();
    });
    EXPECT_EQ(mute.most, 8U);
}

TEST_F(SystemdBus, AnErrorReplyNamesTheCallAndTheReason)
{
    const Peer peer{daemon->address(), peer_name, [](sd_bus*, sd_bus_message* call) {
                        sd_bus_reply_method_errorf(call, "org.freedesktop.DBus.Error.AccessDenied",
                                                   "not for you");
                    }};
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        auto reply = co_await ping_peer(bus);
        EXPECT_FALSE(reply);
        EXPECT_EQ(reply.error().code, Errc::denied);
        EXPECT_TRUE(reply.error().message.starts_with("cannot ping the peer: not for you"))
            << reply.error().message;
        EXPECT_NE(reply.error().message.find("polkit"), std::string::npos) << reply.error().message;
    });
}

TEST_F(SystemdBus, ANameThatNobodyOwnsIsUnavailableAtOnce)
{
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        auto request = bus->method("org.freedesktop.systemd1", "/", "org.nobody.Here", "Ping");
        auto reply = co_await Bus::call(bus, std::move(*request), "ping nobody");
        EXPECT_EQ(reply.error().code, Errc::unavailable) << reply.error().message;
    });
}

TEST_F(SystemdBus, ASilentPeerTimesOutOnTimeThoughTheBusIsQuiet)
{
    const Peer mute{daemon->address(), peer_name};
    options.call_timeout = milliseconds{300};
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        co_await bus_id(bus);
        const auto begin = SteadyClock::now();
        auto reply = co_await ping_peer(bus);
        const auto took = SteadyClock::now() - begin;
        EXPECT_EQ(reply.error().code, Errc::timeout) << reply.error().message;
        EXPECT_GE(took, milliseconds{300});
        EXPECT_LT(took, milliseconds{2000});
    });
}

TEST_F(SystemdBus, ACallTimesOutThoughNobodyPumps)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BusOptions quick{.address = daemon->address(), .call_timeout = milliseconds{100}};
        auto bus = Bus::open(executor, quick);
        auto reply = co_await bus_id(*bus);
        EXPECT_EQ(reply.error().code, Errc::timeout) << reply.error().message;
    });
}

TEST_F(SystemdBus, AnAbandonedCallKeepsItsPlaceUntilItsAnswerComes)
{
    Reluctant reluctant{2};
    const Peer peer{daemon->address(), peer_name, std::ref(reluctant)};
    options.window = 2;
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        auto won = co_await (ping_peer(bus) || test::sleep(milliseconds{30}));
        EXPECT_EQ(won.index(), 1U);
        EXPECT_EQ(bus->in_flight(), 1U);
        auto second = co_await ping_peer(bus);  // makes the peer answer both
        EXPECT_TRUE(second) << second.error().message;
        EXPECT_EQ(bus->in_flight(), 0U);
    });
}

TEST_F(SystemdBus, CallsBeyondTheWindowGiveUpWhenNothingIsAnswered)
{
    const Peer mute{daemon->address(), peer_name};
    options.window = 1;
    options.call_timeout = milliseconds{150};
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        auto [first, second] = co_await (ping_peer(bus) && ping_peer(bus));
        EXPECT_EQ(first.error().code, Errc::timeout);
        EXPECT_EQ(second.error().code, Errc::timeout) << second.error().message;
        EXPECT_EQ(bus->waiting(), 0U);
        EXPECT_EQ(bus->in_flight(), 1U);  // the bus still counts it
    });
}

TEST_F(SystemdBus, AWaitingCallThatIsCancelledPassesItsTurnOn)
{
    Reluctant reluctant{1};
    const Peer peer{daemon->address(), peer_name, std::ref(reluctant)};
    options.window = 1;
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        auto hurry = [](std::shared_ptr<Bus> b) -> Task<> {
            auto won = co_await (ping_peer(b) || bus_id(b) || test::sleep(milliseconds{0}));
            (void)won;
        };
        co_await (hurry(bus) && hurry(bus));
        auto reply = co_await ping_peer(bus);
        EXPECT_TRUE(reply) << reply.error().message;
        EXPECT_EQ(bus->waiting(), 0U);
    });
}

TEST_F(SystemdBus, ALostConnectionEndsPumpPendingAndWaitingCalls)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BusDaemon own;
        const Peer mute{own.address(), peer_name};
        BusOptions narrow{.address = own.address(), .call_timeout = milliseconds{5000}, .window = 1};
        auto bus = Bus::open(executor, narrow);
        auto calls = [](std::shared_ptr<Bus> b) -> Task<> {
            auto [pending, waiting] = co_await (ping_peer(b) && ping_peer(b));
            EXPECT_EQ(pending.error().code, Errc::unavailable) << pending.error().message;
            EXPECT_EQ(waiting.error().code, Errc::unavailable) << waiting.error().message;
            auto later = co_await ping_peer(b);
            EXPECT_EQ(later.error().code, Errc::unavailable) << later.error().message;
        };
        auto kill_it = [](BusDaemon& daemon_) -> Task<> {
            co_await test::sleep(milliseconds{50});
            daemon_.stop();
        };
        const auto begin = SteadyClock::now();
        auto ended = co_await ((*bus)->run() && calls(*bus) && kill_it(own));
        EXPECT_EQ(ended.code, Errc::unavailable) << ended.message;
        EXPECT_LT(SteadyClock::now() - begin, milliseconds{3000});
    });
}

TEST_F(SystemdBus, SignalsArriveAndAStormOfThemLeavesRoomForTheLoop)
{
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        int seen = 0;
        int most_in_a_row = 0;
        int in_a_row = 0;
        bus->on_signal([&](sd_bus_message*) { most_in_a_row = std::max(most_in_a_row, ++in_a_row), ++seen; });
        auto request =
            bus->method("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch");
        sd_bus_message_append(request->get(), "s", "type='signal',interface='org.opsd.Storm'");
        auto added = co_await Bus::call(bus, std::move(*request), "subscribe");
        EXPECT_TRUE(added) << added.error().message;
        const Peer storm{daemon->address(), peer_name, [](sd_bus* peer, sd_bus_message* call) {
                             for (int i = 0; i < 5000; ++i)
                                 sd_bus_emit_signal(peer, "/", "org.opsd.Storm", "Blow", "u", i);
                             answer(peer, call);
                         }};
        auto ticks = [](int& row) -> Task<> {
            for (;;) {
                row = 0;
                const auto executor = co_await asio::this_coro::executor;
                asio::steady_timer now{executor, milliseconds{0}};
                co_await now.async_wait(asio::use_awaitable);
            }
        };
        auto blown = co_await (ping_peer(bus) || ticks(in_a_row));
        EXPECT_EQ(blown.index(), 0U);
        EXPECT_GE(seen, 5000);
        EXPECT_LE(most_in_a_row, 2 * 256);
        bus->on_signal({});
    });
}

TEST_F(SystemdBus, CallsInOneGoAreAllSentBeforeTheFirstAnswer)
{
    Reluctant reluctant{3};
    const Peer peer{daemon->address(), peer_name, std::ref(reluctant)};
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        std::vector<Message> requests;
        for (int i = 0; i < 3; ++i) {
            auto request = ping(*bus);
            EXPECT_TRUE(request);
            requests.push_back(std::move(*request));
        }
        auto replies = co_await Bus::call_all(bus, std::move(requests), "ping three times");
        EXPECT_TRUE(replies) << replies.error().message;
        if (replies) EXPECT_EQ(replies->size(), 3U);
    });
}

TEST_F(SystemdBus, TheFirstFailureOfCallsInOneGoIsTheAnswer)
{
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        std::vector<Message> requests;
        auto request = ping(*bus);
        EXPECT_TRUE(request);
        requests.push_back(std::move(*request));
        auto replies = co_await Bus::call_all(bus, std::move(requests), "ping nobody");
        EXPECT_FALSE(replies);
        EXPECT_EQ(bus->in_flight(), 0U);
    });
}

TEST_F(SystemdBus, SignalsThatMayWaitAreHandledTogetherAndCallsDoNotWait)
{
    with_bus([](std::shared_ptr<Bus> bus) -> Task<> {
        int seen = 0;
        int batches = 0;
        bool fresh = true;
        bus->on_signal([&](sd_bus_message* message) {
            if (sd_bus_message_is_signal(message, "org.opsd.Drip", nullptr) <= 0)
                return;  // the bus has its own
            bus->linger();
            batches += std::exchange(fresh, false) ? 1 : 0;
            ++seen;
        });
        auto request =
            bus->method("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch");
        sd_bus_message_append(request->get(), "s", "type='signal',interface='org.opsd.Drip'");
        auto added = co_await Bus::call(bus, std::move(*request), "subscribe");
        EXPECT_TRUE(added) << added.error().message;
        const Peer drip{daemon->address(), peer_name, [](sd_bus* peer, sd_bus_message* call) {
                            answer(peer, call);
                            for (int i = 0; i < 60; ++i) {
                                sd_bus_emit_signal(peer, "/", "org.opsd.Drip", "Drop", "u", i);
                                sd_bus_flush(peer);
                                std::this_thread::sleep_for(milliseconds{1});
                            }
                        }};
        auto pong = co_await ping_peer(bus);
        EXPECT_TRUE(pong) << pong.error().message;
        const auto executor = co_await asio::this_coro::executor;
        const auto end = asio::steady_timer::clock_type::now() + std::chrono::seconds{5};
        while (seen < 60 && asio::steady_timer::clock_type::now() < end) {
            fresh = true;
            asio::steady_timer tick{executor, milliseconds{1}};
            co_await tick.async_wait(asio::use_awaitable);
        }
        EXPECT_EQ(seen, 60);
        EXPECT_LE(batches, 20) << "not a wake-up for each";
        auto id = co_await bus_id(bus);
        EXPECT_TRUE(id) << id.error().message;
        bus->on_signal({});
    });
}

TEST_F(SystemdBus, WhatAHandlerThrowsComesOutOfThePump)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BusOptions to_daemon{.address = daemon->address(), .call_timeout = milliseconds{2000}};
        auto bus = Bus::open(executor, to_daemon);
        // NameAcquired is sent to everybody who says hello.
        (*bus)->on_signal([](sd_bus_message*) { throw std::runtime_error{"a bug"}; });
        std::string what;
        try {
            co_await (*bus)->run();
        } catch (const std::runtime_error& e) {
            what = e.what();
        }
        EXPECT_EQ(what, "a bug");
        auto later = co_await bus_id(*bus);
        EXPECT_EQ(later.error().code, Errc::unavailable) << later.error().message;
    });
}

TEST_F(SystemdBus, OpeningWhatIsNotThereSaysSo)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        BusOptions missing{.address = "unix:path=/nonexistent/bus"};
        auto bus = Bus::open(executor, missing);
        EXPECT_EQ(bus.error().code, Errc::unavailable);
        EXPECT_NE(bus.error().message.find("/nonexistent/bus"), std::string::npos) << bus.error().message;
        BusOptions nonsense{.address = "unix:nonsense=1"};
        auto refused = Bus::open(executor, nonsense);
        EXPECT_EQ(refused.error().code, Errc::invalid_argument) << refused.error().message;
    });
}

TEST(SystemdBusErrors, SayWhatToDo)
{
    const auto denied = cause_of_errno(EACCES, "the system bus").when_asked_to("connect to systemd");
    EXPECT_EQ(denied.code, Errc::denied);
    EXPECT_TRUE(denied.message.starts_with("cannot connect to systemd: ")) << denied.message;
    EXPECT_EQ(cause_of_errno(ECONNRESET, "x").code, Errc::unavailable);
    EXPECT_EQ(cause_of_errno(ETIMEDOUT, "x").code, Errc::timeout);
    EXPECT_EQ(cause_of_errno(EBADMSG, "x").code, Errc::protocol);
    EXPECT_EQ(cause_of_errno(EMFILE, "x").code, Errc::internal);
    EXPECT_EQ(cause_of_reply("org.freedesktop.DBus.Error.NoReply", "").code, Errc::unavailable);
    EXPECT_EQ(cause_of_reply("org.freedesktop.DBus.Error.LimitsExceeded", "too many").code,
              Errc::unavailable);
    EXPECT_EQ(cause_of_reply("org.freedesktop.systemd1.NoSuchUnit", "Unit x not loaded.").code,
              Errc::not_found);
    EXPECT_EQ(cause_of_reply("org.example.Odd", "").code, Errc::protocol);
    EXPECT_EQ(cause_of_reply("org.example.Odd", "").text, "org.example.Odd");
}
