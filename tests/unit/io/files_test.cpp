#include "io/files/files.hpp"

#include "temp_dir.hpp"

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <vector>

using namespace opsd;
using opsd::test::TempDir;

namespace {

std::string content(const std::string& path)
{
    return files::read_file(path, 1 << 20).value_or("<unreadable>");
}

void put(const std::string& path, std::string_view text) { std::ofstream{path, std::ios::trunc} << text; }

unsigned mode_of(const std::string& path)
{
    struct stat now{};
    return ::stat(path.c_str(), &now) == 0 ? now.st_mode & 07777U : 0;
}

std::size_t entries(const std::string& directory)
{
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator{directory}, {}));
}

/// Fills a file system until nothing more fits.
void fill(const std::string& path)
{
    std::ofstream ballast{path};
    const std::string block(4096, 'x');
    while (ballast.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
}

}  // namespace

TEST(Files, WriteAtomicReplacesTheWholeFileWithItsMode)
{
    const TempDir dir;
    const auto path = dir / "auth.json";
    ASSERT_TRUE(files::write_atomic(path, "first, a long one", 0600));
    ASSERT_TRUE(files::write_atomic(path, "second", 0640));
    EXPECT_EQ(content(path), "second");
    EXPECT_EQ(mode_of(path), 0640U);
    EXPECT_EQ(entries(dir.path()), 1U) << "a temporary file was left behind";
}

TEST(Files, WriteAtomicGivesTheFileToItsOwner)
{
    const TempDir dir;
    const auto path = dir / "key";
    ASSERT_TRUE(files::write_atomic(path, "k", 0400, {::getuid(), ::getgid()}));
    EXPECT_EQ(mode_of(path), 0400U);
    struct stat now{};
    if (::getuid() != 0) {
        const auto refused = files::write_atomic(dir / "other", "k", 0400, {::getuid() + 1, ::getgid()});
        EXPECT_EQ(refused.error().code, Errc::denied);
        EXPECT_EQ(entries(dir.path()), 1U) << "nothing of another owner, and no leftover";
        return;
    }
    ASSERT_TRUE(files::write_atomic(path, "k", 0400, {12'345, 54'321}));
    ASSERT_EQ(::stat(path.c_str(), &now), 0);
    EXPECT_EQ(now.st_uid, 12'345U);
    EXPECT_EQ(now.st_gid, 54'321U);
}

TEST(Files, WriteAtomicIntoAMissingDirectorySaysSo)
{
    const TempDir dir;
    const auto result = files::write_atomic(dir / "no/such/file", "x", 0600);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::not_found);
    EXPECT_TRUE(result.error().message.starts_with("cannot write " + dir.path() + "/no/such/file: "));
}

TEST(Files, AFailedRenameLeavesNothingBehind)
{
    const TempDir dir;
    std::filesystem::create_directory(dir / "taken");
    ASSERT_FALSE(files::write_atomic(dir / "taken", "x", 0600));
    EXPECT_EQ(entries(dir.path()), 1U);
}

TEST(Files, AFullDiskLeavesTheOldFileUntouched)
{
    TempDir dir;
    const auto problem = dir.shrink("256k");
    if (!problem.empty()) GTEST_SKIP() << "NOT TESTED: the full disk; cannot mount a tmpfs: " << problem;
    const auto path = dir / "auth.json";
    const std::string old(8'000, 'o');
    ASSERT_TRUE(files::write_atomic(path, old, 0600));
    ASSERT_TRUE(files::append_line(dir / "audit", "first", 1 << 20, 0600));
    fill(dir / "ballast");

    const auto result = files::write_atomic(path, std::string(100'000, 'n'), 0600);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::unavailable) << result.error().message;
    EXPECT_NE(result.error().message.find(path), std::string::npos);
    EXPECT_EQ(content(path), old);
    EXPECT_EQ(entries(dir.path()), 3U);

    ASSERT_FALSE(files::append_line(dir / "audit", std::string(100'000, 'n'), 1 << 20, 0600));
    EXPECT_EQ(content(dir / "audit"), "first\n") << "half a line stayed";

    std::filesystem::remove(dir / "ballast");
    EXPECT_TRUE(files::write_atomic(path, "new", 0600));
    EXPECT_TRUE(files::append_line(dir / "audit", "second", 1 << 20, 0600));
    EXPECT_EQ(content(dir / "audit"), "first\nsecond\n");
}

TEST(Files, ReadFileIsBounded)
{
    const TempDir dir;
    put(dir / "f", std::string(100, 'x'));
    EXPECT_TRUE(files::read_file(dir / "f", 100));
    const auto result = files::read_file(dir / "f", 99);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
    EXPECT_EQ(files::read_file(dir / "missing", 99).error().code, Errc::not_found);
}

TEST(Files, ReadFileRefusesWhatIsNotAFile)
{
    const TempDir dir;
    ASSERT_EQ(::mkfifo((dir / "fifo").c_str(), 0600), 0);
    EXPECT_EQ(files::read_file(dir / "fifo", 99).error().code, Errc::invalid_argument);  // and does not wait
    EXPECT_EQ(files::read_file(dir.path(), 99).error().code, Errc::invalid_argument);
    EXPECT_FALSE(content("/proc/self/status").empty());
}

TEST(Files, AppendLineRotatesSoThatTwoFilesAreTheMost)
{
    const TempDir dir;
    const auto path = dir / "audit.log";
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(files::append_line(path, "line " + std::to_string(100 + i), 100, 0600));
        EXPECT_LE(std::filesystem::file_size(path), 100U);
    }
    EXPECT_EQ(entries(dir.path()), 2U);
    EXPECT_LE(std::filesystem::file_size(path + ".1"), 100U);
    EXPECT_TRUE(content(path).ends_with("line 199\n"));
    EXPECT_EQ(mode_of(path), 0600U);
}

TEST(Files, AppendLineEndsATornLineFirst)
{
    const TempDir dir;
    put(dir / "audit", "whole\nhal");
    ASSERT_TRUE(files::append_line(dir / "audit", "next", 1000, 0600));
    EXPECT_EQ(content(dir / "audit"), "whole\nhal\nnext\n");
}

TEST(Files, AppendLineRefusesWhatWouldBreakTheFormatOrTheBound)
{
    const TempDir dir;
    EXPECT_EQ(files::append_line(dir / "a", "two\nlines", 1000, 0600).error().code, Errc::invalid_argument);
    EXPECT_EQ(files::append_line(dir / "a", std::string(1000, 'x'), 1000, 0600).error().code,
              Errc::invalid_argument);
    EXPECT_FALSE(std::filesystem::exists(dir / "a"));
}

TEST(Files, AppendLinesWritesABatchInOrder)
{
    const TempDir dir;
    const std::vector<std::string> lines{"one", "two", "three"};
    ASSERT_TRUE(files::append_lines(dir / "a", lines, 1000, 0600));
    EXPECT_EQ(content(dir / "a"), "one\ntwo\nthree\n");
    EXPECT_TRUE(files::append_lines(dir / "b", {}, 1000, 0600));
    EXPECT_FALSE(std::filesystem::exists(dir / "b"));
}

TEST(Files, MakeDirectoriesGivesTheModeToWhatItMakes)
{
    const TempDir dir;
    const auto before = mode_of(dir.path());
    ASSERT_TRUE(files::make_directories(dir / "a/b/c", 0750));
    EXPECT_EQ(mode_of(dir / "a"), 0750U);
    EXPECT_EQ(mode_of(dir / "a/b/c"), 0750U);
    EXPECT_EQ(mode_of(dir.path()), before);
    EXPECT_TRUE(files::make_directories(dir / "a/b/c", 0700));
    EXPECT_EQ(mode_of(dir / "a/b/c"), 0750U);
    put(dir / "file", "");
    EXPECT_FALSE(files::make_directories(dir / "file/x", 0750));
}

TEST(Files, ParentOf)
{
    EXPECT_EQ(files::parent_of("/var/lib/opsd/state.db"), "/var/lib/opsd");
    EXPECT_EQ(files::parent_of("/state.db"), "/");
    EXPECT_EQ(files::parent_of("state.db"), ".");
}
