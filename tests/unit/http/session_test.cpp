#include "http_support.hpp"

#include <fmt/core.h>
#include <zlib.h>

using namespace opsd;
using namespace opsd::test;

namespace {

std::string gunzip(std::string_view packed)
{
    z_stream stream{};
    inflateInit2(&stream, 15 + 16);
    std::string plain(1U << 20U, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(plain.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    plain.resize(stream.total_out);
    inflateEnd(&stream);
    return plain;
}

std::string answer_to(std::string_view input) { return Conversation{}.say(input); }

http::Route route(http::Handler handler)
{
    return {http::Method::get, "/test", http::Access::open, "Test", std::move(handler)};
}

Task<http::Response> two_lines(const http::Request&)
{
    co_return http::Response::json("{\"b\":1,\"a\":[]}\n")
        .with("X-Evil", "a\r\nSet-Cookie: b")
        .with("ETag", "\"v1\"");
}
Task<http::Response> throws(const http::Request&)
{
    co_await opsd::test::sleep(1ms);
    throw std::runtime_error{"a bug"};
}
Task<http::Response> slow(const http::Request&)
{
    co_await opsd::test::sleep(5s);
    co_return http::Response::text("late\n");
}

}  // namespace

TEST(HttpSession, AnswersPipelinedRequestsTheSameAtAnyReadSize)
{
    const std::string input =
        "GET /echo/ada?x=1+2&y=%2B HTTP/1.1\r\nHost: x\r\nX-Request-Id: one\r\n\r\n"
        "POST /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: two\r\nContent-Length: 5\r\n\r\nhello"
        "POST /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: three\r\nTransfer-Encoding: chunked\r\n\r\n"
        "3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: ignored\r\n\r\n"
        "HEAD /echo HTTP/1.1\r\nHost: x\r\nX-Request-Id: four\r\nConnection: close\r\n\r\n";
    const auto head = [](std::string_view id, std::size_t length, std::string_view more) {
        return fmt::format(
            "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 15:26:27 GMT\r\nServer: opsd\r\nX-Request-Id: {}\r\n"
            "X-Content-Type-Options: nosniff\r\nContent-Type: text/plain; charset=utf-8\r\n"
            "Content-Length: {}\r\n{}\r\n",
            id, length, more);
    };
    const std::string read = "Cache-Control: no-cache\r\n";
    const std::string text = "Content-Security-Policy: default-src 'none'; sandbox\r\n";
    const std::string first = "GET /echo/ada {name=ada} ?x=1 2 ?y=+\n";
    const std::string expected = head("one", first.size(), read + text) + first + head("two", 19, text)
                                 + "POST /echo [hello]\n" + head("three", 19, text) + "POST /echo [abcde]\n"
                                 + head("four", 11, read + text + "Connection: close\r\n");
    for (const std::size_t step : {1UL, 3UL, 7UL, 4096UL}) {
        Conversation conversation;
        conversation.step = step;
        EXPECT_EQ(conversation.say(input), expected) << "read size " << step;
    }
}

TEST(HttpSession, GivesEachAttackItsStatedAnswer)
{
    struct Row {
        std::string_view what;
        std::string input;
        int status;
    };
    const std::string host = "Host: x\r\n";
    const std::string post = "POST /echo HTTP/1.1\r\nHost: x\r\n";
    const Row rows[] = {
        // framing
        {"both lengths", post + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"two lengths", post + "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
        {"list of lengths", post + "Content-Length: 3, 3\r\n\r\nabc", 400},
        {"signed length", post + "Content-Length: +3\r\n\r\nabc", 400},
        {"hexadecimal length", post + "Content-Length: 0x3\r\n\r\nabc", 400},
        {"empty length", post + "Content-Length: \r\n\r\n", 400},
        {"negative length", post + "Content-Length: -1\r\n\r\n", 400},
        {"length beyond 64 bits", post + "Content-Length: 99999999999999999999\r\n\r\n", 400},
        {"huge length", post + "Content-Length: 9999999999999999999\r\n\r\n", 413},
        {"chunked not last", post + "Transfer-Encoding: chunked, gzip\r\n\r\n", 400},
        {"chunked twice", post + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
        {"chunked in two headers", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"obscured chunked", post + "Transfer-Encoding: xchunked\r\n\r\n", 400},
        {"identity", post + "Transfer-Encoding: identity\r\n\r\n", 400},
        {"other coding", post + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
        {"vertical tab before chunked", post + "Transfer-Encoding: \vchunked\r\n\r\n", 400},
        {"chunked in HTTP/1.0", "POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
        {"chunk size with sign", post + "Transfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n", 400},
        {"chunk size with 0x", post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400},
        {"chunk size too large", post + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n", 400},
        {"chunk without its end", post + "Transfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n0\r\n\r\n", 400},
        {"chunk line with bare LF", post + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400},
        {"chunk line without end", post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(20'000, 'x'),
         400},
        {"chunks over the limit", post + "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n", 413},
        // headers
        {"folded header", "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400},
        {"folded first header", "GET /echo HTTP/1.1\r\n Host: x\r\n\r\n", 400},
        {"space before colon", "GET /echo HTTP/1.1\r\nHost : x\r\n\r\n", 400},
        {"no name", "GET /echo HTTP/1.1\r\nHost: x\r\n: b\r\n\r\n", 400},
        {"no colon", "GET /echo HTTP/1.1\r\nHost: x\r\nabc\r\n\r\n", 400},
        {"bare LF", "GET /echo HTTP/1.1\nHost: x\n\n", 400},
        {"bare LF in a header", "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n", 400},
        {"bare CR in a header", "GET /echo HTTP/1.1\r\nHost: x\r\nA: b\rC: d\r\n\r\n", 400},
        {"NUL in a header", "GET /echo HTTP/1.1\r\nHost: x\r\nA: b" + std::string(1, '\0') + "\r\n\r\n", 400},
        {"no Host", "GET /echo HTTP/1.1\r\n\r\n", 400},
        {"two Hosts", "GET /echo HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
        {"Host with a path", "GET /echo HTTP/1.1\r\nHost: x/y\r\n\r\n", 400},
        {"Host list", "GET /echo HTTP/1.1\r\nHost: x, y\r\n\r\n", 400},
        {"two Authorizations", get("/echo", "Authorization: a\r\nAuthorization: b\r\n"), 400},
        {"unknown expectation", get("/echo", "Expect: gold\r\n"), 417},
        {"too many headers",
         get("/echo",
             [] {
                 std::string all;
                 for (int i = 0; i < 200; ++i)
                     all += "A: b\r\n";
                 return all;
             }()),
         431},
        {"header over the limit", get("/echo", "A: " + std::string(20'000, 'a') + "\r\n"), 431},
        {"target over the limit", get("/" + std::string(20'000, 'a')), 431},
        {"head without end", "GET /echo HTTP/1.1\r\nA: " + std::string(20'000, 'a'), 431},
        // request line
        {"garbage", "\x01\x02nonsense\r\n\r\n", 400},
        {"TLS hello", std::string{"\x16\x03\x01\x02\x00\x01", 6}, 400},
        {"blank lines only", "\r\n\r\n\r\n\r\n\r\n\r\n", 400},
        {"two spaces", "GET  /echo HTTP/1.1\r\n" + host + "\r\n", 400},
        {"tab for space", "GET\t/echo HTTP/1.1\r\n" + host + "\r\n", 400},
        {"leading space", " GET /echo HTTP/1.1\r\n" + host + "\r\n", 400},
        {"no version", "GET /echo\r\n" + host + "\r\n", 400},
        {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
        {"HTTP/1.2", "GET /echo HTTP/1.2\r\n" + host + "\r\n", 505},
        {"small http", "GET /echo http/1.1\r\n" + host + "\r\n", 400},
        {"raw UTF-8 in the target", get("/\xc3\xa4"), 400},
        // targets
        {"dot dot", get("/echo/../admin"), 400},
        {"encoded dot dot", get("/echo/%2e%2E/admin"), 400},
        {"dot", get("/./echo"), 400},
        {"empty segment", get("//echo"), 400},
        {"empty segment inside", get("/echo//a"), 400},
        {"encoded slash", get("/echo/a%2Fb"), 400},
        {"encoded NUL", get("/echo/a%00b"), 400},
        {"encoded newline", get("/echo/a%0ab"), 400},
        {"encoded NUL in the query", get("/echo?a=%00"), 400},
        {"half an escape", get("/echo/%4"), 400},
        {"no hexadecimal", get("/echo/%zz"), 400},
        {"overlong UTF-8", get("/echo/%c0%ae%c0%ae"), 400},
        {"no UTF-8 in the query", get("/echo?a=%ff"), 400},
        {"fragment", get("/echo#x"), 400},
        {"relative", get("echo"), 400},
        {"asterisk", get("*"), 400},
        {"authority form", "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 400},
        {"absolute with another host", get("http://y/echo"), 400},
        {"absolute with a user", get("http://a@x/echo"), 400},
        {"other scheme", get("ftp://x/echo"), 400},
        {"double encoding stays encoded", get("/echo/%252e%252e"), 200},
        {"backslash is a character", get("/echo/dev\\x2dsda"), 200},
        {"absolute with the same host", get("http://X/echo"), 200},
        {"trailing slash", get("/echo/"), 200},
        {"blank line in front", "\r\n" + get("/echo"), 200},
        {"empty Host", "GET /echo HTTP/1.1\r\nHost:\r\n\r\n", 200},
        // methods
        {"unknown path", get("/nowhere"), 404},
        {"wrong method", "DELETE /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"unknown method", "BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"unknown method and path", "BREW /nowhere HTTP/1.1\r\nHost: x\r\n\r\n", 404},
        {"small letters", "get /echo HTTP/1.1\r\nHost: x\r\n\r\n", 405},
        {"options", "OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n", 204},
        {"options of everything", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 204},
    };
    for (const auto& row : rows) {
        for (const std::size_t step : {3UL, 4096UL}) {
            Conversation conversation;
            conversation.step = step;
            const auto answer = conversation.say(row.input + get("/echo/smuggled"));
            EXPECT_EQ(status_of(answer), row.status) << row.what << "\n" << answer;
            const bool refused = has_header(answer, "Connection: close");
            if (refused)
                EXPECT_EQ(answer.find("smuggled"), std::string::npos)
                    << row.what << " let a second request in";
            if (row.status == 400 || row.status > 405) EXPECT_TRUE(refused) << row.what << "\n" << answer;
            if (answer.find("problem+json") != std::string::npos)
                EXPECT_NE(answer.find("\"detail\":\"cannot "), std::string::npos);
        }
    }
}

TEST(HttpSession, CountsRefusedRequestsByReason)
{
    Conversation conversation;
    conversation.say(get("/echo", "Host: y\r\n"));
    EXPECT_NE(conversation.metrics.find("opsd_http_bad_requests_total{reason=\"host\"} 1"), std::string::npos)
        << conversation.metrics;
}

TEST(HttpSession, LabelsRequestsByTemplateAndNeverByPath)
{
    Conversation conversation;
    conversation.say(get("/echo/one") + get("/echo/two") + get("/secret-path")
                     + "BREW /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(conversation.metrics.find(
                  "opsd_http_requests_total{method=\"GET\",route=\"/echo/{name}\",code=\"200\"} 2"),
              std::string::npos)
        << conversation.metrics;
    EXPECT_NE(conversation.metrics.find("{method=\"GET\",route=\"unmatched\",code=\"404\"} 1"),
              std::string::npos);
    EXPECT_NE(conversation.metrics.find("{method=\"other\",route=\"unmatched\",code=\"405\"} 1"),
              std::string::npos);
    EXPECT_NE(conversation.metrics.find("opsd_http_request_seconds_count{route=\"/echo/{name}\"} 2"),
              std::string::npos);
    EXPECT_EQ(conversation.metrics.find("secret"), std::string::npos);
}

TEST(HttpSession, AnswersUnknownHealthPathsAsTheirClientsExpect)
{
    const auto theirs = answer_to(get("/system/health/v1/nothing"));
    EXPECT_EQ(status_of(theirs), 404);
    EXPECT_TRUE(has_header(theirs, "Content-Type: text/plain; charset=utf-8"));
    EXPECT_EQ(body_of(theirs), "404 page not found\n");
    EXPECT_TRUE(has_header(answer_to(get("/nothing")), "Content-Type: application/problem+json"));
}

TEST(HttpSession, TellsTheMethodsOfAPath)
{
    EXPECT_TRUE(has_header(answer_to("OPTIONS /echo HTTP/1.1\r\nHost: x\r\n\r\n"),
                           "Allow: GET, HEAD, POST, OPTIONS"));
    EXPECT_TRUE(has_header(answer_to("PUT /read HTTP/1.1\r\nHost: x\r\n\r\n"), "Allow: GET, HEAD, OPTIONS"));
}

TEST(HttpSession, ClosesHttp10AndAnswersWithoutHost)
{
    const auto answer = answer_to("GET /echo HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + get("/echo"));
    EXPECT_EQ(status_of(answer), 200);
    EXPECT_TRUE(has_header(answer, "Connection: close"));
    EXPECT_EQ(body_of(answer), "GET /echo\n");
}

TEST(HttpSession, AsksForCredentialsOnceTheRouteIsKnown)
{
    const auto anonymous = answer_to(get("/read"));
    EXPECT_EQ(status_of(anonymous), 401);
    EXPECT_TRUE(has_header(anonymous, "WWW-Authenticate: Bearer realm=\"opsd\""));
    EXPECT_NE(anonymous.find("the role viewer"), std::string::npos) << anonymous;
    EXPECT_EQ(status_of(answer_to(get("/read", "Authorization: Bearer viewer\r\n"))), 200);
    EXPECT_EQ(status_of(answer_to(get("/local"))), 200);
    const auto wrong = answer_to(get("/echo", "Authorization: Bearer wrong\r\n"));
    EXPECT_EQ(status_of(wrong), 401) << "wrong credentials are never a fall-back to anonymous";
    EXPECT_NE(wrong.find("cannot accept the token"), std::string::npos);
}

TEST(HttpSession, KnowsWhichHostNamesNoForeignPageCanHave)
{
    for (const auto* host : {"", "x", "localhost", "LOCALHOST:8080", "node-1", "node_1:80", "127.0.0.1",
                             "127.0.0.1:8080", "[::1]", "[::1]:8080", "10.0.0.7:1"}) {
        EXPECT_TRUE(http::is_near_host(host)) << host;
    }
    for (const auto* host : {"evil.example", "evil.example:8080", "localhost.evil.example", "localhost.",
                             "127.0.0.1.evil.example", "127.0.0.1.", "evil%2eexample", "evil:80.example",
                             "[evil.example]", "[::1].evil.example", "[::1", "1.2.3", "x:8080:1"}) {
        EXPECT_FALSE(http::is_near_host(host)) << host;
    }
}

TEST(HttpSession, GivesNoLocalRightsToAForeignHostName)
{
    const auto ask = [](std::string_view path, std::string_view more) {
        return answer_to("GET " + std::string{path} + " HTTP/1.1\r\nHost: evil.example:80\r\n"
                         + std::string{more} + "\r\n");
    };
    const auto refused = ask("/local", "");
    EXPECT_EQ(status_of(refused), 401);
    EXPECT_TRUE(has_header(refused, "WWW-Authenticate: Bearer realm=\"opsd\""));
    EXPECT_NE(refused.find("evil.example:80"), std::string::npos) << refused;
    EXPECT_NE(refused.find("use localhost, an address, or a token"), std::string::npos) << refused;
    EXPECT_EQ(status_of(ask("/local", "Authorization: Bearer viewer\r\n")), 200);
    EXPECT_EQ(status_of(ask("/echo", "")), 200) << "what is open to all stays open";
}

TEST(HttpSession, AuditsWhatWasDoneAndWhatWasRefused)
{
    Conversation conversation;
    const auto post = [](std::string_view who) {
        return "POST /admin HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + std::string{who} + "\r\n{}";
    };
    const auto answer = conversation.say(post("") + post("Authorization: Bearer viewer\r\n")
                                         + post("Authorization: Bearer admin\r\n"));
    const std::vector<std::string> expected{"POST /admin by : 401", "POST /admin by viewer-token: 403",
                                            "POST /admin by admin-token: 200"};
    EXPECT_EQ(conversation.around.audit.lines, expected) << answer;
    EXPECT_NE(
        answer.find("cannot POST /admin as viewer-token, whose role is viewer: it needs the role admin"),
        std::string::npos)
        << answer;
}

TEST(HttpSession, RefusesBeforeItReadsABodyItWillNotUse)
{
    const auto answer = answer_to(
        "POST /admin HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(status_of(answer), 401) << "no 100 Continue for somebody who may not";
    EXPECT_TRUE(has_header(answer, "Connection: close"));
}

namespace {

std::string with_body(std::string_view line, std::size_t size, std::string_view more = {})
{
    return std::string{line} + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n"
           + std::string{more} + "\r\n" + std::string(size, 'b');
}

std::string with_chunk(std::string_view line, std::size_t size)
{
    return std::string{line} + " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
           + fmt::format("{:x}\r\n{}\r\n0\r\n\r\n", size, std::string(size, 'b'));
}

}  // namespace

TEST(HttpSession, SkipsAShortBodyNobodyReadsAndRefusesALongOne)
{
    for (const auto make : {+[](std::size_t size) { return with_body("GET /echo", size); },
                            +[](std::size_t size) { return with_chunk("GET /echo", size); }}) {
        const auto answer = answer_to(make(4096) + get("/echo/next"));
        EXPECT_EQ(body_of(answer).substr(0, 10), "GET /echo\n") << answer;
        EXPECT_TRUE(answer.ends_with("GET /echo/next {name=next}\n")) << answer;
        EXPECT_EQ(status_of(answer_to(make(4097))), 413);
    }
}

TEST(HttpSession, TakesLongBodiesOnlyFromThoseWhoHaveARole)
{
    for (const auto make : {+[](std::size_t size) { return with_body("POST /echo", size); },
                            +[](std::size_t size) { return with_chunk("POST /echo", size); }}) {
        EXPECT_EQ(status_of(answer_to(make(16 * 1024))), 200);
        EXPECT_EQ(status_of(answer_to(make(16 * 1024 + 1))), 413);
    }
    EXPECT_EQ(status_of(answer_to(with_body("POST /admin", 100'000, "Authorization: Bearer admin\r\n"))),
              200);
}

TEST(HttpSession, BodiesBeyondTheRoomOfAllAre503)
{
    for (const auto& request : {with_body("POST /echo", 12'000), with_chunk("POST /echo", 12'000)}) {
        Conversation conversation;
        conversation.step = 1000;
        conversation.body_room = 10'000;
        const auto answer = conversation.say(request);
        EXPECT_EQ(status_of(answer), 503) << answer;
        EXPECT_TRUE(has_header(answer, "Retry-After: 5"));
        EXPECT_NE(conversation.metrics.find("opsd_http_bad_requests_total{reason=\"body_memory\"} 1"),
                  std::string::npos)
            << conversation.metrics;
        EXPECT_EQ(status_of(conversation.say(with_body("POST /echo", 1000))), 200) << "room again";
    }
}

TEST(HttpSession, InvitesTheBodyOfAnExpectingClient)
{
    Conversation conversation;
    conversation.step = 3;
    // Everything is sent at once here; one that waits is told to go on (see the server's tests).
    const auto answer = conversation.say(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\nhello");
    EXPECT_TRUE(answer.ends_with("POST /echo [hello]\n")) << answer;
}

TEST(HttpSession, AnswersNotModifiedToTheSameVersion)
{
    const auto full = answer_to(get("/data"));
    const auto at = full.find("ETag: ") + 6;
    const auto etag = full.substr(at, full.find("\r\n", at) - at);
    EXPECT_EQ(etag.size(), 34U) << etag;
    const auto packed_tag = etag.substr(0, 33) + "-gzip\"";
    for (const auto& match : {etag, "W/" + etag, "\"other\", " + etag, std::string{"*"}, packed_tag}) {
        const auto answer = answer_to(get("/data", "If-None-Match: " + match + "\r\n"));
        EXPECT_EQ(status_of(answer), 304) << match;
        EXPECT_TRUE(has_header(answer, "ETag: " + etag));
        EXPECT_EQ(body_of(answer), "");
        EXPECT_EQ(answer.find("Content-Length"), std::string::npos);
    }
    EXPECT_EQ(status_of(answer_to(get("/data", "If-None-Match: \"other\"\r\n"))), 200);
    EXPECT_EQ(status_of(answer_to(get("/data?pretty", "If-None-Match: " + etag + "\r\n"))), 200)
        << "the indented form is another one";
    const auto packed =
        answer_to(get("/data", "If-None-Match: " + packed_tag + "\r\nAccept-Encoding: gzip\r\n"));
    EXPECT_EQ(status_of(packed), 304);
    EXPECT_TRUE(has_header(packed, "ETag: " + packed_tag));
    EXPECT_TRUE(has_header(packed, "Vary: Accept-Encoding"));
}

TEST(HttpSession, CompressesForThoseWhoTakeIt)
{
    const auto plain = answer_to(get("/data"));
    struct Row {
        std::string_view accept;
        bool packed;
    };
    for (const auto& [accept, packed] :
         {Row{"gzip", true}, Row{"deflate, gzip;q=0.5", true}, Row{"*", true}, Row{"gzip;q=0", false},
          Row{"gzip;q=0.1, identity;q=0.9", false}, Row{"*;q=0", false}, Row{"br", false}}) {
        const auto answer = answer_to(get("/data", "Accept-Encoding: " + std::string{accept} + "\r\n"));
        EXPECT_EQ(has_header(answer, "Content-Encoding: gzip"), packed) << accept;
        EXPECT_TRUE(has_header(answer, "Vary: Accept-Encoding"));
        EXPECT_TRUE(has_header(answer, "Content-Length: " + std::to_string(body_of(answer).size())));
        if (packed)
            EXPECT_EQ(gunzip(body_of(answer)), body_of(plain));
        else
            EXPECT_EQ(body_of(answer), body_of(plain));
    }
}

TEST(HttpSession, SendsTheLengthOfWhatHeadOmits)
{
    const auto full = answer_to(get("/data"));
    const auto head = answer_to("HEAD /data HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(head, full.substr(0, head.size())
                        .replace(head.find("X-Request-Id: ") + 14, 16,
                                 head.substr(head.find("X-Request-Id: ") + 14, 16)));
    EXPECT_EQ(body_of(head), "");
}

TEST(HttpSession, IndentsAnyJsonOnRequest)
{
    Conversation conversation;
    conversation.router = build({route(two_lines)});
    const auto answer = conversation.say(get("/test?pretty"));
    EXPECT_EQ(body_of(answer), "{\n  \"b\": 1,\n  \"a\": []\n}\n");
    EXPECT_TRUE(has_header(answer, "ETag: \"v1-pretty\""));
    EXPECT_EQ(answer.find("Set-Cookie"), std::string::npos) << "a header value must not become two";
}

TEST(HttpSession, DoesNotIndentWhatWouldHoldUpTheLoop)
{
    const auto json_of_size = [](std::size_t size) { return "[\"" + std::string(size - 4, 'a') + "\"]"; };
    for (const std::size_t size : {512U * 1024, 512U * 1024 + 1}) {
        Conversation conversation;
        conversation.router = build({route([&](const http::Request&) -> Task<http::Response> {
            co_return http::Response::json(json_of_size(size));
        })});
        const auto answer = conversation.say(get("/test?pretty"));
        EXPECT_EQ(body_of(answer) == json_of_size(size), size > 512U * 1024);
        EXPECT_GE(body_of(answer).size(), size);
    }
}

TEST(HttpSession, HonoursIfModifiedSince)
{
    auto content = std::make_shared<http::Content>(*http::make_content("{}"));
    content->last_modified = parse_rfc3339("2026-11-22T10:00:00.700Z").value();
    Conversation conversation;
    conversation.router = build({route([content](const http::Request&) -> Task<http::Response> {
        co_return http::Response::shared(content);
    })});
    const auto answer =
        conversation.say(get("/test", "If-Modified-Since: Sun, 22 Nov 2026 10:00:00 GMT\r\n")
                         + get("/test", "If-Modified-Since: Sun, 22 Nov 2026 09:59:59 GMT\r\n")
                         + get("/test", "If-Modified-Since: yesterday\r\nConnection: close\r\n"));
    EXPECT_EQ(status_of(answer), 304);
    EXPECT_TRUE(has_header(answer, "Last-Modified: Sun, 22 Nov 2026 10:00:00 GMT"));
    EXPECT_NE(conversation.metrics.find("code=\"200\"} 2"), std::string::npos) << conversation.metrics;
}

TEST(HttpSession, ADateThatCannotTellTwoVersionsApartIsNotTrusted)
{
    struct Row {
        std::string_view what;
        std::string modified;
        std::string since;
        int status;
        std::string told;
    };
    const Row rows[] = {
        {"a header of the handler", "10:00:00", "10:00:00", 304, "10:00:00"},
        {"it changed since", "10:00:01", "10:00:00", 200, "10:00:01"},
        {"changed in the present second", "15:26:27", "15:26:26", 200, "15:26:26"},
        {"given before the clock was set back", "10:00:00", "16:00:00", 200, "10:00:00"},
    };
    const auto date = [](const std::string& time) { return "Sun, 22 Nov 2026 " + time + " GMT"; };
    for (const auto& row : rows) {
        Conversation conversation;
        conversation.router = build({route([&](const http::Request&) -> Task<http::Response> {
            auto response = http::Response::shared(http::make_content("{}"));
            response.with("Last-Modified", date(row.modified));
            co_return response;
        })});
        const auto answer = conversation.say(get("/test", "If-Modified-Since: " + date(row.since) + "\r\n"));
        EXPECT_EQ(status_of(answer), row.status) << row.what;
        EXPECT_TRUE(has_header(answer, "Last-Modified: " + date(row.told))) << row.what << answer;
        EXPECT_EQ(answer.find("Last-Modified"), answer.rfind("Last-Modified")) << row.what;
    }
}

TEST(HttpSession, AThrowingHandlerCostsItsOwnRequest)
{
    Conversation conversation;
    conversation.router = build({route(throws)});
    const auto answer = conversation.say(get("/test", "X-Request-Id: r-1\r\n") + get("/nowhere"));
    EXPECT_EQ(status_of(answer), 500);
    EXPECT_NE(answer.find("HTTP/1.1 404"), std::string::npos) << "the connection lives on";
    EXPECT_TRUE(conversation.around.lines->contains("/test failed: a bug (request r-1)"));
    EXPECT_EQ(answer.find("a bug"), std::string::npos) << "clients see no insides";
}

TEST(HttpSession, AHandlerThatTakesTooLongIs504)
{
    Conversation conversation;
    conversation.router = build({route(slow)});
    conversation.limits.handler_timeout = 30ms;
    const auto answer = conversation.say(get("/test"));
    EXPECT_EQ(status_of(answer), 504);
    EXPECT_TRUE(has_header(answer, "Connection: close"));
    EXPECT_NE(answer.find("cannot finish GET /test within 30 ms"), std::string::npos) << answer;
}

TEST(HttpSession, TakesPlainRequestIdsAndReplacesOthers)
{
    EXPECT_TRUE(
        has_header(answer_to(get("/echo", "X-Request-Id: abc-1.2_3\r\n")), "X-Request-Id: abc-1.2_3"));
    const auto odd = answer_to(get("/echo", "X-Request-Id: <script>\r\n"));
    EXPECT_EQ(odd.find("script"), std::string::npos);
    EXPECT_NE(odd.find("X-Request-Id: "), std::string::npos);
}

TEST(HttpSession, ASlowHeadIs408CountedFromItsFirstByte)
{
    opsd::test::run([]() -> Task<> {
        const auto executor = co_await asio::this_coro::executor;
        Surroundings around;
        http::Limits limits;
        limits.header_timeout = 80ms;
        http::Service service{executor,       limits,    around.authenticator, around.audit, around.clock,
                              around.metrics, around.log};
        auto [client, server] = net::make_memory_pair(executor);
        http::Session session{*server, service, {}};
        TaskGroup group{executor, [](std::string_view, std::exception_ptr) { ADD_FAILURE(); }};
        group.spawn("session", session.run());
        // A byte every 10 ms would keep a per-read timeout alive for ever.
        std::string answer;
        std::array<char, 512> chunk;
        for (int i = 0; i < 60 && answer.empty(); ++i) {
            const std::string_view part = i == 0 ? "GET / HTTP/1.1\r\nA: " : "a";
            [[maybe_unused]] auto written = co_await client->write_all(part);
            client->expires_after(10ms);
            auto count = co_await client->read_some(chunk);
            if (count) answer.append(chunk.data(), *count);
        }
        EXPECT_EQ(status_of(answer), 408) << answer;
        client.reset();
        co_await group.join();
    });
}

TEST(HttpSession, AnIdleConnectionIsClosedWithoutAWord)
{
    Conversation conversation;
    conversation.hold_open = true;
    conversation.limits.idle_timeout = 20ms;
    EXPECT_EQ(conversation.say(""), "");
    const auto answer = conversation.say(get("/echo"));
    EXPECT_TRUE(answer.ends_with("GET /echo\n")) << answer;
}

TEST(HttpSession, ABodyThatDoesNotArriveIs408)
{
    Conversation conversation;
    conversation.hold_open = true;
    conversation.limits.body_timeout = 20ms;
    conversation.limits.header_timeout = 5s;
    const auto answer = conversation.say(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 ")) << answer;
}
