#pragma once
// Reads the journal for unhealthy units, one at a time, newest first, as the plan says. A reading that does
// not end costs the others no more than its deadline.

#include "modules/health/bell.hpp"
#include "modules/health/evidence.hpp"
#include "modules/health/options.hpp"
#include "modules/health/publisher.hpp"

#include <functional>

namespace opsd::health {

class EvidenceTask {
public:
    using Lines = Result<std::vector<systemd::JournalLine>>;
    using Read = std::function<Task<Lines>(systemd::JournalQuery)>;
    /// "" or why the journal cannot be read.
    using Report = std::function<void(const std::string& sentence)>;

    EvidenceTask(Executor executor, Clock& clock, Tracker& tracker, Publisher& publisher,
                 const JournalOptions& options, Read read, Report report);

    void want(const EvidenceWish& wish);
    void forget(const std::string& unit);
    Task<> run();

    [[nodiscard]] std::uint64_t reads() const noexcept { return reads_; }
    [[nodiscard]] std::uint64_t failures() const noexcept { return failures_; }
    [[nodiscard]] std::size_t waiting() const noexcept { return plan_.size(); }

private:
    Task<> read_one(EvidencePlan::Job job);
    Task<Lines> give_up();

    Clock& clock_;
    Tracker& tracker_;
    Publisher& publisher_;
    const JournalOptions& options_;
    Read read_;
    Report report_;
    EvidencePlan plan_;
    Bell bell_;
    std::uint64_t reads_ = 0;
    std::uint64_t failures_ = 0;
};

}  // namespace opsd::health
