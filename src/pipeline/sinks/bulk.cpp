#include "pipeline/sinks/bulk.hpp"

#include "pipeline/sinks/elasticsearch.hpp"

namespace opsd::pipeline {
namespace {

HttpSenderOptions bounded(HttpSenderOptions options)
{
    options.largest_answer = largest_bulk_reply;
    return options;
}

}  // namespace

BulkSink::BulkSink(HttpSenderOptions options, HttpSenderParts parts, Clock& clock)
  : sender_{bounded(std::move(options)), std::move(parts)}
  , clock_{clock}
{}

Task<Verdict> BulkSink::send(const Batch& batch)
{
    const auto sent = batch.size();
    std::string target{bulk_path};
    std::string type{bulk_content_type};
    auto body = joined(batch);
    auto answer = co_await sender_.post(std::move(target), std::move(type), std::move(body));
    if (!answer) co_return std::move(answer).error();
    const auto after = parse_retry_after(answer->header("retry-after"), clock_.now());
    auto verdict = read_bulk_reply(static_cast<int>(answer->status), answer->body, sent, after);
    verdict.answer = answer_text(*answer);
    co_return verdict;
}

}  // namespace opsd::pipeline
