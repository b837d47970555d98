#pragma once
// The files of this node's tasks as a source of records.
//
// In: a position, what the agent says and its folders show, the files. Out: records in order file by file,
// with ids that stay the same when they are read again; how far that is. Promises: nothing is missed and
// nothing comes twice between begin() and the end, whatever is cancelled; files are read only as they are
// asked for, in turn; nothing blocks the loop; what is idle costs a look each `poll`.

#include "modules/forward/input.hpp"
#include "modules/forward/options.hpp"
#include "modules/forward/task_files.hpp"
#include "opsd/worker.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace opsd::forward {

/// The agent and its folders; tests bring their own.
struct TaskWorld {
    /// Used on one worker's thread, which it belongs to.
    std::function<std::unique_ptr<TaskFolder>(const TaskOptions&)> folder;
    /// The agent's answer to /state.
    std::function<Task<Result<std::string>>(const TaskOptions&)> agent_state;
};

/// What of the files an output wants.
struct TaskWanted {
    bool from_beginning = false;  ///< also what was there before the first start
    bool by_names = true;         ///< its filter looks at what files do not tell of a task
};

class TaskSource final : public Input {
public:
    using MakeWriter =
        std::function<std::unique_ptr<systemd::EntryWriter>(std::shared_ptr<const RecordNumber>)>;

    /// `make_writer` is called on the loop. All outlive it.
    TaskSource(const TaskOptions& options, TaskWanted wanted, const TaskWorld& world, MakeWriter make_writer,
               std::function<pipeline::Labels()> labels, Clock& clock, const Executor& executor, Log log);

    /// Its positions are numbers; what is saved is in the ledger.
    [[nodiscard]] std::unique_ptr<pipeline::PositionStore>
    positions(std::unique_ptr<pipeline::PositionStore> inner) override;

    void begin(const pipeline::Start& start) override;
    Task<Result<pipeline::Slice>> next() override;
    Task<> attend() override;
    [[nodiscard]] bool at_end() const noexcept override { return at_end_; }
    [[nodiscard]] std::uint64_t damaged() const noexcept override { return 0; }
    [[nodiscard]] const TaskStatus* tasks() const noexcept override { return &status_; }

private:
    /// What the jobs of one reading share: the last block stays until the next one is asked for.
    struct Desk {
        std::shared_ptr<TaskFolder> folder;
        std::unique_ptr<TaskFiles> files;
        std::shared_ptr<TaskBlock> last;
        std::uint64_t turn = 0;
    };
    /// Of an answer, instead of its tens of megabytes.
    struct Seen {
        std::size_t bytes = 0;
        std::size_t hash = 0;
        friend bool operator==(const Seen&, const Seen&) = default;
    };
    struct Parsed {
        Seen seen;
        std::string wrong_dir;
        std::optional<std::vector<TaskRun>> runs;  ///< nothing: as before
    };
    static Result<Parsed> parsed(const std::string& answer, const std::optional<Seen>& before,
                                 const std::string& work_dir);
    Task<> find();
    Task<Result<std::vector<TaskRun>>> ask_agent();
    Task<Result<std::vector<TaskRun>>> list_folders();
    void found(std::vector<TaskRun> runs, bool by_agent, std::int64_t at);
    Task<Result<std::shared_ptr<TaskBlock>>> block();
    [[nodiscard]] TaskAsk ask();
    Result<pipeline::Slice> slice_of(TaskBlock& block);
    void note(const TaskBlock& block);

    const TaskOptions& options_;
    TaskWanted wanted_;
    const TaskWorld& world_;
    MakeWriter make_writer_;
    std::function<pipeline::Labels()> labels_;
    Clock& clock_;
    Log log_;
    std::shared_ptr<TaskLedger> ledger_ = std::make_shared<TaskLedger>();
    std::shared_ptr<RecordNumber> number_ = std::make_shared<RecordNumber>();
    std::shared_ptr<TaskFolder> folder_;
    RetiringWorker worker_;
    std::shared_ptr<Desk> desk_;
    std::uint64_t turn_ = 0;
    std::uint64_t last_number_ = 0;  ///< that was handed on
    std::shared_ptr<const FoundTasks> found_;
    std::string wrong_dir_;      ///< what is wrong about forward.tasks.work_dir
    std::optional<Seen> state_;  ///< the agent's last answer: the same is not read again
    std::shared_ptr<systemd::EntryWriter> writer_;
    pipeline::Labels writer_labels_;
    asio::steady_timer news_;  ///< tasks were looked for
    bool at_end_ = false;
    TaskStatus status_;
};

}  // namespace opsd::forward
