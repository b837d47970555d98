#include "io/mesos/task_info.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace opsd::mesos {
namespace {

std::string fixture()
{
    std::ifstream in{OPSD_SOURCE_DIR "/tests/fixtures/mesos/agent/task.info", std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

TEST(TaskInfo, OfARealAgentIsRead)
{
    const auto info = parse_task_info(fixture());
    ASSERT_TRUE(info) << info.error().message;
    EXPECT_EQ(*info, (TaskInfo{"ticker", "ticker"}));
}

TEST(TaskInfo, ItsBeginningIsEnough)
{
    const auto whole = fixture();
    constexpr std::size_t needed = 22;  // length, name, id
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto info = parse_task_info(std::string_view{whole}.substr(0, size));
        EXPECT_EQ(info.has_value(), size >= needed) << size;
        if (info) EXPECT_EQ(info->name, "ticker");
    }
}

TEST(TaskInfo, AnythingElseIsRefused)
{
    using namespace std::string_literals;
    for (const auto& bad :
         {""s, "\0\0\0\0"s, "\0\0\0\0\x0a\xff"s, "\0\0\0\0\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s,
          "\0\0\0\0\x0a\x01n\x12\x03\x12\x01i"s, "\0\0\0\0\x12\x03\x0a\x01i"s, std::string(100, '\xff')})
        EXPECT_FALSE(parse_task_info(bad));
}

}  // namespace
}  // namespace opsd::mesos
