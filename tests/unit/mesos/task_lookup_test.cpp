#include "io/mesos/task_lookup.hpp"

#include "opsd/task_group.hpp"

#include "support.hpp"

#include <boost/asio/post.hpp>

namespace opsd::mesos {
namespace {

using namespace std::chrono_literals;

std::string state_with(const std::string& id)
{
    return R"({"slaves":[{"id":"S0","pid":"slave(1)@10.0.0.7:5051"}],"frameworks":[{"tasks":[{"id":")" + id
           + R"(","name":"web","framework_id":"f1","executor_id":"","slave_id":"S0",)"
             R"("state":"TASK_RUNNING"}],"completed_tasks":[{"id":"old.1","name":"old","framework_id":"f1",)"
             R"("executor_id":"","slave_id":"S0","state":"TASK_FINISHED"}]}]})";
}

/// Masters that say what they are told to, when they are told to.
struct Masters {
    explicit Masters(const Executor& executor) : go{executor, never} {}
    Task<Result<std::string>> state(std::string authorization)
    {
        authorizations.push_back(authorization);
        while (held)
            co_await wait_event(go);
        co_return answer;
    }
    void release()
    {
        held = false;
        go.cancel();
    }
    asio::steady_timer go;
    bool held = false;
    Result<std::string> answer = state_with("web.1");
    std::vector<std::string> authorizations;
};

struct Rig {
    explicit Rig(const Executor& executor) : masters{executor}, lookup{executor, clock, fetch(), {}} {}
    TaskLookup::Fetch fetch()
    {
        return [this](net::Deadline end, std::string authorization) {
            EXPECT_GT(end, std::chrono::steady_clock::now() + 5s) << "there is a deadline, of the settings";
            EXPECT_LT(end, std::chrono::steady_clock::now() + 11s);
            return masters.state(std::move(authorization));
        };
    }
    void pass(std::chrono::milliseconds time)
    {
        clock.advance(time, [] {});
    }
    ManualClock clock{WallTime{}};
    Masters masters;
    TaskLookup lookup;
};

Task<> find_into(TaskLookup& lookup, std::string wanted, std::string authorization, std::string& out)
{
    auto found = co_await lookup.find(std::move(wanted), std::move(authorization));
    out = found ? found->id : found.error().message;
}

void ignore(std::string_view, const std::exception_ptr& e) { ADD_FAILURE() << describe(e).what; }

TEST(MesosTaskLookup, AnAnswerServesForAWhile)
{
    test::run([]() -> Task<> {
        Rig rig{co_await asio::this_coro::executor};
        std::string id;
        co_await find_into(rig.lookup, "web", "", id);
        EXPECT_EQ(id, "web.1");
        co_await find_into(rig.lookup, "web.1", "", id);
        EXPECT_EQ(rig.lookup.fetches(), 1U);
        const auto tasks = co_await rig.lookup.list(false, "");
        EXPECT_EQ(tasks->size(), 1U);
        const auto all = co_await rig.lookup.list(true, "");
        EXPECT_EQ(all->size(), 2U);
        EXPECT_EQ(all->front().agent.host, "10.0.0.7");
        EXPECT_EQ(rig.lookup.fetches(), 1U);
        rig.pass(2s);
        rig.masters.answer = state_with("web.2");
        co_await find_into(rig.lookup, "web", "", id);
        EXPECT_EQ(id, "web.2") << "no older than it may be";
    });
}

TEST(MesosTaskLookup, WhatIsNotInAKeptAnswerIsLookedForAnew)
{
    test::run([]() -> Task<> {
        Rig rig{co_await asio::this_coro::executor};
        std::string id;
        co_await find_into(rig.lookup, "web", "", id);
        rig.masters.answer = state_with("web.2");
        rig.pass(10ms);
        co_await find_into(rig.lookup, "web.2", "", id);
        EXPECT_EQ(id, "web.2");
        EXPECT_EQ(rig.lookup.fetches(), 2U);
        rig.pass(10ms);
        co_await find_into(rig.lookup, "none", "", id);
        EXPECT_TRUE(id.starts_with("cannot find the task")) << id;
        EXPECT_EQ(rig.lookup.fetches(), 3U) << "once, not for ever";
    });
}

TEST(MesosTaskLookup, NobodySeesTheAnswerToAnother)
{
    test::run([]() -> Task<> {
        Rig rig{co_await asio::this_coro::executor};
        std::string id;
        co_await find_into(rig.lookup, "web", "token=a", id);
        rig.masters.answer = fail(Errc::denied, "cannot ask: 403");
        co_await find_into(rig.lookup, "web", "token=b", id);
        EXPECT_EQ(id, "cannot ask: 403");
        EXPECT_EQ(rig.masters.authorizations, (std::vector<std::string>{"token=a", "token=b"}));
    });
}

TEST(MesosTaskLookup, OneQuestionServesAllWhoWait)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Rig rig{executor};
        rig.masters.held = true;
        std::vector<std::string> ids(3);
        TaskGroup group{executor, ignore};
        for (auto& id : ids)
            group.spawn("find", find_into(rig.lookup, "web", "", id));
        co_await asio::post(executor, asio::use_awaitable);
        rig.masters.release();
        co_await group.join();
        EXPECT_EQ(ids, (std::vector<std::string>{"web.1", "web.1", "web.1"}));
        EXPECT_EQ(rig.lookup.fetches(), 1U);
    });
}

TEST(MesosTaskLookup, WhoLeavesTakesNothingFromThoseWhoWait)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Rig rig{executor};
        rig.masters.held = true;
        std::string first;
        std::string second;
        TaskGroup leaving{executor, ignore};
        TaskGroup staying{executor, ignore};
        leaving.spawn("find", find_into(rig.lookup, "web", "", first));
        staying.spawn("find", find_into(rig.lookup, "web", "", second));
        leaving.cancel();
        co_await leaving.join();
        rig.masters.release();
        co_await staying.join();
        EXPECT_EQ(first, "");
        EXPECT_EQ(second, "web.1");
        EXPECT_EQ(rig.lookup.fetches(), 2U);
    });
}

}  // namespace
}  // namespace opsd::mesos
