// The reader without a journald; lines of a real one are read in tests/component.

#include "io/systemd/journal.hpp"

#include "opsd/task_group.hpp"
#include "opsd/worker.hpp"

#include "support.hpp"

#include <filesystem>
#include <fstream>

using namespace opsd;
using namespace opsd::systemd;
namespace fs = std::filesystem;

namespace {

struct Directory {
    Directory() : path{fs::path{::testing::TempDir()} / ("opsd-journal-" + std::to_string(::getpid()))}
    {
        fs::create_directories(path);
    }
    ~Directory() { fs::remove_all(path); }
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;
    fs::path path;
};

Result<std::vector<JournalLine>> read(const std::string& directory)
{
    Result<std::vector<JournalLine>> result;
    test::run([&]() -> Task<> {
        JournalReader reader{directory};
        JournalQuery query;
        query.unit = "a.service";
        result = co_await reader.lines_of(query);
    });
    return result;
}

}  // namespace

TEST(Journal, AReaderThatEndsDuringAReadingDoesNotWaitForIt)
{
    const Directory empty;
    test::run([&]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        auto reader = std::make_unique<JournalReader>(empty.path.string());
        TaskGroup group{executor, [](std::string_view, const std::exception_ptr&) {}};
        const auto ask = [](JournalReader& from) -> Task<> {
            JournalQuery query;
            query.unit = "a.service";
            (void)co_await from.lines_of(std::move(query));
        };
        group.spawn("reading", ask(*reader));
        co_await asio::post(executor, asio::use_awaitable);
        group.cancel();
        co_await group.join();
        reader.reset();
        auto& retired = RetiredThreads::of(executor);
        EXPECT_EQ(retired.size(), 1U) << "its thread is joined when it has ended, by the loop";
        co_await asio::this_coro::reset_cancellation_state();
        co_await retired.ended();
    });
}

TEST(Journal, NoDirectoryAndNoFilesAreNotFound)
{
    const Directory empty;
    for (const auto& path : {empty.path.string(), std::string{"/nonexistent/journal"}}) {
        auto lines = read(path);
        ASSERT_FALSE(lines);
        EXPECT_EQ(lines.error().code, Errc::not_found) << lines.error().message;
        EXPECT_NE(lines.error().message.find(path), std::string::npos) << lines.error().message;
    }
}

TEST(Journal, AFileThatIsNoJournalIsNoReasonToFailAndHasNoLines)
{
    const Directory broken;
    std::ofstream{broken.path / "system.journal"} << std::string(100'000, 'x');
    auto lines = read(broken.path.string());
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_TRUE(lines->empty());
}

TEST(Journal, AReaderThatIsGoneFailsItsCalls)
{
    test::run([]() -> Task<> {
        const Directory empty;
        auto reader = std::make_unique<JournalReader>(empty.path.string());
        using namespace boost::asio::experimental::awaitable_operators;
        JournalQuery query;
        query.unit = "a.service";
        auto first = reader->lines_of(query);
        auto drop = [](std::unique_ptr<JournalReader>& r) -> Task<> {
            r.reset();
            co_return;
        };
        auto lines = co_await (std::move(first) && drop(reader));
        EXPECT_FALSE(lines);
    });
}
