#include "core/gzip.hpp"
#include "http/content.hpp"
#include "opsd/http.hpp"

#include "support.hpp"

#include <nlohmann/json.hpp>

using namespace opsd;

TEST(HttpMessage, KnowsItsWords)
{
    EXPECT_EQ(to_string(http::Role::operator_), "operator");
    EXPECT_EQ(http::parse_role("operator"), http::Role::operator_);
    EXPECT_EQ(http::parse_role("local"), std::nullopt) << "nobody can be given what a place gives";
    EXPECT_EQ(to_string(http::Access::operate), "operate");
    EXPECT_EQ(to_string(http::Method::del), "DELETE");
}

TEST(HttpMessage, WhatIsPackedIsUnpackedWithinALimit)
{
    const std::string text(100'000, 'a');
    const auto packed = gzip(text);
    EXPECT_EQ(gunzip(packed, text.size()), text);
    EXPECT_EQ(gunzip(packed, 1'000).error().code, Errc::invalid_argument);
    EXPECT_EQ(gunzip(packed.substr(0, packed.size() / 2), 200'000).error().code, Errc::protocol);
    EXPECT_EQ(gunzip("no gzip", 100).error().code, Errc::protocol);
    EXPECT_EQ(gunzip("", 100).error().code, Errc::protocol);
}

TEST(HttpMessage, ParamsKeepOrderAndRepeats)
{
    http::Params params;
    params.add("a", "1");
    params.add("b", "2");
    params.add("a", "3");
    EXPECT_EQ(params.get("a"), "1");
    EXPECT_EQ(params.get("c", "none"), "none");
    EXPECT_EQ(params.every("a"), (std::vector<std::string_view>{"1", "3"}));
    EXPECT_TRUE(params.has("b"));
    EXPECT_FALSE(params.has("B"));
}

TEST(HttpMessage, ProblemsFollowRfc9457)
{
    const auto problem = http::Response::problem(Error{Errc::not_found, "cannot find unit \"x\xff\""});
    EXPECT_EQ(problem.status, 404U);
    EXPECT_EQ(problem.type, "application/problem+json");
    const auto body = nlohmann::json::parse(problem.body);
    EXPECT_EQ(body["title"], "Not Found");
    EXPECT_EQ(body["status"], 404);
    EXPECT_EQ(body["detail"], "cannot find unit \"x\xef\xbf\xbd\"");
    EXPECT_EQ(http::Response::problem(Error{Errc::invalid_argument, ""}).status, 400U);
    EXPECT_EQ(http::Response::problem(Error{Errc::denied, ""}).status, 403U);
    EXPECT_EQ(http::Response::problem(Error{Errc::timeout, ""}).status, 504U);
    const auto later = http::Response::problem(Error{Errc::unavailable, ""});
    EXPECT_EQ(later.status, 503U);
    EXPECT_EQ(later.headers.back(), (std::pair<std::string, std::string>{"Retry-After", "5"}));
    EXPECT_EQ(http::Response::problem(Error{Errc::protocol, ""}).status, 502U);
    EXPECT_EQ(http::Response::problem(Error{Errc::internal, ""}).status, 500U);
}

TEST(HttpMessage, ContentIsTaggedByItsBytesAndCompressedWhenItPays)
{
    const auto small = http::make_content("{}");
    const auto large = http::make_content(std::string(5000, 'a'));
    EXPECT_TRUE(small->gzip.empty());
    EXPECT_FALSE(large->gzip.empty());
    EXPECT_LT(large->gzip.size(), 200U);
    EXPECT_EQ(small->etag, http::make_content("{}", "text/plain")->etag);
    EXPECT_NE(small->etag, large->etag);
    EXPECT_TRUE(http::make_content(std::string(5000, 'a'), "text/plain", false)->gzip.empty());
}

TEST(HttpMessage, ContentTooLargeToCompressOnTheLoopStaysAsItIs)
{
    constexpr std::size_t limit = 1U << 20U;
    EXPECT_FALSE(http::make_content(std::string(limit, 'a'))->gzip.empty());
    EXPECT_TRUE(http::make_content(std::string(limit + 1, 'a'))->gzip.empty());
}

TEST(HttpMessage, EventsSplitTheirLines)
{
    EXPECT_EQ(http::sse("7", "transition", "{\"a\":1}"), "id: 7\nevent: transition\ndata: {\"a\":1}\n\n");
    EXPECT_EQ(http::sse("", "", "a\nb\r\nc\rd"), "data: a\ndata: b\ndata: c\ndata: d\n\n");
    EXPECT_EQ(http::sse("", "", ""), "data: \n\n");
}

TEST(HttpMessage, DatesGoRoundTrip)
{
    const auto time = parse_rfc3339("2026-11-02T05:06:07Z").value();
    EXPECT_EQ(http::http_date(time), "Mon, 02 Nov 2026 05:06:07 GMT");
    EXPECT_EQ(http::parse_http_date("Mon, 02 Nov 2026 05:06:07 GMT"), time);
    for (const auto* bad : {"", "Mon, 02 Nov 2026 05:06:07", "Mon, 31 Feb 2026 05:06:07 GMT",
                            "Mon, 02 Xyz 2026 05:06:07 GMT", "Mon, 02 Nov 2026 25:06:07 GMT"}) {
        EXPECT_EQ(http::parse_http_date(bad), std::nullopt) << bad;
    }
}
