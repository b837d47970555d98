#pragma once
// systemd, followed: one connection at a time, signals first, then lists, then details in the window, then
// only what changes. A lost connection is made again with back-off and everything is compared anew.
//
// In: systemd by a Manager, the wants directories. Out: the tracker, fed; the publisher, woken. Promises: no
// unit that is wanted is dropped; what a call tells never overwrites what a later signal told; work per loop
// turn is bounded.

#include "modules/health/directories.hpp"
#include "modules/health/publisher.hpp"
#include "modules/health/selection.hpp"
#include "opsd/log.hpp"
#include "opsd/task_group.hpp"

#include <functional>
#include <memory>
#include <random>
#include <unordered_map>

namespace opsd::health {

/// Counters of the source, for the metrics.
struct SourceCounters {
    std::uint64_t connections = 0;
    std::uint64_t failed_connections = 0;
    std::uint64_t signals = 0;
    std::uint64_t gathered = 0;  ///< signals of flapping units, looked at together
    std::uint64_t reads = 0;
    std::uint64_t failed_reads = 0;
    std::uint64_t corrections = 0;  ///< states that a resync found different without a signal having said so
    std::uint64_t resyncs = 0;
    std::uint64_t refreshes = 0;
    std::size_t left_out = 0;  ///< units beyond max_units
    bool connected = false;
};

class Source final : private systemd::Observer {
public:
    using Connect = std::function<Result<std::unique_ptr<systemd::Manager>>()>;
    using ReadWants = std::function<Wants()>;
    /// How the source is: "" or the sentence to show. Names: "systemd" (fails the module), "files", "units",
    /// "wants".
    using Report = std::function<void(const std::string& part, const std::string& sentence)>;

    struct Parts {
        Executor executor;
        Clock& clock;
        Tracker& tracker;
        Publisher& publisher;
        const HealthOptions& options;
        Connect connect;
        ReadWants read_wants;
        Report report;
        Log log;
    };
    explicit Source(Parts parts);

    /// Lives until cancelled.
    Task<> run();

    [[nodiscard]] const SourceCounters& counters() const noexcept { return counters_; }
    /// The connection that is followed; null while there is none.
    [[nodiscard]] std::shared_ptr<systemd::Manager> manager() const { return manager_; }

private:
    /// The newest signals of a flapping unit: at most one of each interface.
    struct Held {
        Monotonic until{};
        std::uint64_t number = 0;  ///< of the newest, of all that were held
        std::unique_ptr<const systemd::UnitChange> own;
        std::unique_ptr<const systemd::UnitChange> unit;
    };
    using Holds = std::map<std::string, Held, std::less<>>;  // by object path

    using Rows = std::vector<std::pair<std::string, systemd::ListedUnit>>;  // asked name -> row

    // --- systemd::Observer
    void changed(const systemd::UnitChange& change) override;
    void unit_new(std::string_view id, std::string_view object_path) override;
    void unit_removed(std::string_view id, std::string_view object_path) override;
    void job_removed(std::string_view unit, std::string_view result) override;
    void unit_files_changed() override;
    void reloading(bool active) override;

    // --- the life of a connection (source.cpp)
    Task<Error> serve(systemd::Manager& manager);
    Task<Error> follow(systemd::Manager& manager, TaskGroup& readers);
    Task<Result<>> first_look(systemd::Manager& manager);
    Task<Result<>> turn(systemd::Manager& manager, TaskGroup& readers);
    Task<> pause_before_retry(const Error& error);
    [[nodiscard]] std::optional<Monotonic> next_time() const;
    void start_reads(systemd::Manager& manager, TaskGroup& readers);
    Task<> read_one(systemd::Manager& manager, std::string id);
    void read_failed(const std::string& id, const Error& error);
    void want_read(const std::string& id, Monotonic at = {});
    void heard();
    void judge_soon();
    void take(const systemd::UnitChange& change, Tracker::Heard heard);
    void echoed(std::string_view id);
    void hold(const systemd::UnitChange& change);
    void release_held();
    void hold(Holds::iterator it, const systemd::UnitChange& change);
    void release(Holds::iterator it);

    // --- what triggers others (triggers.cpp)
    void trigger_loaded(std::string_view id);
    void trigger_unloaded(std::string_view id);
    Task<Result<>> look_at_triggers(systemd::Manager& manager, TaskGroup& readers);
    Task<> read_triggers(systemd::Manager& manager, std::vector<std::string> ids);
    void read_triggered(const std::string& trigger, const std::vector<std::string>& ids);

    // --- lists (lists.cpp)
    Task<Result<>> refresh(systemd::Manager& manager, bool everything);
    Task<Result<>> take_inventory(systemd::Manager& manager);
    void take_wants();
    void look_at_wants_again();
    Task<Result<>> list_files(systemd::Manager& manager);
    void list_files_later();
    void report_incomplete();
    Task<Result<>> ask(systemd::Manager& manager, std::vector<std::string> names, Rows& rows);
    void take_rows(const Rows& rows, const std::vector<std::uint64_t>& signals_before, bool everything);
    bool take_row(const systemd::ListedUnit& row, std::uint64_t signals_before);
    void drop_others(const Rows& rows);
    Task<Result<>> confirm(systemd::Manager& manager);
    Task<Result<>> resync(systemd::Manager& manager);
    Task<Result<std::size_t>> find_missed(systemd::Manager& manager);
    void remember_early(std::string_view id, bool failed);
    bool adopt(const std::string& id, bool failed);
    bool watch_unnamed(std::string_view id);
    void refresh_by(Monotonic at);
    void watch_named(const std::string& name, const std::string& id);
    [[nodiscard]] bool asked_lately(std::string_view id) const;
    void note_asked(const std::vector<std::string>& names);
    [[nodiscard]] std::string left_out_sentence() const;
    void report_left_out();

    static constexpr Monotonic echo_time = std::chrono::seconds{2};

    Parts parts_;
    Tracker& tracker_;
    Clock& clock_;
    Bell bell_;
    Selection selection_;
    Inventory inventory_;
    SourceCounters counters_;
    std::shared_ptr<systemd::Manager> manager_;
    std::map<std::string, Monotonic, std::less<>> reads_;  // wanted, not before
    std::set<std::string, std::less<>> reading_;
    std::set<std::string, std::less<>> to_confirm_;
    Holds held_;
    // Asking for an unloaded unit makes systemd announce it: such echoes must not make us ask again.
    std::unordered_map<std::string, Monotonic> asked_;
    std::set<std::string, std::less<>> new_triggers_;  // loaded, not looked at yet
    std::optional<Monotonic> triggers_at_;             // when to
    bool reloading_ = false;
    std::optional<Monotonic> refresh_at_;
    std::optional<Monotonic> look_at_;   // for a unit whose announcement may have been an echo: when to
    std::optional<Monotonic> wants_at_;  // a directory could not be read: when to try again
    std::string wants_problem_;
    bool refresh_everything_ = false;
    bool files_known_ = false;
    bool first_files_wait_ = false;  // for files_after; a burst of signals may put that off, once
    std::string files_problem_;
    bool looking_ = false;                            // the selection is being made
    std::map<std::string, bool, std::less<>> early_;  // signalled meanwhile; did it fail?
    std::size_t named_left_out_ = 0;                  // beyond max_units, of the lists
    std::set<std::string, std::less<>> refused_;      // and of those that turned up since
    Monotonic resync_at_{};
    Duration retry_pause_{};
    std::minstd_rand jitter_;
};

}  // namespace opsd::health
