// What a sink over HTTP does around the requests: turns, secrets, packing, and what errors mean.

#include "core/gzip.hpp"
#include "pipeline/sinks/bulk.hpp"
#include "pipeline/sinks/elasticsearch.hpp"

#include "pipeline_support.hpp"
#include "support.hpp"

#include <deque>

using namespace opsd;
using namespace opsd::test;
using namespace std::chrono_literals;

namespace {

Batch batch_of(const Slice& slice)
{
    Batch batch;
    for (const auto& record : slice.records)
        batch.add(record, slice.text);
    return batch;
}

net::ClientResponse answered(unsigned status, std::string body = "",
                             std::vector<std::pair<std::string, std::string>> headers = {})
{
    return {status, std::move(headers), std::move(body)};
}

std::string good_items(std::size_t count)
{
    std::string items;
    for (std::size_t i = 0; i < count; ++i)
        items += std::string{i == 0 ? "" : ","} + R"({"create":{"status":201}})";
    return R"({"errors":false,"items":[)" + items + "]}";
}

/// Far sides that answer from a list, the good answer when it is empty.
struct FarSides {
    Task<Result<net::ClientResponse>> send(net::ClientRequest request)
    {
        requests.push_back(std::move(request));
        if (answers.empty()) co_return answered(200, good_items(3));
        auto answer = std::move(answers.front());
        answers.pop_front();
        co_return answer;
    }

    /// The verdict on three records.
    Verdict deliver()
    {
        if (!sink) {
            if (authorization) target.authorization = std::make_shared<Authorization>(authorization, reader);
            HttpPoster poster{[this](net::ClientRequest r) { return send(std::move(r)); },
                              bulk_target(target), clock};
            sink.emplace(std::move(poster), [](const std::string& plain) { return gzip(plain, gzip_fast); });
        }
        const auto batch = batch_of(numbered(1, 3, render));
        Verdict verdict;
        run([&]() -> Task<> { verdict = co_await sink->send(batch); });
        return verdict;
    }

    std::function<void(std::string&, std::uint64_t)> render = [](std::string& out, std::uint64_t n) {
        out += "{\"create\":{}}\n{\"n\":" + std::to_string(n) + "}\n";
    };
    HttpTarget target{.urls = {"https://a:9200"}};
    std::function<Result<std::string>()> authorization;
    ManualClock clock{today};
    WorkerThread reader{"reader"};
    std::deque<Result<net::ClientResponse>> answers;
    std::vector<net::ClientRequest> requests;
    std::optional<BulkSink> sink;
};

std::string header_of(const net::ClientRequest& request, std::string_view name)
{
    for (const auto& [key, value] : request.headers)
        if (key == name) return value;
    return "(none)";
}

}  // namespace

TEST(BulkSink, SendsTheRecordsAsBulkAndReadsTheItems)
{
    FarSides far;
    auto verdict = far.deliver();
    EXPECT_EQ(verdict.kind, Verdict::Kind::accepted);
    ASSERT_EQ(far.requests.size(), 1U);
    const auto& request = far.requests[0];
    EXPECT_EQ(request.method, "POST");
    EXPECT_EQ(request.url, "https://a:9200/_bulk?filter_path=errors,items.*.status,items.*.error");
    EXPECT_EQ(header_of(request, "Content-Type"), "application/x-ndjson");
    EXPECT_EQ(header_of(request, "Authorization"), "(none)");
    EXPECT_TRUE(request.body.ends_with("{\"n\":3}\n")) << "small ones are not packed";
    EXPECT_EQ(request.max_redirects, 0) << "credentials go nowhere else";
    EXPECT_TRUE(verdict.answer.starts_with("200: {\"errors\":false")) << verdict.answer;

    far.answers.push_back(
        answered(200, R"({"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":)"
                      R"({"type":"mapper_parsing_exception","reason":"no"}}},{"create":{"status":429}}]})"));
    verdict = far.deliver();
    EXPECT_EQ(verdict.kind, Verdict::Kind::records);
    EXPECT_EQ(verdict.fates, (std::vector{Fate::accepted, Fate::refused, Fate::retry}));
}

TEST(BulkSink, PacksLargeRequests)
{
    FarSides far;
    far.render = [](std::string& out, std::uint64_t) { out += std::string(5'000, 'x') + "\n"; };
    EXPECT_EQ(far.deliver().kind, Verdict::Kind::accepted);
    const auto& request = far.requests.at(0);
    EXPECT_EQ(header_of(request, "Content-Encoding"), "gzip");
    EXPECT_LT(request.body.size(), 1'000U);
    const auto plain = gunzip(request.body, 100'000);
    ASSERT_TRUE(plain);
    EXPECT_EQ(*plain, std::string(5'000, 'x') + "\n" + std::string(5'000, 'x') + "\n"
                          + std::string(5'000, 'x') + "\n");
}

TEST(BulkSink, AddressesTakeTurnsAndOneThatIsAwayIsPassedOver)
{
    FarSides far;
    far.target.urls = {"https://a:9200", "https://b:9200", "https://c:9200"};
    far.deliver();
    far.deliver();
    EXPECT_TRUE(far.requests.at(0).url.starts_with("https://a:9200/"));
    EXPECT_TRUE(far.requests.at(1).url.starts_with("https://b:9200/"));
    far.answers.push_back(fail(Errc::unavailable, "cannot connect"));
    EXPECT_EQ(far.deliver().kind, Verdict::Kind::accepted);
    EXPECT_TRUE(far.requests.at(2).url.starts_with("https://c:9200/"));
    EXPECT_TRUE(far.requests.at(3).url.starts_with("https://a:9200/"));
    for (int i = 0; i < 3; ++i)
        far.answers.push_back(fail(Errc::unavailable, "cannot connect"));
    const auto verdict = far.deliver();
    EXPECT_EQ(verdict.kind, Verdict::Kind::retry) << "each was tried once";
    EXPECT_EQ(verdict.reason, "cannot connect");
    EXPECT_EQ(far.requests.size(), 7U);
}

TEST(BulkSink, AKeptConnectionThatDiedIsNoFailure)
{
    FarSides far;
    far.answers.push_back(fail(Errc::unavailable, "cannot read the answer: the connection was closed"));
    EXPECT_EQ(far.deliver().kind, Verdict::Kind::accepted);
    EXPECT_EQ(far.requests.size(), 2U);
}

TEST(BulkSink, AnAnswerThatDoesNotComeIsNotAskedForTwiceAtOnce)
{
    FarSides far;
    far.answers.push_back(fail(Errc::timeout, "cannot read the answer: no answer within 60 s"));
    EXPECT_EQ(far.deliver().kind, Verdict::Kind::retry);
    EXPECT_EQ(far.requests.size(), 1U);
}

TEST(BulkSink, WhatSomebodyHasToMendIsKept)
{
    for (const auto code : {Errc::denied, Errc::invalid_argument, Errc::not_found}) {
        FarSides far;
        far.answers.push_back(fail(code, "cannot accept the certificate of the peer"));
        const auto verdict = far.deliver();
        EXPECT_EQ(verdict.kind, Verdict::Kind::keep);
        EXPECT_EQ(verdict.reason, "cannot accept the certificate of the peer");
    }
}

TEST(BulkSink, HonoursRetryAfter)
{
    FarSides far;
    far.answers.push_back(answered(503, "busy", {{"retry-after", "7"}}));
    const auto verdict = far.deliver();
    EXPECT_EQ(verdict.kind, Verdict::Kind::retry);
    EXPECT_EQ(verdict.after, std::optional<std::chrono::milliseconds>{7s});
}

TEST(BulkSink, ReadsASecretOnceAndAnewWhenItWasRefused)
{
    FarSides far;
    int reads = 0;
    std::string secret = "old";
    far.authorization = [&]() -> Result<std::string> {
        ++reads;
        return basic_authorization("elastic", secret);
    };
    far.deliver();
    far.deliver();
    EXPECT_EQ(reads, 1);
    EXPECT_EQ(header_of(far.requests.at(1), "Authorization"), "Basic ZWxhc3RpYzpvbGQ=");
    secret = "n";
    far.answers.push_back(answered(401, "who are you?"));
    EXPECT_EQ(far.deliver().kind, Verdict::Kind::keep);
    far.deliver();
    EXPECT_EQ(reads, 2);
    EXPECT_EQ(header_of(far.requests.at(3), "Authorization"), "Basic ZWxhc3RpYzpu");
}

TEST(BulkSink, ASecretThatCannotBeReadIsSaidAndTriedAgain)
{
    FarSides far;
    bool there = false;
    far.authorization = [&]() -> Result<std::string> {
        if (!there) return fail(Errc::not_found, "cannot read /etc/opsd/elk.password");
        return "ApiKey x";
    };
    const auto verdict = far.deliver();
    EXPECT_EQ(verdict.kind, Verdict::Kind::keep);
    EXPECT_EQ(verdict.reason, "cannot read /etc/opsd/elk.password");
    EXPECT_TRUE(far.requests.empty()) << "nothing goes out without it";
    there = true;
    EXPECT_EQ(far.deliver().kind, Verdict::Kind::accepted);
}

TEST(BulkSink, BasicCredentialsAreThoseOfTheStandard)
{
    EXPECT_EQ(basic_authorization("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    EXPECT_EQ(basic_authorization("", ""), "Basic Og==");
    EXPECT_EQ(basic_authorization("ab", "\xc3\xbc"), "Basic YWI6w7w=");
}
