// _bulk through the real client: what becomes of answers that are large.

#include "pipeline/sinks/bulk.hpp"
#include "pipeline/sinks/elasticsearch.hpp"
#include "wire.hpp"

using namespace opsd;
using namespace opsd::test;

namespace {

std::string items(std::size_t count, std::string_view item)
{
    std::string all = R"({"errors":true,"items":[)";
    for (std::size_t i = 0; i < count; ++i)
        all.append(i == 0 ? "" : ",").append(item);
    return all + "]}";
}

Task<Verdict> deliver(std::string answer, std::uint64_t records)
{
    const auto executor = co_await asio::this_coro::executor;
    const SystemClock clock;
    WebServer server{executor, [&answer](const WebRequest&) { return says(200, answer); }};
    HttpTarget target;
    target.urls = {server.url()};
    target.timeout = 10s;
    HttpPoster poster{executor, bulk_target(std::move(target), records), clock};
    BulkSink sink{std::move(poster), {}};
    const auto batch = batch_of(1, records, as_document);
    auto verdict = co_await sink.send(batch);
    co_await server.stop();
    co_return verdict;
}

}  // namespace

TEST(BulkWire, AnAnswerThatIsTooLargeMeansFewerRecordsAtATime)
{
    run([]() -> Task<> {
        const auto verdict = co_await deliver(std::string(3 << 20, ' '), 10);
        EXPECT_EQ(verdict.kind, Kind::too_large) << "not the same again for ever: " << verdict.reason;
        EXPECT_TRUE(verdict.reason.contains("more than 1048576 bytes")) << verdict.reason;
    });
}

TEST(BulkWire, ALargeAnswerIsReadAside)
{
    run([]() -> Task<> {
        constexpr std::size_t count = 10'000;
        auto answer = items(count, R"({"create":{"status":429,"error":{"type":"busy"}}})");
        EXPECT_GT(answer.size(), 256U * 1024);
        const auto verdict = co_await deliver(std::move(answer), count);
        EXPECT_EQ(verdict.kind, Kind::records) << verdict.reason;
        EXPECT_EQ(verdict.fates, std::vector(count, Fate::retry));
        EXPECT_TRUE(verdict.answer.starts_with("200: {")) << verdict.answer;
    });
}
