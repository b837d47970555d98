#pragma once
// Journal lines as evidence: which unit is read next and when, and how lines become text. Pure; the reading
// itself is in evidence_task.cpp.
//
// A unit that turns unhealthy is read at once and again `settle` after that, for journald writes with a
// delay. A unit that keeps turning up (a flapper) is read once per pause, and the pause doubles from 5 s to 1
// min.

#include "io/systemd/journal.hpp"
#include "modules/health/tracker.hpp"

#include <map>
#include <optional>
#include <span>
#include <string>

namespace opsd::health {

class EvidencePlan {
public:
    explicit EvidencePlan(Monotonic settle) : settle_{settle} {}

    struct Job {
        std::string unit;
        std::string key;
        std::string invocation_id;
        std::uint64_t order = 0;
        bool last = false;  ///< no further reading follows for this key
    };

    /// True when something may be due earlier than before.
    bool want(const EvidenceWish& wish, Monotonic now);
    /// The unit recovered or is no longer watched.
    void forget(const std::string& unit);

    /// The newest wish that is due. One at a time: done() follows before the next call.
    [[nodiscard]] std::optional<Job> next(Monotonic now);
    /// `read`: false when the journal could not be read, so that it is tried again later.
    void done(const Job& job, Monotonic now, bool read = true);
    [[nodiscard]] std::optional<Monotonic> next_due() const;
    [[nodiscard]] std::size_t size() const noexcept { return units_.size(); }

private:
    enum class Stage { first, again, idle };
    struct Wish {
        std::string key;
        std::string invocation_id;
        Stage stage = Stage::first;
        Monotonic due{};
        Monotonic wanted_at{};  ///< by the first wish
        Monotonic pause{};      ///< before the next series; 0: none was begun
        Monotonic series_began{};
        std::uint64_t order = 0;
    };

    Monotonic settle_;
    std::map<std::string, Wish, std::less<>> units_;
    std::uint64_t orders_ = 0;
};

/// "2026-11-22T17:39:05.123Z vault[71]: cannot open ...\n" per line.
[[nodiscard]] std::string journal_text(std::span<const systemd::JournalLine> lines);

}  // namespace opsd::health
