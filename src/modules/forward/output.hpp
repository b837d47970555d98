#pragma once
// One output: a delivery from the journal, or from the files of tasks, to a far side, with what people may do
// to it.
//
// In: its options, the journal or the files. Out: a status; in the state directory its position
// (NAME.position.a, .b), its dead letters (NAME.letters) and whether it is paused (NAME.state). Promises:
// what a delivery promises (pipeline/delivery.hpp); a pause and a replay survive a restart; a question to the
// far side (test, resend) does not disturb the delivery, and only one is asked at a time.

#include "modules/forward/filter.hpp"
#include "modules/forward/journal_source.hpp"
#include "modules/forward/outputs.hpp"
#include "modules/forward/task_source.hpp"
#include "opsd/module.hpp"
#include "pipeline/dead_letters.hpp"
#include "pipeline/position_file.hpp"
#include "pipeline/redaction.hpp"
#include "pipeline/resend.hpp"

#include <memory>
#include <optional>
#include <set>
#include <string>

namespace opsd::forward {

/// What all outputs share; outlives them.
struct Surroundings {
    Services& services;
    const Journal& journal;
    const TaskOptions& tasks;
    const TaskWorld& world;
    std::function<std::unique_ptr<pipeline::Sink>(const OutputOptions&)> make_sink;
    std::function<pipeline::Labels()> labels;
    WorkerThread& disk;
    std::string directory;
    std::string own_unit;
    std::uint32_t seed = 1;
};

struct OutputStatus {
    pipeline::DeliveryStatus delivery;
    bool paused = false;
    bool replaying = false;
    bool at_end = false;
    std::uint64_t redacted = 0;   ///< secrets taken out
    std::uint64_t held_back = 0;  ///< own lines about forwarding
    std::uint64_t damaged = 0;
    std::uint64_t resent = 0;         ///< dead letters that were taken after all
    std::string trouble;              ///< why it has not begun yet; "" when it has
    std::optional<TaskStatus> tasks;  ///< nothing: it sends the journal
};

/// What came of a pause or resume.
struct Kept {
    bool durable = true;
    std::string note;  ///< why it would be forgotten by a restart
};

class Output {
public:
    Output(const OutputOptions& options, const Surroundings& around);
    Output(const Output&) = delete;
    Output& operator=(const Output&) = delete;

    /// Until stop() or until it is cancelled. Once.
    Task<> run();
    /// What is in flight is settled and the position saved, then run() ends.
    void stop();
    [[nodiscard]] bool running() const noexcept { return running_; }

    Task<Kept> pause(bool paused);
    /// Goes back (or on) to a place; what is in flight is settled or, after 10 s, abandoned.
    /// Errc::unavailable when that cannot be saved, or while another replay is under way.
    Task<Result<>> replay(std::string place);
    /// Sends one record of its own. Errc::unavailable while another question is asked.
    Task<Result<pipeline::Verdict>> test();
    Task<Result<pipeline::LetterList>> letters();
    Task<Result<pipeline::Resent>> resend(std::set<std::string> ids);

    [[nodiscard]] OutputStatus status() const;
    [[nodiscard]] const OutputOptions& options() const noexcept { return options_; }

private:
    struct Replay {
        std::string place;
        std::optional<Result<>> done;
    };
    Task<> remember();
    Task<> impatience();
    Task<> go_back();
    void settle_replay(Result<> result);
    [[nodiscard]] std::unique_ptr<Input> make_input();
    [[nodiscard]] std::unique_ptr<pipeline::PositionStore> make_positions();
    [[nodiscard]] std::unique_ptr<systemd::EntryWriter> clean_writer() const;
    [[nodiscard]] std::unique_ptr<systemd::EntryWriter> make_writer(bool filtered) const;
    [[nodiscard]] std::unique_ptr<systemd::EntryWriter>
    make_task_writer(std::shared_ptr<const RecordNumber> number) const;
    [[nodiscard]] std::string path(std::string_view what) const;
    [[nodiscard]] Result<> ask();

    OutputOptions options_;
    const Surroundings& around_;
    const Kind& kind_;
    std::shared_ptr<const Filter> filter_;
    std::shared_ptr<pipeline::Redaction> redaction_;
    std::unique_ptr<Input> source_;
    std::unique_ptr<pipeline::Sink> sink_;
    std::unique_ptr<pipeline::PositionStore> positions_;
    std::shared_ptr<pipeline::DeadLetterFile> letters_;
    std::unique_ptr<pipeline::LetterBox> box_;
    pipeline::Delivery delivery_;
    asio::steady_timer news_;  ///< a replay begins or ends
    std::shared_ptr<Replay> replay_;
    std::optional<bool> paused_;  ///< nothing: not read yet
    std::string trouble_;
    std::uint64_t resent_ = 0;
    bool asking_ = false;
    bool running_ = false;
    bool stopping_ = false;
};

}  // namespace opsd::forward
