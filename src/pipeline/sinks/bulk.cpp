#include "pipeline/sinks/bulk.hpp"

#include "pipeline/sinks/elasticsearch.hpp"
#include "pipeline/sinks/network.hpp"

namespace opsd::pipeline {

HttpTarget bulk_target(HttpTarget target)
{
    target.largest_answer = largest_bulk_reply;
    target.repeatable = true;
    return target;
}

BulkSink::BulkSink(HttpPoster poster, Compress compress)
  : packer_{std::move(compress)}
  , poster_{std::move(poster)}
{}

Task<Verdict> BulkSink::send(const Batch& batch)
{
    const auto sent = batch.size();
    HttpBody plain;
    plain.bytes = joined(batch);
    plain.type = bulk_content_type;
    auto body = co_await packer_.pack(std::move(plain));
    std::string path{bulk_path};
    const auto answer = co_await poster_.post(std::move(path), std::move(body));
    if (!answer) co_return verdict_of_error(answer.error());
    auto verdict = read_bulk_reply(answer->status, answer->body, sent, answer->after);
    verdict.answer = answer->text();
    co_return verdict;
}

}  // namespace opsd::pipeline
