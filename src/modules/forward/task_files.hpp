#pragma once
// All the files of tasks that one output follows: which they are, whose turn it is, what of them comes next.
//
// In: the runs that were found, again and again; the files. Out: blocks of records, and what they add to the
// ledger. Promises: one file's share at a time, in turn; a run is read to the end of each of its files before
// it is done; at most max_files are open, the others wait and are counted. Blocks; for one worker's thread.

#include "modules/forward/task_finder.hpp"
#include "modules/forward/task_ledger.hpp"
#include "modules/forward/task_record.hpp"
#include "modules/forward/task_stream.hpp"
#include "pipeline/batch.hpp"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace opsd::forward {

struct TaskFilesOptions {
    std::vector<std::string> files;  ///< names or patterns below the sandbox
    std::size_t max_files = 2'000;
    std::chrono::milliseconds poll{500};
    TailRules tail;
    bool skip = false;        ///< what is there at the first look is passed over
    bool await_names = true;  ///< what the filter leaves out waits until the tasks' names are known
    bool agent = true;        ///< it tells them some time; else only its checkpoints do, or nobody
};

/// What a block is asked for with.
struct TaskAsk {
    std::shared_ptr<const FoundTasks> found;
    std::shared_ptr<systemd::EntryWriter> writer;
    pipeline::Labels labels;
    std::string host;
    WallTime now{};
    Monotonic monotonic{};
};

/// How the reading is.
struct TaskFacts {
    std::size_t runs = 0;
    std::size_t files = 0;
    std::size_t not_followed = 0;  ///< because of max_files
    std::size_t queued = 0;        ///< renamed ones, open only until those before them are read
    std::size_t unreadable = 0;
    std::string why;                 ///< one of them, or a folder of them, cannot be read
    std::uint64_t behind_bytes = 0;  ///< not read yet, as last seen
};

struct TaskBlock {
    /// A sentence for the operator; of many the first ones are kept.
    void lost(std::string loss)
    {
        constexpr std::size_t most = 64;
        if (losses.size() < most) losses.push_back(std::move(loss));
    }

    std::shared_ptr<pipeline::Text> text;
    std::vector<LedgerStep> steps;
    std::vector<LedgerStep> ends;  ///< what holds when all of the block is delivered; while it is made
    std::uint64_t number = 0;      ///< of all of it
    std::vector<std::string> losses;
    bool more = false;  ///< there is more to read at once
    TaskFacts facts;
};

class TaskFiles {
public:
    /// `folder` outlives it. `number` is shared with the writers.
    TaskFiles(TaskFilesOptions options, TaskFolder& folder, pipeline::TailPosition position, bool first,
              std::shared_ptr<RecordNumber> number);

    TaskBlock next(const TaskAsk& ask);

private:
    struct Followed {
        Followed(TaskFolder& folder, const TailRules& rules, const std::string& path, const std::string& name)
          : stream{folder, rules, path, name}
        {}
        TaskStream stream;
        TaskNames names;
        bool open = false;
        bool named = false;  ///< the names are known, or never will be
        bool held = false;   ///< for the names: the filter did not take it without
        std::string error;
    };
    struct Run {
        TaskRun is;
        std::string path;
        std::set<std::string> unnamed;  ///< of its tasks, those that only have a folder
        bool named = false;             ///< its tasks are as the agent has told or checkpointed them
        unsigned unnamed_looks = 0;     ///< at its folders, without an agent
        bool ended = false;
        std::uint64_t generation = 0;  ///< of files whose names were there before
        std::string error;             ///< one of its folders cannot be listed
        bool waits = false;            ///< one of its files, for a place among the max_files
        std::map<std::string, pipeline::FilePosition> saved;  ///< of files that are not opened yet
        std::map<std::string, std::unique_ptr<Followed>> files;
        std::set<std::string> read;  ///< to their end: they need no place any more
    };

    void take(const FoundTasks& found, Monotonic now, TaskBlock& block);
    void know(const TaskRun& run, bool by_agent, TaskBlock& block);
    void know_more(Run& known, const TaskRun& run, bool by_agent, TaskBlock& block);
    void note_run(const Run& run, TaskBlock& block);
    void set_names(const Run& run, const std::string& name, Followed& file) const;
    void never_named(Run& run, TaskBlock& block);
    void lose_patience();
    [[nodiscard]] bool written_lately(const TaskRun& run);
    void end_missing(const FoundTasks& found, TaskBlock& block);
    void forget_done(const FoundTasks& found, TaskBlock& block);
    void open_files(Run& run, TaskStream::Begin begin, Monotonic now, TaskBlock& block);
    void open_file(Run& run, const std::string& name, TaskStream::Begin begin, Monotonic now,
                   TaskBlock& block);
    [[nodiscard]] std::vector<std::string> names_in(Run& run, const std::string& base,
                                                    const std::string& pattern);
    [[nodiscard]] bool wanted(std::string_view name) const;
    void look(Monotonic now, TaskBlock& block);
    void read_some(const TaskAsk& ask, TaskBlock& block);
    void read_one(Run& run, Followed& file, const TaskAsk& ask, TaskBlock& block);
    void let_go(Run& run);
    void finish(TaskBlock& block);
    void note(TaskBlock& block, LedgerSpot spot, std::uint64_t offset);
    [[nodiscard]] TaskFacts facts() const;

    TaskFilesOptions options_;
    TaskFolder& folder_;
    bool first_;
    std::shared_ptr<RecordNumber> number_;
    std::int64_t looked_ = 0;          ///< when tasks were last looked for
    std::int64_t noted_looked_ = 0;    ///< as the ledger has it
    std::uint64_t taken_ = 0;          ///< number of the last look
    std::map<std::string, Run> runs_;  ///< by container
    std::set<std::string> done_;
    std::size_t open_ = 0;
    std::size_t not_followed_ = 0;
    std::optional<Monotonic> looked_at_;
    std::uint64_t passes_ = 0;    ///< looks at all files
    std::string turn_container_;  ///< who was last
    std::string turn_name_;
};

/// What a pattern of `files` must be: relative, without "..". Errc::invalid_argument.
[[nodiscard]] Result<> check_task_file(std::string_view pattern);

}  // namespace opsd::forward
