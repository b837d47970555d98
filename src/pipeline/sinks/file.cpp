#include "pipeline/sinks/file.hpp"

#include "io/files/files.hpp"

#include <fmt/format.h>

#include <vector>

namespace opsd::pipeline {
namespace {

constexpr unsigned readable_by_group = 0640;

Result<> append(const FileSinkOptions& options, const Batch& batch)
{
    std::vector<std::string> lines;
    lines.reserve(batch.size());
    for (const auto& record : batch.records())
        lines.emplace_back(record.bytes);
    return files::append_lines(options.path, lines, options.max_size / 2, readable_by_group);
}

Verdict verdict_of(const Error& error)
{
    switch (error.code) {
    case Errc::invalid_argument:  // too many bytes for the file, or no line
        return too_large(error.message);
    case Errc::denied:
    case Errc::not_found:
        return keep(error.message);
    default:
        return retry(error.message);
    }
}

}  // namespace

Task<Verdict> FileSink::send(const Batch& batch)
{
    // A copy, whose texts are shared: whoever is cancelled leaves them to the worker.
    // Another one beside a write that hangs would only wait behind it, and hold its text.
    if (!writing_.expired()) co_return retry("a write to it that was begun has not ended; look at the disk");
    auto mine = std::make_shared<int>();
    writing_ = mine;
    auto job = [options = options_, batch = batch, mine = std::move(mine)]() mutable {
        auto done = append(options, batch);
        mine.reset();
        return done;
    };
    const auto done = co_await worker_.run(std::move(job));
    auto verdict = done ? accepted() : verdict_of(done.error());
    verdict.answer = done ? fmt::format("written to {}", options_.path) : done.error().message;
    co_return verdict;
}

}  // namespace opsd::pipeline
