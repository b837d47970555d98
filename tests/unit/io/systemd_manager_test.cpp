// What the Manager makes of answers and signals that a real systemd does not (yet) send; the real one is met
// in tests/component.

#include "io/systemd/manager.hpp"

#include "opsd/task_group.hpp"

#include "bus_daemon.hpp"
#include "support.hpp"

using namespace opsd;
using namespace opsd::systemd;
using namespace boost::asio::experimental::awaitable_operators;
using opsd::test::BusDaemon;
using opsd::test::Peer;
using std::chrono::milliseconds;

namespace {

constexpr const char* systemd_name = "org.freedesktop.systemd1";
constexpr const char* manager = "org.freedesktop.systemd1.Manager";
constexpr const char* properties = "org.freedesktop.DBus.Properties";

bool is(sd_bus_message* message, const char* member)
{
    return std::string_view{sd_bus_message_get_member(message)} == member;
}

class Recorder final : public Observer {
public:
    explicit Recorder(const Executor& executor) : news{executor, never} {}
    void changed(const UnitChange& change) override
    {
        path = change.object_path();
        complete = change.apply_to(facts);
        const auto once = facts;
        change.apply_to(facts);  // may be asked twice
        EXPECT_EQ(once, facts);
        tell("changed");
    }
    void unit_new(std::string_view id, std::string_view object_path) override
    {
        tell("new " + std::string{id} + " " + std::string{object_path});
    }
    void unit_removed(std::string_view id, std::string_view) override { tell("removed " + std::string{id}); }
    void job_removed(std::string_view unit, std::string_view result) override
    {
        tell("job " + std::string{unit} + " " + std::string{result});
    }
    void unit_files_changed() override { tell("files"); }
    void reloading(bool active) override { tell(active ? "reloading" : "reloaded"); }

    void tell(std::string line)
    {
        lines.push_back(std::move(line));
        news.cancel();
    }
    Task<> hear(std::size_t count)
    {
        while (lines.size() < count)
            co_await wait_event(news);
    }

    asio::steady_timer news;
    std::vector<std::string> lines;
    std::string path;
    UnitFacts facts;
    bool complete = false;
};

/// Emits signals when it is called by the name of one; answers everything else with an empty reply.
void emit(sd_bus* bus, const char* path, const char* interface, const char* member, const char* types,
          auto... values)
{
    EXPECT_GE(sd_bus_emit_signal(bus, path, interface, member, types, values...), 0);
}

class SystemdAnswers : public ::testing::Test {
public:
    static void SetUpTestSuite() { daemon = std::make_unique<BusDaemon>(); }
    static void TearDownTestSuite() { daemon.reset(); }

    template <class Body>
    void with_manager(Body body)
    {
        test::run([&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            ConnectOptions options;
            options.address = daemon->address();
            options.call_timeout = milliseconds{2000};
            auto connected = connect(executor, options);
            EXPECT_TRUE(connected) << connected.error().message;
            Recorder recorder{executor};
            co_await ((*connected)->run() || body(**connected, recorder));
        });
    }

    /// Subscribes to a systemd that does `then` right after the Subscribe, and waits for `count` lines.
    void after_subscribe(Peer::OnMessage then, std::size_t count, std::function<void(Recorder&)> check)
    {
        const Peer systemd{daemon->address(), systemd_name, [&](sd_bus* bus, sd_bus_message* call) {
                               sd_bus_reply_method_return(call, "");
                               if (is(call, "Subscribe")) then(bus, call);
                           }};
        with_manager([&](Manager& m, Recorder& recorder) -> Task<> {
            auto subscribed = co_await m.subscribe(recorder);
            EXPECT_TRUE(subscribed) << subscribed.error().message;
            co_await recorder.hear(count);
            check(recorder);
        });
    }

    static inline std::unique_ptr<BusDaemon> daemon;
};

}  // namespace

TEST_F(SystemdAnswers, EveryKindOfSignalReachesTheObserver)
{
    const auto then = [](sd_bus* bus, sd_bus_message*) {
        const char* root = "/org/freedesktop/systemd1";
        emit(bus, root, manager, "UnitNew", "so", "a.service", "/org/freedesktop/systemd1/unit/a_2eservice");
        emit(bus, root, manager, "JobNew", "uos", 1, "/org/freedesktop/systemd1/job/1", "a.service");
        emit(bus, root, manager, "JobRemoved", "uoss", 1, "/org/freedesktop/systemd1/job/1", "a.service",
             "failed");
        emit(bus, root, manager, "UnitRemoved", "so", "a.service",
             "/org/freedesktop/systemd1/unit/a_2eservice");
        emit(bus, root, manager, "Reloading", "b", 1);
        emit(bus, root, manager, "Reloading", "b", 0);
        emit(bus, root, manager, "UnitFilesChanged", "");
    };
    after_subscribe(then, 6, [](Recorder& recorder) {
        const std::vector<std::string> expected{"new a.service /org/freedesktop/systemd1/unit/a_2eservice",
                                                "job a.service failed",
                                                "removed a.service",
                                                "reloading",
                                                "reloaded",
                                                "files"};
        EXPECT_EQ(recorder.lines, expected);
    });
}

TEST_F(SystemdAnswers, UnknownTypesAreSkippedAndTheRestIsRead)
{
    const auto then = [](sd_bus* bus, sd_bus_message*) {
        emit(bus, "/org/freedesktop/systemd1/unit/a_2eservice", properties, "PropertiesChanged", "sa{sv}as",
             "org.freedesktop.systemd1.Service", 4, "Brand", "a(sv)", 1, "x", "t", std::uint64_t{1},
             "NRestarts", "u", 7, "New", "as", 2, "p", "q", "Result", "s", "watchdog", 1, "ExecStart");
    };
    after_subscribe(then, 1, [](Recorder& recorder) {
        EXPECT_EQ(recorder.path, "/org/freedesktop/systemd1/unit/a_2eservice");
        EXPECT_TRUE(recorder.complete);
        EXPECT_EQ(recorder.facts.restarts, 7U);
        EXPECT_EQ(recorder.facts.result, "watchdog");
    });
}

TEST_F(SystemdAnswers, ANeededPropertyThatIsInvalidatedOrOfAnotherTypeAsksForARead)
{
    for (const bool invalidated : {true, false}) {
        const auto then = [&](sd_bus* bus, sd_bus_message*) {
            const char* path = "/org/freedesktop/systemd1/unit/a_2eservice";
            const char* unit = "org.freedesktop.systemd1.Unit";
            if (invalidated) {
                emit(bus, path, properties, "PropertiesChanged", "sa{sv}as", unit, 1, "SubState", "s", "dead",
                     1, "ActiveState");
            } else {
                emit(bus, path, properties, "PropertiesChanged", "sa{sv}as", unit, 2, "ActiveState", "u", 5,
                     "SubState", "s", "dead", 0);
            }
        };
        after_subscribe(then, 1, [](Recorder& recorder) {
            EXPECT_FALSE(recorder.complete);
            EXPECT_EQ(recorder.facts.sub_state, "dead");
        });
    }
}

TEST_F(SystemdAnswers, AJobOfUnknownTypeIsPendingUntilItIsGone)
{
    const auto then = [](sd_bus* bus, sd_bus_message*) {
        for (const unsigned job : {12U, 0U}) {
            emit(bus, "/org/freedesktop/systemd1/unit/a_2eservice", properties, "PropertiesChanged",
                 "sa{sv}as", "org.freedesktop.systemd1.Unit", 1, "Job", "(uo)", job,
                 "/org/freedesktop/systemd1/job/12", 0);
        }
    };
    after_subscribe(then, 2, [](Recorder& recorder) { EXPECT_EQ(recorder.facts.job_type, ""); });
}

TEST_F(SystemdAnswers, SignalsOfAnybodyElseAreIgnored)
{
    const Peer systemd{daemon->address(), systemd_name, [](sd_bus* bus, sd_bus_message* call) {
                           sd_bus_reply_method_return(call, "");
                           if (is(call, "ListUnits")) emit(bus, "/x", manager, "UnitFilesChanged", "");
                       }};
    with_manager([&](Manager& m, Recorder& recorder) -> Task<> {
        auto subscribed = co_await m.subscribe(recorder);
        EXPECT_TRUE(subscribed) << subscribed.error().message;
        // A stranger sends to everybody's unique name directly, past the match rules.
        sd_bus* raw = nullptr;
        sd_bus_new(&raw);
        const BusPtr stranger{raw};
        sd_bus_set_address(raw, daemon->address().c_str());
        sd_bus_set_bus_client(raw, 1);
        EXPECT_GE(sd_bus_start(raw), 0);
        for (int i = 0; i < 40; ++i) {
            sd_bus_message* forged = nullptr;
            sd_bus_message_new_signal(raw, &forged, "/org/freedesktop/systemd1", manager, "UnitNew");
            const Message owned{forged};
            sd_bus_message_append(forged, "so", "evil.service",
                                  "/org/freedesktop/systemd1/unit/evil_2eservice");
            sd_bus_message_set_destination(forged, (":1." + std::to_string(i)).c_str());
            sd_bus_send(raw, forged, nullptr);
        }
        sd_bus_flush(raw);
        std::ignore = co_await m.list_units();
        co_await recorder.hear(1);
        EXPECT_EQ(recorder.lines, std::vector<std::string>{"files"});
    });
}

TEST_F(SystemdAnswers, AnotherOwnerOfTheNameEndsTheConnection)
{
    test::run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        ConnectOptions options;
        options.address = daemon->address();
        auto connected = connect(executor, options);
        Recorder recorder{executor};
        auto leave = [](Manager& m, Recorder& r) -> Task<> {
            Peer systemd{daemon->address(), systemd_name,
                         [](sd_bus*, sd_bus_message* call) { sd_bus_reply_method_return(call, ""); }};
            auto subscribed = co_await m.subscribe(r);
            EXPECT_TRUE(subscribed) << subscribed.error().message;
            systemd.leave();
        };
        auto ended = co_await ((*connected)->run() && leave(**connected, recorder));
        EXPECT_EQ(ended.code, Errc::unavailable) << ended.message;
    });
}

TEST_F(SystemdAnswers, WithoutASystemdOnTheBusEveryCallIsUnavailable)
{
    with_manager([](Manager& m, Recorder& recorder) -> Task<> {
        auto listed = co_await m.list_units();
        EXPECT_EQ(listed.error().code, Errc::unavailable) << listed.error().message;
        auto subscribed = co_await m.subscribe(recorder);
        EXPECT_EQ(subscribed.error().code, Errc::unavailable) << subscribed.error().message;
        auto facts = co_await m.read_unit(unit_path("a.service"));
        EXPECT_EQ(facts.error().code, Errc::unavailable) << facts.error().message;
    });
}

TEST_F(SystemdAnswers, AnAnswerOfAnotherShapeIsAProtocolError)
{
    const Peer systemd{daemon->address(), systemd_name, [](sd_bus*, sd_bus_message* call) {
                           if (is(call, "GetAll"))
                               sd_bus_reply_method_return(call, "a{sv}", 1, "ActiveState", "u", 1);
                           else
                               sd_bus_reply_method_return(call, "u", 1);
                       }};
    with_manager([](Manager& m, Recorder&) -> Task<> {
        auto listed = co_await m.list_units();
        EXPECT_EQ(listed.error().code, Errc::protocol) << listed.error().message;
        auto files = co_await m.list_unit_files();
        EXPECT_EQ(files.error().code, Errc::protocol) << files.error().message;
        auto facts = co_await m.read_unit(unit_path("a.service"));
        EXPECT_EQ(facts.error().code, Errc::protocol) << facts.error().message;
        auto no_path = co_await m.read_unit("/org/freedesktop/systemd1/job/1");
        EXPECT_EQ(no_path.error().code, Errc::invalid_argument) << no_path.error().message;
    });
}

TEST_F(SystemdAnswers, AManagerThatIsGoneFailsItsCalls)
{
    const Peer mute{daemon->address(), systemd_name};
    test::run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        ConnectOptions options;
        options.address = daemon->address();
        auto connected = connect(executor, options);
        auto call = (*connected)->list_units();
        auto drop = [](std::unique_ptr<Manager>& m) -> Task<> {
            co_await test::sleep(milliseconds{20});
            m.reset();
        };
        auto listed = co_await (std::move(call) && drop(*connected));
        EXPECT_EQ(listed.error().code, Errc::unavailable) << listed.error().message;
    });
}
