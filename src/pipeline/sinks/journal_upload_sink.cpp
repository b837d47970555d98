#include "pipeline/sinks/journal_upload_sink.hpp"

#include "pipeline/sinks/network.hpp"

namespace opsd::pipeline {
namespace {

constexpr auto path = "/upload";
constexpr auto export_type = "application/vnd.fdo.journal";
constexpr int closings_that_tell =
    2;  // a restart in the middle of two uploads in a row is too much of chance

}  // namespace

Task<Verdict> JournalUploadSink::send(const Batch& batch)
{
    HttpBody plain;
    plain.bytes = joined(batch);
    plain.type = export_type;
    auto body = co_await packer_.pack(std::move(plain));
    for (int closings = 1;; ++closings) {
        auto sent = closings == closings_that_tell ? std::move(body) : body;
        const auto answer = co_await poster_.post(path, std::move(sent));
        if (answer) {
            auto verdict = verdict_of_status(answer->status, answer->body, answer->after);
            verdict.answer = answer->text();
            co_return verdict;
        }
        if (answer.error().code != Errc::unavailable) co_return verdict_of_error(answer.error());
        const bool well = co_await takes_nothing();
        if (!well) co_return verdict_of_error(answer.error());
        if (closings == closings_that_tell)
            co_return refused("it closes the connection at it without an answer, and takes others");
    }
}

/// Is it there, and well otherwise?
Task<bool> JournalUploadSink::takes_nothing()
{
    HttpBody nothing;
    nothing.type = export_type;
    const auto answer = co_await poster_.post(path, std::move(nothing));
    co_return answer && answer->status / 100 == 2;
}

}  // namespace opsd::pipeline
