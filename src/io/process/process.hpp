#pragma once
// Child processes: own process group, bounded output, a deadline that grandchildren cannot defeat.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <string>
#include <vector>

namespace opsd {

struct ProcessResult {
    int exit_code = -1;  ///< 128 + signal when killed by one
    int signal = 0;      ///< the signal that ended it, 0 if it exited
    bool timed_out = false;
    bool truncated = false;  ///< more than max_output was written; the rest is lost
    std::string output;      ///< stdout and stderr as written, through one pipe
    std::chrono::milliseconds took{};
};

struct ProcessSpec {
    explicit ProcessSpec(std::vector<std::string> command) : argv{std::move(command)} {}
    std::vector<std::string> argv;         ///< argv[0] is looked up in PATH
    std::vector<std::string> environment;  ///< "K=V"; empty: inherited
    std::chrono::milliseconds timeout{5'000};
    std::size_t max_output = 64 * 1024;
};

/// Runs a command. Nothing of it outlives the call, also when the call times out or is cancelled: the whole
/// process group is killed and the pipe closed. It gets no input, no descriptor but 0, 1 and 2, default
/// signals. Out of reach: what left the group (setsid), and a process stuck in the kernel, which the next
/// call collects. Errors: not_found, denied, invalid_argument (no command), internal.
Task<Result<ProcessResult>> run_process(ProcessSpec spec);

}  // namespace opsd
