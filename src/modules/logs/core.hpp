#pragma once
// Everything one instance of the module consists of, shared with its handlers and the streams they began.

#include "core/read_slots.hpp"
#include "io/mesos/task_lookup.hpp"
#include "io/systemd/journal_follower.hpp"
#include "io/systemd/journal_readers.hpp"
#include "modules/logs/elsewhere.hpp"
#include "modules/logs/options.hpp"
#include "modules/logs/query.hpp"
#include "opsd/module.hpp"
#include "opsd/worker.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace opsd::logs {

/// Continues one reading: its next slice each time.
using NextSlice = std::function<Task<Result<systemd::JournalSlice>>(systemd::SliceLimits)>;

/// What the module asks of the outside; tests bring their own.
struct Outside {
    std::function<NextSlice(systemd::JournalRange, std::unique_ptr<systemd::EntryWriter>)> read;
    std::function<Task<Result<std::unique_ptr<systemd::Subscription>>>(
        systemd::FollowKey, systemd::JournalFollower::MakeWriter, std::string position)>
        follow;
    std::function<Task<Result<std::vector<std::string>>>(std::string field, std::size_t most)> values;
    std::function<Task<>()> run;  ///< the follower, until cancelled
    std::string boot_id;
    std::function<std::size_t()> waiting = [] { return std::size_t{0}; };  ///< slices, for a thread
    std::function<std::size_t()> handles = [] { return std::size_t{0}; };  ///< of the follower
    Elsewhere elsewhere = nowhere();
};

struct Counters {
    std::uint64_t entries = 0;        ///< given
    std::uint64_t bytes = 0;          ///< of text
    std::uint64_t slices = 0;         ///< read for it
    std::uint64_t lost = 0;           ///< entries that were deleted before they were read, as far as known
    std::uint64_t gaps = 0;           ///< such places
    std::uint64_t damaged = 0;        ///< entries that could not be read
    std::uint64_t behind = 0;         ///< followers that did not keep up and read on from the journal
    std::uint64_t cut = 0;            ///< answers cut off (logs.max_answer)
    std::uint64_t failed = 0;         ///< readings that failed
    std::uint64_t forbidden = 0;      ///< questions refused by logs.allow
    std::uint64_t found = 0;          ///< tasks
    std::uint64_t not_found = 0;      ///< tasks, whatever the reason
    std::uint64_t sandbox_bytes = 0;  ///< given of files of tasks
    std::uint64_t passed_on = 0;      ///< answers of other nodes
    std::uint64_t unreached = 0;      ///< nodes that did not answer, or not to the end
};

/// The Mesos agent of this node; id "": there is none.
struct LocalAgent {
    std::string id;
    std::string directory;  ///< "/var/lib/mesos/slave/slaves/ID"
};

struct Core {
    Core(LogsOptions settings, Services& services, Outside outside);
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    [[nodiscard]] QueryContext context() const;
    /// What a reading or a joining came to, for the module's state.
    void note(const Error* failure);
    /// Why a part of the module does not work; "" mends it.
    void trouble(const std::string& part, std::string sentence);
    [[nodiscard]] bool troubled(const std::string& part) const { return troubles_.contains(part); }
    /// Counts a slice that was read, and whether that succeeded.
    void count(const Result<systemd::JournalSlice>& slice);
    /// Counts entries that are given.
    void count(std::uint64_t entries, std::size_t bytes);

    /// The module ends: so do its streams, whose rules may be others now.
    void finish();
    [[nodiscard]] bool finished() const noexcept { return finished_; }
    Task<> until_finished();
    /// The module's end, or that of a stream's client; then `over` is true.
    Task<> until_over(http::StreamWriter& writer, bool& over);

    LogsOptions options;
    Services& services;
    Outside outside;
    ReadSlots readings;
    ReadSlots followers;
    ReadSlots finds;          ///< tasks looked for
    ReadSlots task_readings;  ///< answers from files of tasks
    ReadSlots streams;        ///< answers of other nodes
    RetiringWorker packer;    ///< gzip of downloads
    mesos::TaskLookup tasks;
    LocalAgent agent;
    Counters counters;

private:
    void report();

    bool finished_ = false;
    asio::steady_timer finish_event_;
    std::map<std::string, std::string> troubles_;  // by part
};

}  // namespace opsd::logs
