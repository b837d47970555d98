#include "pipeline/sinks/bulk.hpp"

#include "io/net/too_large.hpp"
#include "pipeline/sinks/elasticsearch.hpp"
#include "pipeline/sinks/network.hpp"

#include <algorithm>

namespace opsd::pipeline {
namespace {

constexpr std::size_t bytes_of_item = 1'024;  // also one with an error's reason
constexpr std::size_t smallest_limit = 1024 * 1024;
constexpr std::size_t read_at_once = 256 * 1024;  // of an answer: some milliseconds

}  // namespace

std::size_t largest_bulk_answer(std::size_t records) noexcept
{
    return std::clamp(records * bytes_of_item, smallest_limit, largest_bulk_reply);
}

HttpTarget bulk_target(HttpTarget target, std::size_t records)
{
    target.largest_answer = largest_bulk_answer(records);
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
    auto answer = co_await poster_.post(std::move(path), std::move(body));
    const bool fewer_help = !answer && sent > 1 && net::is_answer_too_large(answer.error());
    if (fewer_help) co_return too_large(answer.error().message);
    if (!answer) co_return verdict_of_error(answer.error());
    auto said = answer->text();
    auto verdict = co_await read(std::move(*answer), sent);
    verdict.answer = std::move(said);
    co_return verdict;
}

/// A large answer is read by a thread: the loop would stand still for it.
Task<Verdict> BulkSink::read(PostAnswer answer, std::size_t sent)
{
    if (answer.body.size() <= read_at_once)
        co_return read_bulk_reply(answer.status, answer.body, sent, answer.after);
    auto job = [answer = std::move(answer), sent]() -> Result<Verdict> {
        return read_bulk_reply(answer.status, answer.body, sent, answer.after);
    };
    auto verdict = co_await reader_.run(std::move(job));
    if (!verdict) co_return retry(verdict.error().message);
    co_return std::move(*verdict);
}

}  // namespace opsd::pipeline
