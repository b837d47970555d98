#include "io/sandbox/opener.hpp"

#include "files_of_tasks.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include <algorithm>
#include <chrono>

using namespace opsd;
using opsd::test::AsNobody;
using opsd::test::Sandboxes;
using opsd::test::text_of;

namespace {

std::string outcome(const Result<sandbox::OpenFile>& opened)
{
    if (opened) return "opened: " + text_of(opened->descriptor.get());
    return std::string{to_string(opened.error().code)};
}

std::vector<std::string> names(const std::vector<sandbox::FolderEntry>& entries)
{
    std::vector<std::string> all;
    for (const auto& entry : entries)
        all.push_back(entry.name + (entry.folder ? "/" : ""));
    std::ranges::sort(all);
    return all;
}

struct OwnOpener : ::testing::Test {
    Sandboxes files;
    std::unique_ptr<sandbox::Opener> opener = sandbox::make_own_opener(files.slaves());

    std::string open(std::string_view path) { return outcome(opener->open(path)); }
};

}  // namespace

TEST_F(OwnOpener, OpensAFileForReadingAndSaysWhichItIs)
{
    const auto opened = opener->open("a/stdout");
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(text_of(opened->descriptor.get()), "one\n");
    EXPECT_EQ(opened->size, 4U);
    struct stat now{};
    ASSERT_EQ(::stat(files.path("slaves/a/stdout").c_str(), &now), 0);
    EXPECT_EQ(opened->identity, (sandbox::FileIdentity{now.st_dev, now.st_ino}));
    const int flags = ::fcntl(opened->descriptor.get(), F_GETFL);
    EXPECT_EQ(flags & O_ACCMODE, O_RDONLY);
    EXPECT_NE(::fcntl(opened->descriptor.get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(OwnOpener, AFileRenamedWhileItIsOpenIsReadOnAndKnownByItsIdentity)
{
    const auto opened = opener->open("a/stdout");
    ASSERT_TRUE(opened);
    std::filesystem::rename(files.path("slaves/a/stdout"), files.path("slaves/a/stdout.1"));
    files.put("slaves/a/stdout", "two\n");
    EXPECT_EQ(text_of(opened->descriptor.get()), "one\n");
    const auto rotated = opener->open("a/stdout.1");
    const auto fresh = opener->open("a/stdout");
    ASSERT_TRUE(rotated && fresh);
    EXPECT_EQ(rotated->identity, opened->identity);
    EXPECT_NE(fresh->identity, opened->identity);
}

TEST_F(OwnOpener, FollowsNoLinkAtAnyLevel)
{
    files.link("../../secret", "slaves/a/last");
    files.link(files.path("secret"), "slaves/a/absolute");
    files.link("stdout", "slaves/a/inside");
    files.link("../a", "slaves/a/again");
    files.link("a", "slaves/first");
    files.link("nowhere", "slaves/a/dangling");
    files.link("/proc/self/root", "slaves/a/magic");
    for (const auto* path : {"a/last", "a/absolute", "a/inside", "a/again/stdout", "first/stdout",
                             "a/dangling", "a/magic/etc/passwd"})
        EXPECT_EQ(open(path), "invalid_argument") << path;
    const auto refused = opener->open("a/last");
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("symbolic link"), std::string::npos) << refused.error().message;
    const auto listed = opener->list("first", 10);
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, Errc::invalid_argument);
}

TEST_F(OwnOpener, LeavesTheFolderByNoPath)
{
    for (const auto* path : {"..", "../secret", "a/../../secret", "a/..", "a/./stdout", ".", "a//stdout",
                             "/etc/passwd", "a/", "a/stdout/"})
        EXPECT_EQ(open(path), "invalid_argument") << path;
    EXPECT_EQ(open(""), "invalid_argument");
    EXPECT_EQ(open(std::string_view{"a/stdout\0x", 10}), "invalid_argument");
    EXPECT_EQ(open(std::string(5000, 'x')), "invalid_argument");
    EXPECT_EQ(open(std::string(300, 'x')), "invalid_argument");
    const auto listed = opener->list("..", 10);
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, Errc::invalid_argument);
}

TEST_F(OwnOpener, AFifoIsRefusedWithoutWaitingAndWithoutItsWriterNoticing)
{
    ASSERT_EQ(::mkfifo(files.path("slaves/a/pipe").c_str(), 0600), 0);
    EXPECT_EQ(open("a/pipe"), "invalid_argument");
    // A writer that does not wait finds no reader, now as before.
    EXPECT_EQ(::open(files.path("slaves/a/pipe").c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC), -1);
    EXPECT_EQ(errno, ENXIO);
}

TEST_F(OwnOpener, ASocketAndADeviceAreRefused)
{
    const UniqueFd socket{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const auto path = files.path("slaves/a/socket");
    ASSERT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(open("a/socket"), "invalid_argument");
    if (::mknod(files.path("slaves/a/null").c_str(), S_IFCHR | 0600, makedev(1, 3)) != 0)
        GTEST_SKIP() << "only root makes devices";
    EXPECT_EQ(open("a/null"), "invalid_argument");
}

TEST_F(OwnOpener, AHardLinkIsRefusedBecauseItsOtherNameMayBeAnywhere)
{
    std::filesystem::create_hard_link(files.path("secret"), files.path("slaves/a/mine"));
    const auto refused = opener->open("a/mine");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    EXPECT_NE(refused.error().message.find("hard link"), std::string::npos) << refused.error().message;
    std::filesystem::remove(files.path("secret"));
    EXPECT_EQ(open("a/mine"), "opened: secret\n") << "it has no other name any more";
}

TEST_F(OwnOpener, WhatIsNotThereIsNotFound)
{
    EXPECT_EQ(open("a/stderr"), "not_found");
    EXPECT_EQ(open("b/stdout"), "not_found");
    EXPECT_EQ(open("a/stdout/x"), "not_found");
    std::filesystem::remove_all(files.slaves());
    const auto gone = opener->open("a/stdout");
    ASSERT_FALSE(gone);
    EXPECT_EQ(gone.error().code, Errc::not_found);
    EXPECT_NE(gone.error().message.find(files.slaves()), std::string::npos);
    std::filesystem::create_directories(files.path("slaves/a"));
    files.put("slaves/a/stdout", "again\n");
    EXPECT_EQ(open("a/stdout"), "opened: again\n") << "the folder was made anew";
}

TEST_F(OwnOpener, WhatIsNotPermittedSaysWhatWouldPermitIt)
{
    if (::geteuid() != 0) GTEST_SKIP() << "only root can stop being root";
    ASSERT_EQ(::chmod(files.path("").c_str(), 0755), 0);
    ASSERT_EQ(::chmod(files.path("slaves/a").c_str(), 0700), 0);
    const AsNobody unprivileged;
    const auto denied = opener->open("a/stdout");
    ASSERT_FALSE(denied);
    EXPECT_EQ(denied.error().code, Errc::denied);
    for (const auto* part :
         {"/slaves/a/stdout", "/usr/share/opsd/task-logs.conf", "opsd.service.d", "restart", "files API"})
        EXPECT_NE(denied.error().message.find(part), std::string::npos) << denied.error().message;
    const auto listed = opener->list("a", 10);
    ASSERT_FALSE(listed);
    EXPECT_EQ(listed.error().code, Errc::denied);
}

TEST_F(OwnOpener, ListsFilesAndFoldersAndNothingElse)
{
    std::filesystem::create_directory(files.path("slaves/a/logs"));
    files.put("slaves/a/stderr", "");
    files.link("stdout", "slaves/a/link");
    ASSERT_EQ(::mkfifo(files.path("slaves/a/pipe").c_str(), 0600), 0);
    const auto inside = opener->list("a", 100);
    ASSERT_TRUE(inside) << inside.error().message;
    EXPECT_EQ(names(*inside), (std::vector<std::string>{"logs/", "stderr", "stdout"}));
    const auto top = opener->list("", 100);
    ASSERT_TRUE(top) << top.error().message;
    EXPECT_EQ(names(*top), (std::vector<std::string>{"a/"}));
    const auto file = opener->list("a/stdout", 100);
    ASSERT_FALSE(file);
}

TEST_F(OwnOpener, ListsNoMoreThanAskedForHoweverMuchThereIs)
{
    for (int i = 0; i < 50; ++i)
        files.put("slaves/a/file" + std::to_string(i), "");
    const auto some = opener->list("a", 7);
    ASSERT_TRUE(some);
    EXPECT_EQ(some->size(), 7U);
    const auto none = opener->list("a", 0);
    ASSERT_TRUE(none);
    EXPECT_TRUE(none->empty());
}

TEST_F(OwnOpener, AFolderFullOfLinksIsGivenUpOn)
{
    std::filesystem::create_directory(files.path("slaves/b"));
    for (int i = 0; i < 200; ++i)
        files.link("stdout", "slaves/b/link" + std::to_string(i));
    const auto listed = opener->list("b", 1);
    ASSERT_TRUE(listed);
    EXPECT_TRUE(listed->empty());
}
