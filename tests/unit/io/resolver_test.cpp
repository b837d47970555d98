#include "io/net/resolver.hpp"

#include "opsd/task_group.hpp"

#include "support.hpp"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <set>
#include <thread>

namespace opsd::net {
namespace {

using namespace test;
using namespace std::chrono_literals;

/// Name servers that answer 10.0.0.1, except for names that begin with "hangs": those wait to be released.
class Servers {
public:
    Result<std::vector<Endpoint>> ask(const std::string& host)
    {
        std::unique_lock lock{mutex_};
        ++asked_[host];
        if (host.starts_with("hangs")) released_.wait(lock, [this] { return released; });
        if (host == "nobody") return fail(Errc::unavailable, "cannot look up nobody: there is no such name");
        return std::vector<Endpoint>(1, *ip_endpoint("10.0.0.1", 0));
    }
    void release()
    {
        const std::lock_guard lock{mutex_};
        released = true;
        released_.notify_all();
    }
    int asked(const std::string& host)
    {
        const std::lock_guard lock{mutex_};
        return asked_[host];
    }

private:
    std::mutex mutex_;
    std::condition_variable released_;
    bool released = false;
    std::map<std::string, int> asked_;
};

class Lookups : public ::testing::Test {
protected:
    ~Lookups() override { servers.release(); }

    /// How a lookup ended, by its name.
    Task<> look_up(std::string host, std::chrono::milliseconds limit)
    {
        auto found = co_await resolver.resolve(host, 1050, std::chrono::steady_clock::now() + limit);
        ended.emplace(host, found ? found->front().text : found.error().message);
    }
    void begin(const std::string& host, std::chrono::milliseconds limit)
    {
        asio::co_spawn(io, look_up(host, limit), [](const std::exception_ptr& e) {
            if (e) ADD_FAILURE() << describe(e).what;
        });
    }
    template <class Condition>
    void until(Condition condition)
    {
        const auto end = std::chrono::steady_clock::now() + 5s;
        while (!condition() && std::chrono::steady_clock::now() < end) {
            io.restart();
            io.run_one_for(5ms);
        }
        EXPECT_TRUE(condition());
    }
    std::string outcome(const std::string& host)
    {
        until([&] { return ended.contains(host); });
        const auto at = ended.find(host);
        return at == ended.end() ? "" : at->second;
    }

    Servers servers;
    asio::io_context io{1};
    Resolver resolver{[this](const std::string& host) { return servers.ask(host); }, 2};
    std::multimap<std::string, std::string> ended;
};

TEST_F(Lookups, GiveTheAddressesWithThePortAskedFor)
{
    begin("good", 5s);
    EXPECT_EQ(outcome("good"), "10.0.0.1:1050");
    begin("nobody", 5s);
    EXPECT_EQ(outcome("nobody"), "cannot look up nobody: there is no such name");
    begin("fd00::1", 0ms);
    EXPECT_EQ(outcome("fd00::1"), "[fd00::1]:1050");
    EXPECT_EQ(servers.asked("fd00::1"), 0) << "a literal address is its own answer";
}

TEST_F(Lookups, ANameThatHangsDelaysNoOther)
{
    begin("hangs", 30s);
    begin("good", 5s);
    EXPECT_EQ(outcome("good"), "10.0.0.1:1050");
    EXPECT_FALSE(ended.contains("hangs"));
}

TEST_F(Lookups, ANameThatHangsHoldsOneThreadHoweverManyWantToKnow)
{
    for (int i = 0; i < 5; ++i)
        begin("hangs", 20ms);
    until([this] { return ended.count("hangs") == 5; });
    EXPECT_EQ(ended.find("hangs")->second, "cannot look up hangs: the name servers did not answer in time");
    begin("hangs", 30s);
    begin("good", 5s);
    EXPECT_EQ(outcome("good"), "10.0.0.1:1050");
    EXPECT_EQ(servers.asked("hangs"), 1);
    ended.clear();
    servers.release();
    EXPECT_EQ(outcome("hangs"), "10.0.0.1:1050") << "the one that still waits is told";
}

TEST_F(Lookups, ANameThatNobodyWaitsForAnyMoreIsNotAskedFor)
{
    begin("hangs", 30s);
    begin("hangs too", 30s);
    until([this] { return servers.asked("hangs") + servers.asked("hangs too") == 2; });
    begin("late", 20ms);
    EXPECT_EQ(outcome("late"), "cannot look up late: the name servers did not answer in time");
    begin("good", 5s);
    servers.release();
    EXPECT_EQ(outcome("good"), "10.0.0.1:1050");
    EXPECT_EQ(servers.asked("late"), 0);
}

TEST_F(Lookups, TooManyNamesAreRefusedAndThoseOnTheirWayAreNot)
{
    begin("hangs", 30s);
    begin("hangs too", 30s);
    for (int i = 2; i < 1'024; ++i)
        begin("name" + std::to_string(i), 30s);
    begin("more", 30s);
    EXPECT_EQ(outcome("more"), "cannot look up more: too many lookups wait for the name servers");
    begin("name7", 30s);
    servers.release();
    until([this] { return ended.size() == 1'026; });
    EXPECT_EQ(ended.count("name7"), 2U);
    EXPECT_EQ(ended.find("name7")->second, "10.0.0.1:1050");
}

TEST_F(Lookups, OneThatIsCancelledLeavesAtOnce)
{
    TaskGroup group{io.get_executor(), [](std::string_view, std::exception_ptr) {}};
    group.spawn("look-up", look_up("hangs", 30s));
    group.spawn("look-up", look_up("hangs too", 30s));
    group.spawn("look-up", look_up("late", 30s));
    until([this] { return servers.asked("hangs") + servers.asked("hangs too") == 2; });
    group.cancel();
    until([&group] { return group.size() == 0; });
    servers.release();
    begin("good", 5s);
    EXPECT_EQ(outcome("good"), "10.0.0.1:1050");
    EXPECT_EQ(servers.asked("late"), 0) << "nobody waits for it any more";
}

}  // namespace
}  // namespace opsd::net
