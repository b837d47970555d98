// The file: what is in it, what it may be as large as, and what errors mean.

#include "pipeline/sinks/file.hpp"

#include "opsd/task_group.hpp"
#include "pipeline_support.hpp"
#include "support.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

class FileSinkTest : public ::testing::Test {
protected:
    FileSinkTest()
    {
        fs::remove_all(directory);
        fs::create_directories(directory);
    }
    ~FileSinkTest() override { fs::remove_all(directory); }

    Verdict deliver(std::uint64_t first, std::uint64_t count, std::size_t size = 3)
    {
        const auto slice = numbered(first, count, [size](std::string& out, std::uint64_t n) {
            out += std::to_string(n) + std::string(size, '.');
        });
        Batch batch;
        for (const auto& record : slice.records)
            batch.add(record, slice.text);
        FileSink sink{options, worker};
        Verdict verdict;
        run([&]() -> Task<> { verdict = co_await sink.send(batch); });
        return verdict;
    }
    [[nodiscard]] static std::string content(const std::string& path)
    {
        std::ifstream in{path};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

    fs::path directory = fs::temp_directory_path() / ("opsd-file-sink-" + std::to_string(::getpid()));
    FileSinkOptions options{.path = directory / "out.log"};
    WorkerThread worker{"file"};
};

}  // namespace

TEST_F(FileSinkTest, ALineARecord)
{
    EXPECT_EQ(deliver(1, 2).kind, Verdict::Kind::accepted);
    EXPECT_EQ(deliver(3, 1).kind, Verdict::Kind::accepted);
    EXPECT_EQ(content(options.path), "1...\n2...\n3...\n");
    struct stat file{};
    ASSERT_EQ(::stat(options.path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 0007U, 0U) << "logs are not for everybody";
}

TEST_F(FileSinkTest, ATornLineOfACrashSpoilsOnlyItself)
{
    std::ofstream{options.path} << "1...\n2.";
    EXPECT_EQ(deliver(2, 2).kind, Verdict::Kind::accepted);
    EXPECT_EQ(content(options.path), "1...\n2.\n2...\n3...\n");
}

TEST_F(FileSinkTest, KeepsToItsSize)
{
    options.max_size = 2'000;
    for (std::uint64_t n = 10; n < 90; ++n)
        EXPECT_EQ(deliver(n, 1, 97).kind, Verdict::Kind::accepted);
    EXPECT_LE(fs::file_size(options.path) + fs::file_size(options.path + ".1"), 2'000U);
    EXPECT_TRUE(content(options.path).find("89...") != std::string::npos);
    EXPECT_EQ(std::distance(fs::directory_iterator{directory}, {}), 2);
}

TEST_F(FileSinkTest, MoreThanTheFileMayHoldIsTooLarge)
{
    options.max_size = 2'000;
    EXPECT_EQ(deliver(1, 1, 1'500).kind, Verdict::Kind::too_large);
}

TEST_F(FileSinkTest, APlaceThatIsNotThereIsForSomebodyToMend)
{
    options.path = directory / "none" / "out.log";
    const auto verdict = deliver(1, 1);
    EXPECT_EQ(verdict.kind, Verdict::Kind::keep);
    EXPECT_NE(verdict.reason.find("none/out.log"), std::string::npos) << verdict.reason;
    fs::create_directories(directory / "none");
    EXPECT_EQ(deliver(1, 1).kind, Verdict::Kind::accepted);
}

TEST_F(FileSinkTest, AWriteThatHangsIsNotJoinedByOthers)
{
    run([this]() -> Task<> {
        // The thread is held as by a disk that hangs.
        const auto hold = std::make_shared<std::promise<void>>();
        FileSink sink{options, worker};
        const auto slice = numbered(1, 1);
        Batch batch;
        batch.add(slice.records[0], slice.text);
        auto hang = [hold]() -> Result<> {
            hold->get_future().wait();
            return {};
        };
        TaskGroup group{co_await asio::this_coro::executor,
                        [](std::string_view, const std::exception_ptr&) {}};
        const auto occupy = [](WorkerThread& thread, decltype(hang) job) -> Task<> {
            const auto done = co_await thread.run(std::move(job));
            EXPECT_TRUE(done);
        };
        group.spawn("hang", occupy(worker, hang));
        SystemClock patient;
        auto verdict = co_await send_within(sink, batch, patient, 50ms);
        EXPECT_EQ(verdict.kind, Verdict::Kind::retry) << "no answer in time";
        verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Verdict::Kind::retry);
        EXPECT_TRUE(verdict.reason.contains("has not ended")) << verdict.reason;
        hold->set_value();
        co_await group.join();
        for (int i = 0; i < 6'000 && verdict.kind != Verdict::Kind::accepted; ++i) {
            co_await patient.sleep_for(10ms);
            verdict = co_await sink.send(batch);
        }
        EXPECT_EQ(verdict.kind, Verdict::Kind::accepted);
        EXPECT_EQ(content(options.path), "1;\n1;\n") << "the one that hung, and one more";
    });
}
