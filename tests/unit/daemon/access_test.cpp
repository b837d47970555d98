// Tokens that cannot be read at first.

#include "daemon/access.hpp"

#include "daemon_support.hpp"
#include "io/files/files.hpp"
#include "temp_dir.hpp"

using namespace opsd;
using namespace std::chrono_literals;
using opsd::daemon::AccessControl;
using opsd::test::TempDir;

namespace {

struct House {
    explicit House(Executor executor)
      : access{std::move(executor), {}, state, clock, metrics, Log{lines, "auth"}}
    {}
    void pass(std::chrono::milliseconds time)
    {
        clock.advance(time, [] {});  // what it wakes runs with the loop
    }

    TempDir dir;
    std::string state = dir / "state";
    std::string file = state + "/auth.json";
    ManualClock clock{WallTime{std::chrono::hours{480000}}};
    telemetry::Registry metrics;
    std::shared_ptr<test::Lines> lines = std::make_shared<test::Lines>();
    AccessControl access;
};

}  // namespace

TEST(AccessControl, ReadsTokensAgainUntilTheDiskTakesThem)
{
    test::run([]() -> Task<> {
        House house{co_await asio::this_coro::executor};
        EXPECT_NE(house.access.damage(), "") << "nothing was read yet";
        co_await house.access.read_tokens(10s);
        EXPECT_NE(house.access.damage().find("cannot write"), std::string::npos) << house.access.damage();
        for (const auto pause : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
            co_await test::sleep(2ms);
            house.pass(pause);
        }
        EXPECT_NE(house.access.damage(), "");
        EXPECT_EQ(house.lines->all.size(), 1U) << "said once";
        EXPECT_TRUE(files::make_directories(house.state, 0700));
        for (int i = 0; i < 500 && !house.lines->contain("are read now"); ++i) {
            house.pass(30s);  // whatever pause it is in
            co_await test::sleep(5ms);
        }
        EXPECT_TRUE(house.lines->contain("are read now"));
        EXPECT_EQ(house.access.damage(), "");
        EXPECT_TRUE(files::read_file(house.file, 4096)) << "with a new secret";
        co_await house.access.stop();
    });
}

TEST(AccessControl, ADamagedFileWaitsForAReload)
{
    test::run([]() -> Task<> {
        House house{co_await asio::this_coro::executor};
        EXPECT_TRUE(files::make_directories(house.state, 0700));
        co_await house.access.read_tokens(10s);
        EXPECT_EQ(house.access.damage(), "");
        const auto good = files::read_file(house.file, 4096).value();
        EXPECT_TRUE(files::write_atomic(house.file, "{", 0600));
        co_await house.access.read_tokens(10s);
        EXPECT_NE(house.access.damage().find("is damaged"), std::string::npos);
        EXPECT_TRUE(files::write_atomic(house.file, good, 0600));
        house.pass(600s);
        co_await test::sleep(20ms);
        EXPECT_NE(house.access.damage(), "") << "who mends it says when it is mended";
        co_await house.access.read_tokens(10s);
        EXPECT_EQ(house.access.damage(), "");
        co_await house.access.stop();
    });
}
