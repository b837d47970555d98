#pragma once
// systemd-journal-remote, as systemd-journal-upload speaks to it.
//
// In: batches of ExportWriter's records. Out: verdicts. 2xx means that all entries are in its journal files;
// whether they are on the disk already is that journal's own matter. It knows no ids: what is sent again is
// there twice. Of an upload that it refuses it keeps what came before the entry that is to blame, and no
// answer tells how much that is: each step of the search for that entry repeats some (11 steps for 2,000
// records).
//
// Some entries it refuses by closing the connection without a word: those with more than 1024 fields, and
// what it cannot parse. So does a server that is restarted. They are told apart by asking it twice, and each
// time whether it takes an empty upload right after.

#include "pipeline/delivery.hpp"
#include "pipeline/sinks/http_post.hpp"

namespace opsd::pipeline {

struct JournalUploadOptions {
    HttpTarget target;  ///< as for systemd-journal-upload, without /upload: https://host:19532
    Compress compress;  ///< gzip, which systemd-journal-remote takes from version 258 on; unset: none

    [[nodiscard]] std::chrono::milliseconds deadline() const { return target.deadline(); }
};

class JournalUploadSink final : public Sink {
public:
    JournalUploadSink(const Executor& executor, JournalUploadOptions options, const Clock& clock)
      : packer_{std::move(options.compress)}
      , poster_{executor, std::move(options.target), clock}
    {}

    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override
    {
        return "systemd-journal-remote has written it to its journal";
    }

private:
    Task<bool> takes_nothing();

    Packer packer_;
    HttpPoster poster_;
};

}  // namespace opsd::pipeline
