#include "io/mesos/files.hpp"

#include "unit/mesos/stub.hpp"

namespace opsd::mesos {
namespace {

using namespace test;

const std::string sandbox = "/var/lib/mesos/slave/slaves/S0/frameworks/f/executors/e 1/runs/c";

std::string said(const auto& result, Errc code = Errc::protocol)
{
    EXPECT_FALSE(result.has_value());
    if (result) return {};
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_TRUE(result.error().message.starts_with("cannot ")) << result.error().message;
    return result.error().message;
}

TEST(MesosFiles, ReadsWhatARealAgentAnswered)
{
    const auto part = parse_file_part(fixture("agent/files-read-stdout.json")).value();
    EXPECT_EQ(part.offset, 0U);
    EXPECT_TRUE(part.data.starts_with("out line 1\nout line 2\n"));
    EXPECT_EQ(part.data.size(), 300U);
    EXPECT_EQ(parse_file_part(fixture("agent/files-read-stderr.json"))->offset, 10U);
    EXPECT_EQ(parse_file_part(fixture("agent/files-read-stdout-size.json"))->offset, 531U);
    EXPECT_EQ(parse_file_part(fixture("agent/files-read-past-end.json"))->data, "");
    const auto items = parse_file_list(fixture("agent/files-browse-sandbox.json")).value();
    ASSERT_EQ(items.size(), 2U);
    EXPECT_TRUE(items[0].path.ends_with("/stderr"));
    EXPECT_EQ(items[0].mode, "-rw-r--r--");
    EXPECT_EQ(items[0].size, 1084U);
    EXPECT_EQ(items[0].mtime, 1795365706);
    EXPECT_EQ(items[0].nlink, 1U);
    EXPECT_EQ(items[0].uid, "root");
    EXPECT_FALSE(items[0].directory());
}

TEST(MesosFiles, BytesStayWhatTheyAre)
{
    const auto data = [](std::string_view text) {
        return parse_file_part("{\"data\":\"" + std::string{text} + "\",\"offset\":0}").value().data;
    };
    EXPECT_EQ(data(R"(a\"\\\/\b\f\n\r\t\u0001)"), "a\"\\/\b\f\n\r\t\x01");
    EXPECT_EQ(data(R"(\u00C3\u00a4)"), "\xc3\xa4") << "old agents escape every byte";
    EXPECT_EQ(data("\xc3\xa4"), "\xc3\xa4");
    EXPECT_EQ(data("\xa4 half a character \xc3"), "\xa4 half a character \xc3") << "where a read was cut";
    EXPECT_EQ(data(R"(\u0000)"), std::string(1, '\0'));
    EXPECT_EQ(data(R"(\u20ac)"), "\xe2\x82\xac") << "of a proxy";
    EXPECT_EQ(data(R"(\u0144)"), "\xc5\x84");
}

TEST(MesosFiles, SaysWhyAnAnswerIsNone)
{
    for (const auto* bad : {"",
                            "[]",
                            "{",
                            "{}",
                            "null",
                            R"({"data":"x"})",
                            R"({"offset":1})",
                            R"({"data":"x","offset":"1"})",
                            R"({"data":7,"offset":1})",
                            R"({"data":"x","offset":-1})",
                            R"({"data":"x","offset":1e300})",
                            R"({"data":"x","offset":nan})",
                            R"({"data":"x)",
                            R"({"data":"\)",
                            R"({"data":"\x","offset":1})",
                            R"({"data":"\u00g0","offset":1})",
                            R"({"data":"\u00","offset":1})",
                            R"({"data":"x" "offset":1})",
                            R"({"data":"x","offset":1}x)",
                            R"({"data":{},"offset":1})",
                            R"({"data":"x","offset":1,})",
                            R"({"data":"\u+0a1","offset":1})"})
        EXPECT_TRUE(said(parse_file_part(bad)).starts_with("cannot read the answer to /files/read: ")) << bad;
    const auto whole = fixture("agent/files-read-stderr.json");
    const auto end = whole.rfind('}');
    for (std::size_t size = 0; size <= end; ++size)
        said(parse_file_part(whole.substr(0, size)));
    EXPECT_EQ(parse_file_part(R"( { "more" : 1 , "offset" : 7.0 , "data" : "x" , "y" : "z" } )")->offset, 7U);
}

TEST(MesosFiles, ListsFoldersOrSaysWhyNot)
{
    EXPECT_TRUE(parse_file_list("[]")->empty());
    EXPECT_TRUE(parse_file_list(R"([{"path":"/a","mode":"drwxr-xr-x"}])")->front().directory());
    for (const auto* bad : {"{}", "null", "[1]", "[[]]", "[{}]", R"([{"path":7}])", "[{\"path\":\"a\"}"})
        EXPECT_TRUE(said(parse_file_list(bad)).starts_with("cannot read the answer to /files/browse: "))
            << bad;
    EXPECT_EQ(said(parse_file_list(R"([{"path":"a"},{"path":"b"}])", 1)),
              "cannot read the answer to /files/browse: the folder has more than 1 files");
    EXPECT_EQ(parse_file_list("[{\"path\":\"/a/\xff\"},{\"path\":\"/b\"}]")->at(0).path, "/a/?")
        << "a name that is not UTF-8 hides nothing";
}

HttpStub::Answer always(Reply reply)
{
    return [reply](const Asked&) { return reply; };
}

TEST(AgentFiles, AsksAsTheAgentExpectsIt)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always(answer(200, R"({"data":"","offset":531})"))};
        net::HttpClient client{executor};
        const AgentFiles files{client, {.url = agent.url()}};
        const auto size = co_await files.size(sandbox + "/stdout", "token=abc");
        EXPECT_EQ(size.value_or(0), 531U);
        EXPECT_EQ(agent.asked[0].path,
                  "/files/read?path=/var/lib/mesos/slave/slaves/S0/frameworks/f/executors/e%201/runs/c/stdout"
                  "&offset=-1");
        EXPECT_TRUE(agent.asked[0].has("Authorization: token=abc"));
        agent.how = always(answer(200, R"({"data":"abc","offset":10})"));
        const auto bytes = co_await files.read("/a&b", 10, 1'000'000, "");
        EXPECT_EQ(bytes.value_or(""), "abc");
        EXPECT_EQ(agent.asked[1].path, "/files/read?path=/a%26b&offset=10&length=65536");
        EXPECT_FALSE(agent.asked[1].head.contains("Authorization"));
        agent.how = always(answer(200, fixture("agent/files-browse-sandbox.json")));
        const auto items = co_await files.browse("/a", "");
        EXPECT_EQ(items->size(), 2U);
        EXPECT_EQ(agent.asked[2].path, "/files/browse?path=/a");
        co_await agent.stop();
    });
}

TEST(AgentFiles, SaysWhatTheAgentSaid)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always(answer(404, ""))};
        net::HttpClient client{executor};
        const AgentFiles files{client, {.url = agent.url()}};
        const auto gone = co_await files.size("/a", "");
        EXPECT_EQ(
            said(gone, Errc::not_found),
            "cannot read /a: the agent has no such file; sandboxes of ended tasks are removed after some "
            "days");
        agent.how = always(answer(403, ""));
        const auto denied = co_await files.browse("/a", "");
        EXPECT_TRUE(said(denied, Errc::denied).contains("needs a token"));
        agent.how = always(answer(400, "Cannot read a directory.\n"));
        const auto folder = co_await files.read("/a", 0, 1, "");
        EXPECT_EQ(said(folder, Errc::invalid_argument),
                  "cannot read /a: the agent says \"Cannot read a directory.?\"");
        agent.how = always(answer(503, ""));
        const auto busy = co_await files.read("/a", 0, 1, "");
        said(busy, Errc::unavailable);
        agent.how = always(answer(302, "", "Location: http://127.0.0.1:1/\r\n"));
        const auto elsewhere = co_await files.read("/a", 0, 1, "token=abc");
        said(elsewhere, Errc::protocol);
        agent.die();
        co_await agent.stop();
        const auto dead = co_await files.size("/a", "");
        said(dead, Errc::unavailable);
    });
}

TEST(AgentFiles, BytesThatWereNotAskedForAreRefused)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always(answer(200, R"({"data":"abc","offset":11})"))};
        net::HttpClient client{executor};
        const AgentFiles files{client, {.url = agent.url()}};
        const auto elsewhere = co_await files.read("/a", 10, 3, "");
        said(elsewhere);
        agent.how = always(answer(200, R"({"data":"abcd","offset":10})"));
        const auto more = co_await files.read("/a", 10, 3, "");
        said(more);
        agent.how = always(answer(200, "{\"data\":\"" + std::string(100'000, 'x') + "\",\"offset\":10}"));
        const auto flood = co_await files.read("/a", 10, 3, "");
        said(flood);
        co_await agent.stop();
    });
}

TEST(AgentFiles, AnAgentThatHangsCostsTheTimeoutOnly)
{
    run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        HttpStub agent{executor, always({"", Reply::Then::hang})};
        net::HttpClient client{executor};
        const AgentFiles files{client, {.url = agent.url(), .timeout = 50ms}};
        const auto size = co_await files.size("/a", "");
        said(size, Errc::timeout);
        co_await agent.stop();
    });
}

}  // namespace
}  // namespace opsd::mesos
