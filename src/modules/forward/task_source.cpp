#include "modules/forward/task_source.hpp"

#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <stdexcept>
#include <utility>

namespace opsd::forward {
namespace {

using pipeline::Slice;
using pipeline::Start;

constexpr std::size_t most_jobs = 16;

TaskFilesOptions files_options(const TaskOptions& options, TaskWanted wanted)
{
    TaskFilesOptions out;
    out.files = options.files;
    out.max_files = static_cast<std::size_t>(options.max_files);
    out.tail.most_queued = static_cast<std::size_t>(options.max_queued);
    out.poll = options.poll;
    out.skip = !wanted.from_beginning;
    out.await_names = wanted.by_names;
    out.agent = !options.agent.empty();
    out.tail.join.max_line = static_cast<std::size_t>(options.max_line.count);
    out.tail.join.max_lines = static_cast<std::size_t>(options.multiline.max_lines);
    out.tail.partial_timeout = options.partial_timeout;
    out.tail.multiline_timeout = options.multiline.timeout;
    if (options.multiline.start.empty()) return out;
    auto start = pipeline::LineStart::make(options.multiline.start);
    if (!start) throw std::logic_error{start.error().message};  // validate() has found it good
    out.tail.join.start = std::move(*start);
    return out;
}

std::string host_in(const pipeline::Labels& labels)
{
    const auto node = std::ranges::find(labels, "node", &pipeline::Labels::value_type::first);
    return node == labels.end() ? std::string{} : node->second;
}

}  // namespace

TaskSource::TaskSource(const TaskOptions& options, TaskWanted wanted, const TaskWorld& world,
                       MakeWriter make_writer, std::function<pipeline::Labels()> labels, Clock& clock,
                       const Executor& executor, Log log)
  : options_{options}
  , wanted_{wanted}
  , world_{world}
  , make_writer_{std::move(make_writer)}
  , labels_{std::move(labels)}
  , clock_{clock}
  , log_{std::move(log)}
  , folder_{world.folder(options)}
  , worker_{"opsd-tasks", most_jobs}
  , news_{executor, never}
{}

std::unique_ptr<pipeline::PositionStore> TaskSource::positions(std::unique_ptr<pipeline::PositionStore> inner)
{
    return make_ledger_positions(std::move(inner), ledger_);
}

void TaskSource::begin(const Start& start)
{
    // Numbers go on: those of another reading mean nothing any more.
    const auto number = std::make_shared<RecordNumber>();
    number->value = last_number_;
    number_ = number;
    writer_.reset();
    const bool first = start.kind == Start::Kind::first || start.kind == Start::Kind::unknown;
    desk_ = std::make_shared<Desk>();
    desk_->folder = folder_;
    auto wanted = wanted_;
    // Where damaged files do not say how far it was, ids tell the far side what it has.
    if (start.kind == Start::Kind::unknown) wanted.from_beginning = true;
    desk_->files = std::make_unique<TaskFiles>(files_options(options_, wanted), *folder_,
                                               ledger_->delivered(), first, number);
    turn_ = 1;
    at_end_ = false;
}

Task<Result<Slice>> TaskSource::next()
{
    for (;;) {
        while (!found_)
            co_await wait_event(news_);
        auto read = co_await block();
        if (!read) co_return fail(std::move(read).error());
        auto& got = **read;
        note(got);
        at_end_ = !got.more;
        if (got.number != 0 || !got.losses.empty()) co_return slice_of(got);
        if (at_end_) co_await clock_.sleep_for(options_.poll);
    }
}

/// The next block. Of a call that is cancelled it stays on the desk for the next call.
Task<Result<std::shared_ptr<TaskBlock>>> TaskSource::block()
{
    auto job = [desk = desk_, turn = turn_, ask = ask()]() -> Result<std::shared_ptr<TaskBlock>> {
        if (desk->turn != turn) {
            desk->last = std::make_shared<TaskBlock>(desk->files->next(ask));
            desk->turn = turn;
        }
        return desk->last;
    };
    auto read = co_await worker_.run(std::move(job));
    if (read) ++turn_;
    co_return read;
}

TaskAsk TaskSource::ask()
{
    TaskAsk ask;
    ask.labels = labels_();
    if (!writer_ || ask.labels != writer_labels_) {
        writer_ = make_writer_(number_);
        writer_labels_ = ask.labels;
    }
    ask.host = host_in(ask.labels);
    ask.found = found_;
    ask.writer = writer_;
    ask.now = clock_.now();
    ask.monotonic = clock_.monotonic();
    return ask;
}

Result<Slice> TaskSource::slice_of(TaskBlock& block)
{
    Slice slice;
    auto records = pipeline::read_frames(*block.text);
    if (!records) return fail(std::move(records).error());
    slice.records = std::move(*records);
    slice.text = block.text;
    last_number_ = std::max(last_number_, block.number);
    if (block.number != 0) slice.position = fmt::format("{}", block.number);
    slice.some_lost = !block.losses.empty();
    if (at_end_) slice.behind = 0;
    ledger_->add(std::move(block.steps));
    return slice;
}

void TaskSource::note(const TaskBlock& block)
{
    const auto& facts = block.facts;
    status_.runs = facts.runs;
    status_.files = facts.files;
    status_.not_followed = facts.not_followed;
    status_.queued = facts.queued;
    status_.unreadable = facts.unreadable;
    status_.unreadable_why = facts.why;
    status_.behind_bytes = facts.behind_bytes;
    status_.losses += block.losses.size();
    if (block.losses.empty()) return;
    status_.last_loss = block.losses.back();
    log_.warning("{}{}", block.losses.front(),
                 block.losses.size() == 1 ? "" : fmt::format(" ({} more)", block.losses.size() - 1));
}

Task<> TaskSource::attend()
{
    for (;;) {
        co_await find();
        co_await clock_.sleep_for(options_.interval);
    }
}

Task<> TaskSource::find()
{
    // What changes while we look is found by the next look.
    const auto at = clock_.now().time_since_epoch().count();
    auto by_agent = co_await ask_agent();
    if (by_agent) {
        status_.find_error = wrong_dir_;
        found(std::move(*by_agent), true, at);
        co_return;
    }
    auto error = std::move(by_agent).error().message;
    auto listed = co_await list_folders();
    if (listed)
        error += "; tasks are found by their folders meanwhile, with the names that the agent has "
                 "checkpointed and that may be read";
    else
        error += "; " + listed.error().message;
    status_.find_error = std::move(error);
    if (listed) found(std::move(*listed), false, at);
}

void TaskSource::found(std::vector<TaskRun> runs, bool by_agent, std::int64_t at)
{
    auto found = std::make_shared<FoundTasks>();
    found->number = found_ ? found_->number + 1 : 1;
    found->at = at;
    found->by_agent = by_agent;
    found->runs = std::move(runs);
    found_ = std::move(found);
    status_.by_agent = by_agent;
    news_.cancel();
}

Task<Result<std::vector<TaskRun>>> TaskSource::ask_agent()
{
    if (options_.agent.empty())
        co_return fail(Errc::unavailable, "cannot ask the agent: forward.tasks.agent is empty");
    auto answer = co_await world_.agent_state(options_);
    if (!answer) co_return fail(std::move(answer).error());
    const bool kept = found_ && found_->by_agent;
    auto job = [answer = std::move(*answer), before = kept ? state_ : std::nullopt,
                work_dir = options_.work_dir] { return parsed(answer, before, work_dir); };
    auto state = co_await worker_.run(std::move(job));
    if (!state) co_return fail(std::move(state).error());
    if (!state->runs) co_return found_->runs;
    wrong_dir_ = std::move(state->wrong_dir);
    state_ = state->seen;
    co_return std::move(*state->runs);
}

/// On the worker's thread: an answer may be large.
Result<TaskSource::Parsed> TaskSource::parsed(const std::string& answer, const std::optional<Seen>& before,
                                              const std::string& work_dir)
{
    Parsed out;
    out.seen = {answer.size(), std::hash<std::string_view>{}(answer)};
    if (before == out.seen) return out;
    auto state = mesos::parse_agent_state(answer);
    if (!state) return fail(std::move(state).error());
    out.wrong_dir = wrong_work_dir(work_dir, state->folder);
    out.runs = runs_of(std::move(*state));
    return out;
}

Task<Result<std::vector<TaskRun>>> TaskSource::list_folders()
{
    auto job = [folder = folder_, before = found_] {
        return before ? list_runs(*folder, before->runs) : list_runs(*folder);
    };
    auto listed = co_await worker_.run(std::move(job));
    co_return listed;
}

}  // namespace opsd::forward
