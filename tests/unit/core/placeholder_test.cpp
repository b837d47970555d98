#include "opsd/module.hpp"
#include "opsd/queue.hpp"
#include "opsd/task_group.hpp"
#include "opsd/worker.hpp"
#include "support.hpp"
TEST(Worker, RunsAJob)
{
    opsd::test::run([]() -> opsd::Task<> {
        opsd::WorkerThread w{"test"};
        auto job = []() -> opsd::Result<int> { return 7; };
        auto seven = co_await w.run(job);
        EXPECT_EQ(seven.value(), 7);
    });
}
