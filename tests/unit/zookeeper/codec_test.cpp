// The encoding and the messages, against bytes that were derived by hand from the wire format.

#include "io/zookeeper/jute.hpp"
#include "io/zookeeper/protocol.hpp"

#include "zookeeper_wire.hpp"

#include <gtest/gtest.h>

using namespace opsd;
using namespace opsd::zookeeper;
using namespace opsd::test;
using wire::hex;

TEST(ZookeeperJute, WritesBigEndianWithLengths)
{
    jute::Writer writer;
    const std::vector<std::string> names{"a", "bc"};
    writer.i32(-2).i64(0x0102030405060708).boolean(true).string("zk").strings(names);
    EXPECT_EQ(std::move(writer).frame(), hex("00 00 00 26  ff ff ff fe  01 02 03 04 05 06 07 08  01"
                                             "00 00 00 02 7a 6b"
                                             "00 00 00 02  00 00 00 01 61  00 00 00 02 62 63")
                                             .replace(3, 1, "\x22"));
}

TEST(ZookeeperJute, ReadsBackWhatTheWireHas)
{
    const auto bytes = hex("ff ff ff fe  80 00 00 00 00 00 00 01  01  00 00 00 00  ff ff ff ff"
                           "00 00 00 02  00 00 00 01 61  00 00 00 02 62 63  aa");
    jute::Reader reader{bytes};
    EXPECT_EQ(reader.i32(), -2);
    EXPECT_EQ(reader.i64(), INT64_MIN + 1);
    EXPECT_TRUE(reader.boolean());
    EXPECT_EQ(reader.maybe_string(), "") << "empty is not null";
    EXPECT_EQ(reader.maybe_string(), std::nullopt);
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(reader.strings(), (std::vector<std::string>{"a", "bc"}));
    EXPECT_TRUE(reader.ok());
    EXPECT_EQ(reader.rest(), "\xaa") << "what a newer server appends is left alone";
}

TEST(ZookeeperJute, LengthsThatLieAreNotBelieved)
{
    for (const auto* bad :
         {"ff ff ff fe", "80 00 00 00", "00 00 00 05 61 62", "7f ff ff ff 61", "00 00 00", ""}) {
        const auto bytes = hex(bad);
        jute::Reader reader{bytes};
        EXPECT_EQ(reader.string(), "") << bad;
        EXPECT_FALSE(reader.ok()) << bad;
        EXPECT_EQ(reader.i32(), 0) << "after a failure nothing is read";
    }
    for (const auto* bad :
         {"7f ff ff ff", "ff ff ff fe", "00 00 00 02 00 00 00 00", "10 00 00 00 00 00 00 01 61"}) {
        const auto bytes = hex(bad);
        jute::Reader reader{bytes};
        EXPECT_TRUE(reader.strings().empty()) << bad;
        EXPECT_FALSE(reader.ok()) << bad;
    }
    const auto null = hex("ff ff ff ff");
    jute::Reader reader{null};
    EXPECT_TRUE(reader.strings().empty());
    EXPECT_TRUE(reader.ok()) << "a null vector is an empty one";
}

TEST(ZookeeperJute, FramesComeWholeHoweverTheBytesArrive)
{
    const auto stream = hex("00 00 00 03 61 62 63  00 00 00 00  00 00 00 01 64");
    for (std::size_t step = 1; step <= stream.size(); ++step) {
        jute::Frames frames{16};
        std::vector<std::string> seen;
        for (std::size_t at = 0; at < stream.size(); at += step) {
            frames.feed(std::string_view{stream}.substr(at, step));
            for (auto frame = frames.next(); frame && *frame; frame = frames.next())
                seen.emplace_back(**frame);
        }
        EXPECT_EQ(seen, (std::vector<std::string>{"abc", "", "d"})) << step;
    }
}

TEST(ZookeeperJute, AFrameThatIsTooLongIsRefusedBeforeItIsRead)
{
    jute::Frames small{16};
    small.feed(hex("00 00 00 11"));
    const auto large = small.next();
    ASSERT_FALSE(large.has_value());
    EXPECT_EQ(large.error().code, Errc::protocol);
    EXPECT_NE(large.error().message.find("17 bytes: more than max_packet, 16 bytes"), std::string::npos)
        << large.error().message;
    jute::Frames other{16};
    other.feed(hex("ff ff ff ff"));
    const auto negative = other.next();
    ASSERT_FALSE(negative.has_value());
    EXPECT_NE(negative.error().message.find("no ZooKeeper"), std::string::npos) << negative.error().message;
}

TEST(ZookeeperProtocol, RequestsAreTheBytesThatServersExpect)
{
    using namespace std::chrono_literals;
    const ConnectRequest connect{.last_zxid = 0x10, .timeout = 30s, .session = 0, .password = ""};
    EXPECT_EQ(connect_frame(connect),
              hex("00 00 00 2d  00 00 00 00  00 00 00 00 00 00 00 10  00 00 75 30"
                  "00 00 00 00 00 00 00 00"
                  "00 00 00 10  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  00"));
    EXPECT_EQ(request_frame(1, Op::get_data, read_record("/a", true)),
              hex("00 00 00 0f  00 00 00 01  00 00 00 04  00 00 00 02 2f 61  01"));
    EXPECT_EQ(request_frame(2, Op::get_children2, read_record("/", false)),
              hex("00 00 00 0e  00 00 00 02  00 00 00 0c  00 00 00 01 2f  00"));
    EXPECT_EQ(request_frame(3, Op::exists, read_record("/a", false)),
              hex("00 00 00 0f  00 00 00 03  00 00 00 03  00 00 00 02 2f 61  00"));
    EXPECT_EQ(request_frame(4, Op::sync, sync_record("/a")),
              hex("00 00 00 0e  00 00 00 04  00 00 00 09  00 00 00 02 2f 61"));
    EXPECT_EQ(request_frame(5, Op::close, {}), hex("00 00 00 08  00 00 00 05  ff ff ff f5"));
    EXPECT_EQ(ping_frame(), hex("00 00 00 08  ff ff ff fe  00 00 00 0b"));
    EXPECT_EQ(auth_frame("digest", "u:p"), hex("00 00 00 1d  ff ff ff fc  00 00 00 64  00 00 00 00"
                                               "00 00 00 06 64 69 67 65 73 74  00 00 00 03 75 3a 70"));
    EXPECT_EQ(request_frame(-8, Op::set_watches, set_watches_record(9, {"/a"}, {}, {"/b", "/c"})),
              hex("00 00 00 2e  ff ff ff f8  00 00 00 65  00 00 00 00 00 00 00 09"
                  "00 00 00 01  00 00 00 02 2f 61   00 00 00 00"
                  "00 00 00 02  00 00 00 02 2f 62  00 00 00 02 2f 63"));
}

TEST(ZookeeperProtocol, ReadsWhatServersAnswer)
{
    // With the flag of 3.4 and later, and without it.
    const auto head = hex("00 00 00 00  00 00 0f a0  01 00 00 00 00 00 00 02  00 00 00 02 70 77");
    for (const auto& record : {head, head + '\0'}) {
        const auto connected = decode_connect(record);
        ASSERT_TRUE(connected.has_value());
        EXPECT_EQ(connected->timeout.count(), 4000);
        EXPECT_EQ(connected->session, 0x0100000000000002);
        EXPECT_EQ(connected->password, "pw");
    }
    const auto answer = hex("00 00 00 07  00 00 00 01 00 00 00 2a  ff ff ff 9b  61 62");
    std::string_view rest = answer;
    const auto header = take_header(rest);
    ASSERT_TRUE(header.has_value());
    EXPECT_EQ(header->xid, 7);
    EXPECT_EQ(header->zxid, 0x10000002a);
    EXPECT_EQ(header->error, -101);
    EXPECT_EQ(rest, "ab");
    const auto event = decode_event(hex("00 00 00 04  00 00 00 03  00 00 00 02 2f 61"));
    ASSERT_TRUE(event.has_value());
    EXPECT_EQ(event->type, 4);
    EXPECT_EQ(event->path, "/a");
}

TEST(ZookeeperProtocol, ReadsDataChildrenAndStatus)
{
    const auto status = hex("00 00 00 00 00 00 00 01  00 00 00 00 00 00 00 02  00 00 01 8b cf e5 68 00"
                            "00 00 01 8b cf e5 68 01  00 00 00 03  00 00 00 04  00 00 00 05"
                            "01 00 00 00 00 00 00 06  00 00 00 07  00 00 00 08  00 00 00 00 00 00 00 09");
    const Stat expected{.created_zxid = 1,
                        .modified_zxid = 2,
                        .created_ms = 1'700'000'000'000,
                        .modified_ms = 1'700'000'000'001,
                        .version = 3,
                        .children_version = 4,
                        .acl_version = 5,
                        .ephemeral_owner = 0x0100000000000006,
                        .data_length = 7,
                        .children = 8,
                        .children_zxid = 9};
    const auto stat = decode_stat(status);
    ASSERT_TRUE(stat.has_value());
    EXPECT_EQ(*stat, expected);
    const auto data = decode_data(hex("00 00 00 03 61 00 62") + status);
    ASSERT_TRUE(data.has_value());
    EXPECT_EQ(data->data, (std::string{"a\0b", 3}));
    EXPECT_EQ(data->stat, expected);
    const auto null = decode_data(hex("ff ff ff ff") + status);
    ASSERT_TRUE(null.has_value());
    EXPECT_FALSE(null->data.has_value());
    const auto children = decode_children(hex("00 00 00 02  00 00 00 01 61  00 00 00 01 62") + status);
    ASSERT_TRUE(children.has_value());
    EXPECT_EQ(children->names, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(children->stat, expected);
}

TEST(ZookeeperProtocol, EveryCutIsAnError)
{
    const auto whole = wire::text("abc") + wire::stat();
    for (std::size_t size = 0; size < whole.size(); ++size) {
        const auto cut = decode_data(whole.substr(0, size));
        ASSERT_FALSE(cut.has_value()) << size;
        EXPECT_EQ(cut.error().code, Errc::protocol);
    }
    const auto session = wire::session(1, 1000).substr(4);
    for (std::size_t size = 0; size + 1 < session.size(); ++size)
        EXPECT_FALSE(decode_connect(session.substr(0, size)).has_value()) << size;
    for (std::size_t size = 0; size < 16; ++size) {
        const auto cut = wire::i64(0).append(wire::i64(0)).substr(0, size);
        std::string_view rest = cut;
        EXPECT_FALSE(take_header(rest).has_value()) << size;
    }
    const auto list = wire::i32(1) + wire::text("a") + wire::stat();
    for (std::size_t size = 0; size < list.size(); ++size)
        EXPECT_FALSE(decode_children(list.substr(0, size)).has_value()) << size;
}

TEST(ZookeeperProtocol, ErrorsAreSentencesWithTheirNames)
{
    const auto missing = reply_error(-101, "read /mesos at ZooKeeper h1:2181");
    EXPECT_EQ(missing.code, Errc::not_found);
    EXPECT_TRUE(missing.message.starts_with("cannot read /mesos at ZooKeeper h1:2181: NoNode, "))
        << missing.message;
    EXPECT_EQ(reply_error(-102, "x").code, Errc::denied);
    EXPECT_EQ(reply_error(-115, "x").code, Errc::denied);
    EXPECT_EQ(reply_error(-4, "x").code, Errc::unavailable);
    EXPECT_EQ(reply_error(-7, "x").code, Errc::timeout);
    EXPECT_EQ(reply_error(-6, "x").code, Errc::protocol);
    const auto strange = reply_error(-999, "x");
    EXPECT_EQ(strange.code, Errc::protocol);
    EXPECT_NE(strange.message.find("-999"), std::string::npos);
}
