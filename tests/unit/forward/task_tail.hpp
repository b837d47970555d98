#pragma once
// The files of tasks over a real folder: written, rotated and read by hand, with kills between any two steps.

#include "modules/forward/task_files.hpp"
#include "pipeline/frames.hpp"

#include "temp_dir.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>

namespace opsd::forward::test {

using namespace std::chrono_literals;

/// "MESSAGE|TASK_ID|TASK_NAME|CONTAINER_ID|FILE|STREAM"
class LabelWriter final : public systemd::EntryWriter {
public:
    /// `only`: as a filter of this TASK_NAME; "": all.
    explicit LabelWriter(std::string only) : only_{std::move(only)} {}
    bool write(const systemd::JournalEntry& entry, std::string& out) override
    {
        if (!only_.empty() && entry.find("TASK_NAME") != only_) return false;
        if (entry.find("MESSAGE") == "drop") return false;
        const char* bar = "";
        for (const auto* name : {"MESSAGE", "TASK_ID", "TASK_NAME", "CONTAINER_ID", "FILE", "STREAM"}) {
            out += bar;
            out += entry.find(name).value_or("-");
            bar = "|";
        }
        return true;
    }

private:
    std::string only_;
};

/// A folder that fails as it is told, and counts what is open.
class FaultyFolder final : public TaskFolder {
public:
    struct Faults {
        std::map<std::string, Errc, std::less<>> open;  ///< by the end of a path
        std::map<std::string, Errc, std::less<>> list;
        std::map<std::string, std::uint64_t, std::less<>> bad;  ///< a file's bytes, from this one on
        std::string full;        ///< a folder with so many files that ours are not listed
        std::size_t opened = 0;  ///< now
    };
    FaultyFolder(std::unique_ptr<TaskFolder> inner, std::shared_ptr<Faults> faults)
      : inner_{std::move(inner)}
      , faults_{std::move(faults)}
    {}
    Result<std::unique_ptr<TaskFile>> open(std::string_view path) override
    {
        if (auto fault = fault_of(faults_->open, path)) return fail(std::move(*fault));
        auto file = inner_->open(path);
        if (!file) return fail(std::move(file).error());
        return std::make_unique<File>(std::move(*file), std::string{path}, faults_);
    }
    Result<std::vector<sandbox::FolderEntry>> list(std::string_view path, std::size_t most) override
    {
        if (auto fault = fault_of(faults_->list, path)) return fail(std::move(*fault));
        if (!faults_->full.empty() && path.ends_with(faults_->full))
            return std::vector(most, sandbox::FolderEntry{"another", false});
        return inner_->list(path, most);
    }

private:
    static std::optional<Error> fault_of(const std::map<std::string, Errc, std::less<>>& faults,
                                         std::string_view path)
    {
        for (const auto& [end, code] : faults)
            if (path.ends_with(end)) return Error{code, "cannot open " + std::string{path} + ": a fault"};
        return std::nullopt;
    }
    class File final : public TaskFile {
    public:
        File(std::unique_ptr<TaskFile> inner, std::string path, std::shared_ptr<Faults> faults)
          : inner_{std::move(inner)}
          , path_{std::move(path)}
          , faults_{std::move(faults)}
        {
            ++faults_->opened;
        }
        File(const File&) = delete;
        File& operator=(const File&) = delete;
        ~File() override { --faults_->opened; }
        [[nodiscard]] sandbox::FileIdentity identity() const override { return inner_->identity(); }
        Result<FileFacts> look() override { return inner_->look(); }
        Result<std::string> read(std::uint64_t offset, std::size_t length) override
        {
            for (const auto& [end, first] : faults_->bad) {
                if (!path_.ends_with(end)) continue;
                if (offset >= first) return fail(Errc::unavailable, "cannot read " + path_ + ": a bad block");
                length = std::min<std::size_t>(length, first - offset);
            }
            return inner_->read(offset, length);
        }

    private:
        std::unique_ptr<TaskFile> inner_;
        std::string path_;
        std::shared_ptr<Faults> faults_;
    };

    std::unique_ptr<TaskFolder> inner_;
    std::shared_ptr<Faults> faults_;
};

struct Seen {
    std::string id;
    std::string message;
    std::string line;  ///< with its labels
    std::uint64_t number = 0;
};

class TaskTail : public ::testing::Test {
protected:
    TaskTail()
    {
        options.files = {"stdout", "stderr"};
        open_folder();
    }

    void open_folder()
    {
        folder =
            std::make_unique<FaultyFolder>(make_task_folder(sandbox::make_own_opener(dir.path())), faults);
    }

    /// A run of a task of this name; a pod's tasks are named after it.
    static TaskRun run(const std::string& name, bool running = true)
    {
        TaskRun run;
        run.name = {"S0", "f", name, "c-" + name};
        run.running = running;
        run.tasks.push_back({.id = name + ".1", .name = name, .container = {}});
        return run;
    }
    [[nodiscard]] std::string path(const std::string& task, const std::string& file) const
    {
        return dir / (path_of(run(task).name) + "/" + file);
    }
    void append(const std::string& task, const std::string& file, std::string_view bytes) const
    {
        const auto where = path(task, file);
        std::filesystem::create_directories(std::filesystem::path{where}.parent_path());
        std::ofstream{where, std::ios::app | std::ios::binary} << bytes;
    }
    /// stdout.1 becomes stdout.2, and so on.
    void shift(const std::string& task, const std::string& file, unsigned keep = 30) const
    {
        std::filesystem::remove(path(task, file + "." + std::to_string(keep)));
        for (auto i = keep; i-- > 1;) {
            const auto from = path(task, file + "." + std::to_string(i));
            if (std::filesystem::exists(from))
                std::filesystem::rename(from, path(task, file + "." + std::to_string(i + 1)));
        }
    }
    void rotate(const std::string& task, const std::string& file, unsigned keep = 30) const
    {
        shift(task, file, keep);
        std::filesystem::rename(path(task, file), path(task, file + ".1"));
    }
    void copy_and_truncate(const std::string& task, const std::string& file, unsigned keep = 30) const
    {
        shift(task, file, keep);
        std::filesystem::copy_file(path(task, file), path(task, file + ".1"));
        std::filesystem::resize_file(path(task, file), 0);
    }

    void found(std::vector<TaskRun> runs, bool by_agent = true)
    {
        auto now_found = std::make_shared<FoundTasks>();
        now_found->number = ++looks;
        now_found->at = now.count();
        now_found->by_agent = by_agent;
        now_found->runs = std::move(runs);
        tasks = std::move(now_found);
    }

    /// As a daemon begins after a kill: from what was saved.
    void start()
    {
        number = std::make_shared<RecordNumber>();
        number->value = handed;
        writer = std::make_shared<NumberedFrames>(std::make_unique<LabelWriter>(only), number);
        pipeline::TailPosition position;
        if (!saved.empty()) position = pipeline::parse_tail(saved).value();
        ledger.begin(position);
        files = std::make_unique<TaskFiles>(options, *folder, std::move(position), saved.empty(), number);
        // A killed daemon looks for tasks at once.
        if (tasks) found(tasks->runs, tasks->by_agent);
    }
    TaskBlock next(std::chrono::milliseconds passes = 500ms)
    {
        now += passes;
        TaskAsk ask;
        ask.found = tasks;
        ask.writer = writer;
        ask.now = WallTime{now};
        ask.monotonic = now;
        auto block = files->next(ask);
        for (auto& step : block.steps)
            EXPECT_TRUE(step.spot);
        ledger.add(block.steps);
        for (const auto& record : *pipeline::read_frames(*block.text)) {
            Seen one{std::string{record.id},
                     {},
                     std::string{record.bytes},
                     std::stoull(std::string{record.position})};
            one.message = one.line.substr(0, one.line.find('|'));
            EXPECT_GT(one.number, handed);
            handed = one.number;
            seen.push_back(std::move(one));
        }
        if (block.number != 0) {
            EXPECT_GT(block.number, handed);
            handed = block.number;
        }
        for (auto& loss : block.losses)
            losses.push_back(std::move(loss));
        facts = block.facts;
        return block;
    }
    /// Until nothing more comes for a while, shorter than lines are waited for.
    void read_all(int rounds = 8)
    {
        for (int quiet = 0; quiet < rounds;)
            quiet = next().number != 0 ? 0 : quiet + 1;
    }
    void save() { saved = ledger.text_up_to(handed); }
    void restart()
    {
        save();
        start();
    }
    /// What came since the last call.
    std::vector<std::string> messages()
    {
        std::vector<std::string> all;
        for (const auto& one : seen)
            all.push_back(one.message);
        seen.clear();
        return all;
    }

    opsd::test::TempDir dir;
    TaskFilesOptions options;
    std::string only;  ///< the filter's TASK_NAME
    std::shared_ptr<FaultyFolder::Faults> faults = std::make_shared<FaultyFolder::Faults>();
    std::unique_ptr<TaskFolder> folder;
    std::unique_ptr<TaskFiles> files;
    std::shared_ptr<RecordNumber> number;
    std::shared_ptr<systemd::EntryWriter> writer;
    std::shared_ptr<const FoundTasks> tasks;
    TaskLedger ledger;
    std::string saved;
    std::uint64_t handed = 0;
    std::uint64_t looks = 0;
    Monotonic now{1'000s};
    std::vector<Seen> seen;
    std::vector<std::string> losses;
    TaskFacts facts;
};

}  // namespace opsd::forward::test
