#pragma once
// The daemon's end of its reader of task files (task_reader.hpp): one request at a time, from any thread.
//
// A reader that has gone stays gone: only systemd can give its right to another. Each request says so then,
// and nothing reads less without saying so.

#include "io/sandbox/opener.hpp"
#include "io/sandbox/reader_protocol.hpp"

#include <sys/types.h>

#include <chrono>
#include <mutex>

namespace opsd::sandbox {

class ReaderLink {
public:
    /// `pid` is our child, ended with us; 0: it is nobody's. `limit` is for each answer.
    ReaderLink(UniqueFd socket, pid_t pid, std::chrono::milliseconds limit);
    ReaderLink(const ReaderLink&) = delete;
    ReaderLink& operator=(const ReaderLink&) = delete;
    ~ReaderLink();

    /// Fixes the folder: once, and first.
    Result<> fix(const std::string& folder);
    /// As open_beneath(). unavailable: the reader has gone, or did not answer in time.
    Result<UniqueFd> open(std::string_view path);
    /// The same of what is beside the folder (checkpoints.hpp).
    Result<UniqueFd> open_checkpoint(std::string_view path);
    /// 0: it is not there any more.
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

private:
    Result<UniqueFd> ask(Request request);
    Result<UniqueFd> answer(std::uint64_t id, std::chrono::steady_clock::time_point end);
    std::unexpected<Error> gone(std::string why);
    std::unexpected<Error> late() const;

    void collect(std::chrono::milliseconds limit);

    std::mutex mutex_;
    UniqueFd socket_;  ///< none: it has gone
    pid_t pid_;
    std::chrono::milliseconds limit_;
    std::uint64_t last_id_ = 0;
    std::string why_gone_;
};

/// Opens below `folder`, which the link was told.
[[nodiscard]] std::unique_ptr<Opener> make_reader_opener(std::shared_ptr<ReaderLink> link,
                                                         std::string folder);
/// Opens checkpoints, which are in `folder`; whatever else is asked for is Errc::denied.
[[nodiscard]] std::unique_ptr<Opener> make_checkpoint_opener(std::shared_ptr<ReaderLink> link,
                                                             std::string folder);

}  // namespace opsd::sandbox
