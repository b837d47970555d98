#include "io/sandbox/reader_protocol.hpp"

#include <gtest/gtest.h>

using namespace opsd;
using namespace opsd::sandbox;

namespace {

std::string request(char kind, std::string_view path)
{
    return std::string{kind} + std::string(8, '\1') + std::string{path};
}

}  // namespace

TEST(ReaderProtocol, RequestsComeOutAsTheyWentIn)
{
    const auto folder = parse_request(to_packet({Request::Kind::folder, 1, "/var/lib/mesos/slave/slaves"}));
    ASSERT_TRUE(folder);
    EXPECT_EQ(folder->kind, Request::Kind::folder);
    EXPECT_EQ(folder->path, "/var/lib/mesos/slave/slaves");
    const auto open =
        parse_request(to_packet({Request::Kind::open, 0x0102030405060708, "a/runs/latest/out"}));
    ASSERT_TRUE(open);
    EXPECT_EQ(open->kind, Request::Kind::open);
    EXPECT_EQ(open->id, 0x0102030405060708U);
    EXPECT_EQ(open->path, "a/runs/latest/out");
    const auto itself = parse_request(to_packet({Request::Kind::open, 2, ""}));
    ASSERT_TRUE(itself);
    EXPECT_EQ(itself->path, "");
}

TEST(ReaderProtocol, ARequestThatIsNoneIsRefused)
{
    using namespace std::string_literals;
    for (const auto& packet : {""s,
                               "O"s,
                               "O1234567"s,
                               request('o', "a"),
                               request('\0', "a"),
                               request('X', "/a"),
                               request('F', ""),
                               request('F', "a"),
                               request('F', "../a"),
                               request('F', "/a\0b"s),
                               request('F', "/" + std::string(4096, 'x')),
                               request('O', "/etc/passwd"),
                               request('O', ".."),
                               request('O', "a/../../b"),
                               request('O', "a//b"),
                               request('O', "a/"),
                               request('O', "./a"),
                               request('O', "a/."),
                               request('O', "a\0b"s),
                               request('O', std::string(4096, 'x')),
                               request('O', std::string(10'000, 'x'))})
        EXPECT_FALSE(parse_request(packet)) << packet.substr(0, 40);
}

TEST(ReaderProtocol, RepliesComeOutAsTheyWentIn)
{
    const auto opened = parse_reply(to_packet(Reply{7, {}}));
    ASSERT_TRUE(opened);
    EXPECT_EQ(opened->id, 7U);
    EXPECT_FALSE(opened->error);
    for (int code = 0; code <= static_cast<int>(Errc::internal); ++code) {
        const auto refused = parse_reply(to_packet(Reply{8, Error{static_cast<Errc>(code), "cannot: no"}}));
        ASSERT_TRUE(refused && refused->error);
        EXPECT_EQ(refused->error->code, static_cast<Errc>(code));
        EXPECT_EQ(refused->error->message, "cannot: no");
    }
    const auto cut = parse_reply(to_packet(Reply{9, Error{Errc::denied, std::string(100'000, 'x')}}));
    ASSERT_TRUE(cut && cut->error);
    EXPECT_EQ(cut->error->message.size(), max_sentence);
}

TEST(ReaderProtocol, AReplyThatIsNoneIsRefused)
{
    const std::string id(8, '\1');
    const auto last = static_cast<char>(1 + static_cast<int>(Errc::internal));
    for (const auto& packet : {std::string{}, id, id + '\1', id + '\0' + "opened", id + '\xFF' + "x",
                               id + static_cast<char>(last + 1) + "x", id + '\1' + std::string(9000, 'x')})
        EXPECT_FALSE(parse_reply(packet)) << packet.size();
    EXPECT_TRUE(parse_reply(id + last + "x"));
}
