#include "modules/cluster/asking.hpp"

#include <gtest/gtest.h>

namespace opsd::cluster {
namespace {

using namespace std::chrono_literals;

Question question(std::string held = "", Duration wait = 0ms)
{
    return {.address = "10.0.0.2",
            .held = std::move(held),
            .wait = wait,
            .connect = 2s,
            .first_byte = 5s,
            .rest = 5s};
}

std::string header(const net::ClientRequest& request, std::string_view name)
{
    for (const auto& [key, value] : request.headers)
        if (key == name) return value;
    return "";
}

Reply reply(unsigned status, std::vector<std::pair<std::string, std::string>> headers = {},
            std::string held = "")
{
    net::ClientResponse response;
    response.status = status;
    response.headers = std::move(headers);
    response.body = "body";
    return reply_of(question(std::move(held)), std::move(response));
}

}  // namespace

TEST(Asking, AnAddressBecomesAnOrigin)
{
    const Reach plain{.port = 1050};
    EXPECT_EQ(origin_of("10.0.0.2", plain), "http://10.0.0.2:1050");
    EXPECT_EQ(origin_of("10.0.0.2:1051", plain), "http://10.0.0.2:1051");
    EXPECT_EQ(origin_of("fd00::2", plain), "http://[fd00::2]:1050");
    EXPECT_EQ(origin_of("[fd00::2]:1051", {.port = 1050, .tls = true}), "https://[fd00::2]:1051");
}

TEST(Asking, TheFirstQuestionAsksForAllAndDoesNotWait)
{
    const auto request = request_of(question(), {.token = "secret"});
    EXPECT_EQ(request.url, "http://10.0.0.2:1050/api/v1/node");
    EXPECT_EQ(header(request, "If-None-Match"), "");
    EXPECT_EQ(header(request, "Prefer"), "");
    EXPECT_EQ(header(request, "Authorization"), "Bearer secret");
    EXPECT_EQ(request.max_redirects, 0);
    EXPECT_EQ(request.timeout, 12s);
}

TEST(Asking, TheNextOneAsksForWhatChangedAndWaits)
{
    const auto request = request_of(question("\"a.1\"", 25s), {});
    EXPECT_EQ(request.url, "http://10.0.0.2:1050/api/v1/node?partial");
    EXPECT_EQ(header(request, "If-None-Match"), "\"a.1\"");
    EXPECT_EQ(header(request, "Prefer"), "wait=25");
    EXPECT_EQ(request.first_byte_timeout, 30s);
    EXPECT_EQ(request.timeout, 37s);
}

TEST(Asking, ADcosMemberIsAskedAsItsOwnClientsDo)
{
    auto asked = question("\"x\"");
    asked.speech = Speech::dcos;
    EXPECT_EQ(request_of(asked, {}).url, "http://10.0.0.2:1050/system/health/v1");
}

TEST(Asking, AnswersMeanWhatTheySay)
{
    EXPECT_EQ(reply(200, {{"etag", "\"a.2\""}, {"preference-applied", "wait"}}).kind, Reply::Kind::document);
    EXPECT_TRUE(reply(200, {{"preference-applied", "wait"}}).holds);
    EXPECT_FALSE(reply(200).holds);
    EXPECT_EQ(reply(304, {}, "\"a.1\"").kind, Reply::Kind::unchanged);
    EXPECT_EQ(reply(304).kind, Reply::Kind::failed) << "nothing is held";
    EXPECT_EQ(reply(404).kind, Reply::Kind::missing);
}

TEST(Asking, ARefusalSaysWhatToDo)
{
    EXPECT_NE(reply(401).why.message.find("cluster.token"), std::string::npos);
    const auto elsewhere = reply(302, {{"location", "http://evil.example/"}});
    EXPECT_EQ(elsewhere.kind, Reply::Kind::failed);
    EXPECT_NE(elsewhere.why.message.find("evil.example"), std::string::npos);
    EXPECT_EQ(reply(500).failure, "status");
    const auto lost = reply_of(question(), fail(Errc::timeout, "cannot wait"));
    EXPECT_EQ(lost.failure, "timeout");
    EXPECT_EQ(lost.why.message, "cannot wait");
}

}  // namespace opsd::cluster
