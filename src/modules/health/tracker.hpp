#pragma once
// What is known about every watched unit, and what follows from it. A pure state machine: rows, facts,
// signals, job results, losses, journal lines and ticks go in; unit states, node health, transitions and
// wishes for evidence come out. No I/O; time is an argument. Work is proportional to what changed.

#include "io/systemd/journal.hpp"
#include "io/systemd/manager.hpp"
#include "modules/health/restarts.hpp"
#include "modules/health/rules.hpp"
#include "opsd/model.hpp"

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::health {

/// What the store remembers of a unit between two runs of the daemon.
struct Known {
    std::string state;
    Health health = Health::unknown;
    WallTime since{};
    std::string boot_id;
    std::string result;
    int main_code = 0;
    int main_status = 0;
    std::string invocation_id;
    std::string job_result;
    bool started = false;  ///< it had been started in that boot
    std::optional<SavedRestarts> restarts;
};

/// For the history: the unit's newest state, and the transition that led there (none at first sight).
struct Record {
    std::string unit;
    Known known;
    std::optional<Transition> transition;
};

/// Journal lines wanted for a unit. The same key is the same evidence.
struct EvidenceWish {
    std::string unit;
    std::string key;
    std::string invocation_id;  ///< "": of any invocation
};

/// What evaluate() found.
struct Effects {
    std::vector<Record> records;
    std::vector<EvidenceWish> evidence;
    std::vector<std::string> recovered;  ///< no evidence needed any more; also units that were forgotten
    bool changed = false;                ///< something to publish
};

struct Moment {
    Monotonic monotonic{};
    WallTime wall{};
};

class Tracker {
public:
    struct Options {
        Flapping flapping;
        StuckAfter stuck_after;
        std::size_t max_units = 5'000;
    };
    explicit Tracker(const Options& options) : options_{options} {}
    Tracker(const Tracker&) = delete;
    Tracker& operator=(const Tracker&) = delete;

    // --- which units

    /// Watches a unit (or updates what is expected of it). `kept`: it stays when systemd unloads it. False:
    /// no room.
    bool watch(std::string_view id, bool expected, bool kept, std::string problem = {});
    void add_alias(std::string_view id, std::string_view alias);
    /// Without a word: nothing is known of it any more.
    void forget(std::string_view id);
    /// It is not there any more. What was not judged yet is, the transition to "gone" is made, and the unit
    /// is forgotten; when it comes again, it comes from "gone".
    void leave(std::string_view id, std::string_view why, const Moment& now);
    [[nodiscard]] bool contains(std::string_view id) const { return entries_.contains(id); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] std::vector<std::string> ids() const;
    /// The id for an id or alias; "" for neither.
    [[nodiscard]] std::string resolve(std::string_view name) const;

    // --- what systemd says

    /// A row of a list. True when it differs from what was known, so that details must be read.
    bool listed(const systemd::ListedUnit& row, Monotonic now);
    /// can_wait: the unit is known to be flapping and was last seen to go on with it. Nothing was taken from
    /// the signal; come again with it `kept`, or with a newer one.
    enum class Heard { unwatched, applied, must_read, can_wait };
    Heard signal(const systemd::UnitChange& change, Monotonic now, bool kept = false);
    /// Details. `overtaken`: a signal came between question and answer, so that what signals tell stays.
    void read(std::string_view id, UnitFacts facts, Monotonic now, bool overtaken = false);
    /// `until_read`: a row of a list does not mend it, only details do.
    void unreadable(std::string_view id, std::string reason, bool until_read = false);
    void job_ended(std::string_view id, std::string_view result);
    enum class Removed { unwatched, dropped, kept, must_ask };
    /// systemd unloaded the unit. must_ask: it was not at rest, so ask for it by name.
    Removed removed(std::string_view id, const Moment& now);
    void systemd_lost(std::string reason, Monotonic now);
    void systemd_back(Monotonic now);
    [[nodiscard]] bool systemd_readable() const noexcept { return readable_; }
    /// Signals applied to the unit so far: a call's answer is older than a signal heard during the call.
    [[nodiscard]] std::uint64_t signals(std::string_view id) const;
    [[nodiscard]] bool detailed(std::string_view id) const;
    [[nodiscard]] bool is_unit(std::string_view id) const;  ///< watched, and not only a wrong name
    /// Was it last read as one that `trigger` starts? Nothing for a unit whose details are still to come.
    [[nodiscard]] std::optional<bool> triggered_by(std::string_view id, std::string_view trigger) const;
    /// The units that were.
    [[nodiscard]] std::vector<std::string> all_triggered_by(std::string_view trigger) const;
    [[nodiscard]] std::string_view file_state(std::string_view id) const;
    /// The main process that ended last, if it was of this invocation ("": of any).
    [[nodiscard]] std::optional<systemd::MainProcess> main_process(std::string_view id,
                                                                   std::string_view invocation) const;

    /// "" or why units may be missing from those watched: the node is not healthy then.
    void incomplete(std::string reason) { incomplete_ = std::move(reason); }

    // --- what others say

    /// The store's memory. Until then no record is made, so that a restart makes no false transition.
    void remember(std::map<std::string, Known, std::less<>> known, std::string boot_id);
    /// Of a memory that came too late for remember(): restarts within the window count nevertheless.
    void remember_restarts(std::map<std::string, Known, std::less<>> known);
    void journal(std::string_view id, const std::string& key, std::string lines, bool complete);
    /// `until` on the monotonic clock; a removal is nullopt.
    void acknowledge(std::string_view id, std::optional<Acknowledgement> ack, Monotonic until);

    // --- what follows

    /// Marks what is due by time alone.
    void tick(Monotonic now);
    [[nodiscard]] std::optional<Monotonic> next_deadline() const;
    [[nodiscard]] bool dirty() const noexcept { return !dirty_.empty(); }
    /// Judges at most `max` changed units.
    Effects evaluate(const Moment& now, std::size_t max);
    /// What the next run of the daemon needs and is not recorded yet.
    [[nodiscard]] Effects last_words(const Moment& now);
    /// The node, units sorted by id.
    [[nodiscard]] NodeHealth node(WallTime read_at) const;

private:
    struct Entry {
        explicit Entry(Monotonic window) : restarts{window} {}
        UnitFacts facts;
        std::vector<std::string> aliases;
        RestartWindow restarts;
        bool expected = false;
        bool kept = false;
        bool dirty = false;
        bool judged = false;
        bool until_read = false;
        std::string problem;
        std::string unreadable;
        std::string job_result;
        Monotonic seen_at{};
        Monotonic job_since{};
        bool job_pending = false;
        Monotonic judged_change_at{};
        std::string judged_invocation;
        std::uint64_t signals = 0;
        Health health = Health::unknown;
        std::string state;
        WallTime since{};
        std::optional<Known> recorded;
        std::string journal;
        std::string wished_key;
        bool journal_complete = false;
        std::optional<Acknowledgement> ack;
        Monotonic ack_until{};
        Monotonic deadline{};
        std::shared_ptr<const UnitState> published;
    };
    using Entries = std::map<std::string, Entry, std::less<>>;

    Entry* find(std::string_view id);
    void mark(Entry& entry);
    void observe(Entry& entry, const std::string& active_before, const std::string& sub_before,
                 std::uint32_t restarts_before, Monotonic now);
    void recall(Entry& entry);
    [[nodiscard]] bool goes_on_flapping(const Entry& entry) const;
    void save_restarts(Entry& entry, const Moment& now, Effects& effects);
    [[nodiscard]] Context context_of(Entry& entry, Monotonic now) const;
    void judge_entry(Entry& entry, const Moment& now, Effects& effects);
    void set_verdict(Entry& entry, const Verdict& verdict, const Moment& now);
    void record(Entry& entry, const Verdict& verdict, const Moment& now, Effects& effects);
    void record_gone(Entry& entry, std::string_view why, const Moment& now, Effects& effects);
    void remember_left(const std::string& id, Known known);
    void wish(Entry& entry, Effects& effects);
    void publish(Entry& entry, std::string reason, std::uint32_t restarts);
    void schedule(Entry& entry, const Context& context);
    [[nodiscard]] Known known_of(const Entry& entry) const;

    Options options_;
    Entries entries_;
    std::map<std::string, std::string, std::less<>> aliases_;
    std::map<std::string, Known, std::less<>> memory_;
    std::map<std::string, std::pair<Acknowledgement, Monotonic>, std::less<>> early_acks_;
    std::string boot_id_;
    bool remembers_ = false;
    std::deque<Entry*> dirty_;
    Effects left_;                  // of units that were forgotten, for the next evaluate()
    std::deque<std::string> gone_;  // in memory_ though not watched, oldest first
    std::set<std::pair<Monotonic, Entry*>> deadlines_;
    bool readable_ = false;
    std::string lost_reason_ = "systemd has not been read yet";
    std::string incomplete_;
    Monotonic lost_at_{};
};

/// Facts read anew, with what was known before when systemd unloaded the unit in between and forgot its run.
[[nodiscard]] UnitFacts keep_memory(const UnitFacts& before, UnitFacts fresh);

/// One sentence about the node for these units; "" when all are healthy.
[[nodiscard]] std::string node_reason(const std::vector<std::shared_ptr<const UnitState>>& units);

}  // namespace opsd::health
