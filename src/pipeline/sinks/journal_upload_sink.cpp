#include "pipeline/sinks/journal_upload_sink.hpp"

namespace opsd::pipeline {

Task<Verdict> JournalUploadSink::send(const Batch& batch)
{
    HttpBody plain;
    plain.bytes = joined(batch);
    plain.type = "application/vnd.fdo.journal";
    auto body = co_await packer_.pack(std::move(plain));
    co_return co_await poster_.deliver("/upload", std::move(body));
}

}  // namespace opsd::pipeline
