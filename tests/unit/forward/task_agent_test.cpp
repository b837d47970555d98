// The agent's files, of an agent that accepts and never answers.

#include "core/unique_fd.hpp"
#include "modules/forward/task_agent.hpp"

#include "temp_dir.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <fstream>

namespace opsd::forward::test {
namespace {

using namespace std::chrono_literals;

TEST(AgentFolder, OneThatDoesNotAnswerIsAskedOnceAnInterval)
{
    const UniqueFd socket{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    ASSERT_EQ(::bind(socket.get(), any, size), 0);
    ASSERT_EQ(::listen(socket.get(), 8), 0);
    ASSERT_EQ(::getsockname(socket.get(), any, &size), 0);
    TaskOptions options;
    options.agent = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    options.timeout = Duration{100};
    ManualClock clock{WallTime{1s}};
    const auto folder = make_agent_folder(options, "", clock);
    const auto connections = [&] {
        std::size_t count = 0;
        for (;;) {
            const UniqueFd one{::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC)};
            if (!one) return count;
            ++count;
        }
    };
    const timeval soon{.tv_sec = 0, .tv_usec = 1'000};
    ASSERT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon), 0);
    EXPECT_EQ(folder->open("a/stdout").error().code, Errc::timeout);
    EXPECT_EQ(connections(), 1U);
    EXPECT_EQ(folder->open("b/stdout").error().code, Errc::timeout);
    EXPECT_EQ(folder->list("b", 10).error().code, Errc::timeout);
    EXPECT_EQ(connections(), 0U);
    clock.advance(options.interval, [] {});
    EXPECT_EQ(folder->open("b/stdout").error().code, Errc::timeout);
    EXPECT_EQ(connections(), 1U);
}

TEST(PartFolder, OpensNothingBesideIt)
{
    const opsd::test::TempDir dir;
    std::filesystem::create_directories(dir / "slaves/S0");
    std::filesystem::create_directories(dir / "slavesmeta");
    for (const auto* file : {"slaves/S0/stdout", "slavesmeta/secret", "secret"})
        std::ofstream{dir / file} << "1\n";
    std::filesystem::create_directories(dir / "meta/slaves/S0");
    std::vector<FolderPart> parts;
    for (const auto* part : {"slaves", "meta/slaves"})
        parts.push_back({part, make_task_folder(sandbox::make_own_opener(dir / part))});
    const auto folder = make_part_folder(std::move(parts));
    EXPECT_EQ(folder->list("meta/slaves", 10)->size(), 1U);
    EXPECT_TRUE(folder->open("slaves/S0/stdout"));
    EXPECT_EQ(folder->list("slaves", 10)->size(), 1U);
    EXPECT_EQ(folder->list("slaves/S0", 10)->size(), 1U);
    for (const auto* other :
         {"meta", "meta/boot_id", "secret", "slavesmeta/secret", "slaves", "slaves/", "slaves/../secret", ""})
        EXPECT_EQ(folder->open(other).error().code, Errc::invalid_argument) << other;
    EXPECT_EQ(folder->list("", 10).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace opsd::forward::test
