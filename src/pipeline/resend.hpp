#pragma once
// Dead letters get another chance, once somebody has removed the reason of their refusal.

#include "opsd/clock.hpp"
#include "pipeline/dead_letters.hpp"
#include "pipeline/delivery.hpp"

#include <memory>
#include <set>
#include <string>

namespace opsd::pipeline {

struct Resent {
    std::uint64_t accepted = 0;  ///< these are no letters any more
    std::uint64_t refused = 0;   ///< these still are
    std::uint64_t without = 0;   ///< letters whose bytes were not kept: replay them from their position
    std::uint64_t left = 0;      ///< not asked about, or without an answer: these still are letters
    std::string error;           ///< why it ended early, a sentence; "" when all were sent
};

struct ResendLimits {
    std::chrono::milliseconds deadline{60'000};        ///< of one letter
    std::chrono::milliseconds budget{40'000};          ///< of all: well below what an HTTP handler may take
    std::chrono::milliseconds remove_interval{1'000};  ///< the file is written again so often at most
    RateLimit* rate = nullptr;                         ///< the output's own, shared with its delivery
};

/// Sends the letters with these ids, or all when there are none, oldest first, each in a request of its own:
/// what was refused once is best asked about alone. Those that are taken leave the file as it goes, so
/// whoever cuts this short repeats no more than a remove_interval. Ends with the first answer that is not
/// about the record, or with the budget. Errors: the file cannot be read or written. All outlive the task but
/// the ids.
Task<Result<Resent>> resend(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker, Sink& sink,
                            Clock& clock, ResendLimits limits, std::set<std::string> ids);

}  // namespace opsd::pipeline
