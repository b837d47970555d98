#include "no_failure.hpp"
#include "opsd/task_group.hpp"
#include "opsd/worker.hpp"
#include "support.hpp"

#include <latch>
#include <list>

using namespace opsd;
using opsd::test::no_failure;
using namespace std::chrono_literals;

namespace {

/// A job that holds the thread until it is told to go on.
struct Gate {
    std::latch entered{1};
    std::latch open{1};
    Result<int> pass()
    {
        entered.count_down();
        open.wait();
        return 1;
    }
};

Task<> run_job(WorkerThread& worker, std::function<Result<int>()> job, std::vector<std::string>& outcomes)
{
    auto result = co_await worker.run(std::move(job));
    outcomes.push_back(result ? std::to_string(*result) : std::string{to_string(result.error().code)});
}

}  // namespace

TEST(Worker, RunsAJobOnItsOwnThreadAndResumesAtHome)
{
    test::run([]() -> Task<> {
        WorkerThread worker{"test"};
        const auto home = std::this_thread::get_id();
        auto where = []() -> Result<std::thread::id> { return std::this_thread::get_id(); };
        const auto there = co_await worker.run(where);
        EXPECT_NE(there.value(), home);
        EXPECT_EQ(std::this_thread::get_id(), home);
    });
}

TEST(Worker, JobsRunInTheOrderGiven)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"test"};
        TaskGroup group{executor, no_failure};
        std::vector<std::string> outcomes;
        std::vector<std::string> wanted;
        for (int i = 0; i < 100; ++i) {
            group.spawn("job", run_job(worker, [i] { return Result<int>{i}; }, outcomes));
            wanted.push_back(std::to_string(i));
        }
        co_await group.join();
        EXPECT_EQ(outcomes, wanted);
    });
}

TEST(Worker, AJobThatThrowsIsAnInternalError)
{
    test::run([]() -> Task<> {
        WorkerThread worker{"test"};
        auto standard = []() -> Result<int> { throw std::runtime_error{"no luck"}; };
        auto odd = []() -> Result<int> { throw 5; };
        auto fine = []() -> Result<int> { return 7; };
        const auto first = co_await worker.run(standard);
        const auto second = co_await worker.run(odd);
        const auto third = co_await worker.run(fine);
        EXPECT_EQ(first.error().code, Errc::internal);
        EXPECT_EQ(first.error().message, "cannot finish the job: no luck");
        EXPECT_EQ(second.error().message, "cannot finish the job: it threw no std::exception");
        EXPECT_EQ(third.value(), 7) << "the thread lives on";
    });
}

TEST(Worker, AFullQueueRefusesAtOnce)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"store", 2};
        TaskGroup group{executor, no_failure};
        Gate gate;
        std::vector<std::string> outcomes;
        group.spawn("in hand", run_job(worker, [&gate] { return gate.pass(); }, outcomes));
        while (!gate.entered.try_wait())
            co_await test::sleep(1ms);
        for (int i = 0; i < 2; ++i)
            group.spawn("waits", run_job(worker, [] { return Result<int>{2}; }, outcomes));
        while (worker.waiting() < 2)
            co_await test::sleep(0ms);
        auto one_more = []() -> Result<int> { return 3; };
        const auto refused = co_await worker.run(one_more);
        EXPECT_EQ(refused.error().code, Errc::unavailable);
        EXPECT_EQ(refused.error().message,
                  "cannot queue the job: 2 jobs wait for the store thread already; the disk "
                  "may be slow, try again later");
        gate.open.count_down();
        co_await group.join();
        EXPECT_EQ(outcomes, (std::vector<std::string>{"1", "2", "2"}));
    });
}

TEST(Worker, StoppingFinishesTheJobInHandAndCancelsThoseThatWait)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto worker = std::make_unique<WorkerThread>("test");
        TaskGroup group{executor, no_failure};
        Gate gate;
        std::vector<std::string> outcomes;
        bool ran = false;
        group.spawn("in hand", run_job(*worker, [&gate] { return gate.pass(); }, outcomes));
        while (!gate.entered.try_wait())
            co_await test::sleep(1ms);
        group.spawn("waits", run_job(
                                 *worker,
                                 [&ran] {
                                     ran = true;
                                     return Result<int>{2};
                                 },
                                 outcomes));
        while (worker->waiting() < 1)
            co_await test::sleep(0ms);
        // Stopping waits for the job in hand, and that for the gate, which opens only once stopping has
        // begun.
        std::latch stopping{1};
        std::thread stopper{[&] {
            stopping.count_down();
            worker.reset();
        }};
        stopping.wait();
        std::this_thread::sleep_for(20ms);
        gate.open.count_down();
        stopper.join();
        co_await group.join();
        EXPECT_EQ(outcomes, (std::vector<std::string>{"1", "cancelled"}));
        EXPECT_FALSE(ran);
    });
}

TEST(Worker, ACancelledCallerIsNotWaitedForAndItsJobStillEnds)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        WorkerThread worker{"test"};
        TaskGroup group{executor, no_failure};
        Gate gate;
        std::vector<std::string> outcomes;
        auto owned = std::make_shared<int>(5);
        const std::weak_ptr<int> watch = owned;
        group.spawn("caller",
                    run_job(worker, [&gate, owned = std::move(owned)] { return gate.pass(); }, outcomes));
        while (!gate.entered.try_wait())
            co_await test::sleep(1ms);
        group.cancel();
        co_await group.join();  // returns although the job has not
        EXPECT_FALSE(watch.expired()) << "the job owns what it captured";
        gate.open.count_down();
        auto after = []() -> Result<int> { return 2; };
        const auto next = co_await worker.run(after);
        EXPECT_EQ(next.value(), 2);
        EXPECT_TRUE(outcomes.empty()) << "its result was dropped";
        EXPECT_TRUE(watch.expired());
    });
}

TEST(Worker, ARetiringOneDoesNotHoldTheLoopThatDestroysIt)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto& retired = RetiredThreads::of(executor);
        auto worker = std::make_unique<RetiringWorker>("files");
        TaskGroup group{executor, no_failure};
        Gate gate;
        std::vector<std::string> outcomes;
        group.spawn("stuck", run_job(*worker, [&gate] { return gate.pass(); }, outcomes));
        while (!gate.entered.try_wait())
            co_await test::sleep(1ms);
        worker.reset();
        EXPECT_EQ(retired.names(), std::vector<std::string>{"files"});
        gate.open.count_down();
        co_await retired.ended();
        co_await group.join();
        EXPECT_EQ(outcomes, std::vector<std::string>{"1"});
    });
}

TEST(Worker, ARetiringOneThatOutlivesItsLoopIsJoined)
{
    RetiringWorker worker{"files"};
    auto released = std::make_shared<int>(1);
    const std::weak_ptr<int> watch = released;
    test::run([&]() -> Task<> {
        auto job = [released = std::move(released)] { return Result<int>{*released}; };
        const auto done = co_await worker.run(std::move(job));
        EXPECT_TRUE(done);
    });
    worker.retire(nullptr);
    EXPECT_TRUE(watch.expired());
}

TEST(Worker, ARetiredOneDoesNotHoldTheLoopAndIsJoinedWhenItEnds)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto& retired = RetiredThreads::of(executor);
        auto worker = std::make_unique<WorkerThread>("journal");
        TaskGroup group{executor, no_failure};
        Gate gate;
        std::vector<std::string> outcomes;
        std::thread::id released_on;
        auto owned = std::shared_ptr<int>(new int{5}, [&released_on](const int* p) {
            delete p;
            released_on = std::this_thread::get_id();
        });
        const std::weak_ptr<int> watch = owned;
        group.spawn("stuck", run_job(*worker, [&gate] { return gate.pass(); }, outcomes));
        while (!gate.entered.try_wait())
            co_await test::sleep(1ms);
        group.spawn("waits", run_job(*worker, [] { return Result<int>{2}; }, outcomes));
        while (worker->waiting() < 1)
            co_await test::sleep(0ms);
        worker->retire(std::move(owned));
        worker.reset();
        for (int turn = 0; turn < 10; ++turn)
            co_await test::sleep(1ms);  // with the thread still in its job
        EXPECT_EQ(retired.names(), std::vector<std::string>{"journal"});
        EXPECT_FALSE(watch.expired()) << "the job in hand may use it";
        gate.open.count_down();
        co_await retired.ended();
        EXPECT_EQ(retired.size(), 0U);
        EXPECT_TRUE(watch.expired());
        EXPECT_NE(released_on, std::this_thread::get_id()) << "handles close on the thread that used them";
        co_await group.join();
        EXPECT_EQ(outcomes, (std::vector<std::string>{"1", "cancelled"}));
    });
}

TEST(Worker, ARetiredOneThatStillHangsIsJoinedWithTheLoopsContext)
{
    Gate gate;
    bool ended = false;
    auto outcomes = std::make_unique<std::vector<std::string>>();
    std::thread opener;
    {
        asio::io_context io{1};
        WorkerThread worker{"journal"};
        auto job = [&gate, &ended] {
            auto result = gate.pass();
            ended = true;
            return result;
        };
        asio::co_spawn(io, run_job(worker, job, *outcomes), [](const std::exception_ptr&) {});
        io.poll();
        gate.entered.wait();
        worker.retire(std::make_shared<int>(1));
        io.restart();
        io.poll();
        EXPECT_FALSE(ended);
        opener = std::thread{[&gate] {
            std::this_thread::sleep_for(20ms);
            gate.open.count_down();
        }};
    }
    EXPECT_TRUE(ended) << "nothing of it runs on after the context";
    opener.join();
    EXPECT_TRUE(outcomes->empty());
}

TEST(Worker, HangingThreadsOfANameAreBounded)
{
    test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        TaskGroup group{executor, no_failure};
        std::list<Gate> gates(RetiredThreads::most_of_a_name);
        std::vector<std::string> outcomes;
        for (auto& gate : gates) {
            WorkerThread worker{"journal"};
            group.spawn("stuck", run_job(worker, [&gate] { return gate.pass(); }, outcomes));
            while (!gate.entered.try_wait())
                co_await test::sleep(1ms);
            worker.retire(nullptr);
        }
        WorkerThread one_more{"journal"};
        auto job = []() -> Result<int> { return 7; };
        const auto refused = co_await one_more.run(job);
        EXPECT_EQ(refused.error().code, Errc::unavailable);
        EXPECT_EQ(refused.error().message, "cannot begin the job: earlier journal threads still hang in "
                                           "theirs; what they read may be on a failing disk");
        WorkerThread other{"store"};
        const auto fine = co_await other.run(job);
        EXPECT_EQ(fine.value(), 7);
        for (auto& gate : gates)
            gate.open.count_down();
        co_await RetiredThreads::of(executor).ended();
        const auto later = co_await one_more.run(job);
        EXPECT_EQ(later.value(), 7) << "it works as soon as they have ended";
        co_await group.join();
    });
}
