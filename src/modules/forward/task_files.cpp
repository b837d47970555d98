#include "modules/forward/task_files.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <functional>
#include <tuple>
#include <utility>

namespace opsd::forward {
namespace {

using pipeline::TailBounds;
using What = LedgerSpot::What;

constexpr std::size_t enough_text = std::size_t{64} * 1024;  // of a block; exceeded by one file's share
constexpr std::size_t most_share = std::size_t{512} * 1024;  // of one file, rendered; exceeded by one record
constexpr std::size_t most_entries = 10'000;                 // of a folder of files
constexpr unsigned looks_until_idle = 120;  // that found nothing: then only each fourth is made
constexpr std::uint64_t each_pass_of_idle = 4;
constexpr std::int64_t slack = 1'000'000;  // microseconds: a file's time is that of the last tick

bool is_pattern(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

/// NAME.1 is an older NAME, when there is one: no file of its own.
bool is_older(std::string_view name, const std::vector<sandbox::FolderEntry>& all)
{
    const auto dot = name.rfind('.');
    if (dot == std::string_view::npos || dot + 1 == name.size()) return false;
    const bool number =
        std::ranges::all_of(name.substr(dot + 1), [](char c) { return c >= '0' && c <= '9'; });
    return number && std::ranges::find(all, name.substr(0, dot), &sandbox::FolderEntry::name) != all.end();
}

std::string joined(const std::string& base, std::string_view name)
{
    return base.empty() ? std::string{name} : fmt::format("{}/{}", base, name);
}

}  // namespace

Result<> check_task_file(std::string_view pattern)
{
    constexpr std::size_t longest = 255;
    const auto wrong = [pattern](std::string_view what) {
        return fail(Errc::invalid_argument,
                    fmt::format("files has \"{}\", {}", pattern.substr(0, longest), what));
    };
    if (pattern.empty() || pattern.size() > longest) return wrong("a name has 1 to 255 bytes");
    for (std::string_view rest = pattern; !rest.empty();) {
        const auto slash = std::min(rest.find('/'), rest.size());
        const auto part = rest.substr(0, slash);
        if (part.empty() || part == "." || part == "..")
            return wrong("must be a path below the sandbox, without \"..\"");
        rest.remove_prefix(std::min(slash + 1, rest.size()));
        if (rest.empty() && slash < pattern.size() && pattern.ends_with('/'))
            return wrong("must be a file, not a folder");
    }
    return {};
}

TaskFiles::TaskFiles(TaskFilesOptions options, TaskFolder& folder, pipeline::TailPosition position,
                     bool first, std::shared_ptr<RecordNumber> number)
  : options_{std::move(options)}
  , folder_{folder}
  , first_{first}
  , number_{std::move(number)}
  , looked_{position.looked}
  , noted_looked_{position.looked}
  , done_{std::move(position.done)}
{
    for (auto& [container, saved] : position.runs) {
        auto& run = runs_[container];
        run.is.name = std::move(saved.run);
        run.path = path_of(run.is.name);
        run.is.pod = saved.pod;
        run.named = !saved.tasks.empty();
        run.generation = saved.generation;
        for (auto& task : saved.tasks)
            run.is.tasks.push_back({.id = std::move(task.id),
                                    .name = std::move(task.name),
                                    .container = std::move(task.container),
                                    .nested = task.nested});
        run.saved = std::move(saved.files);
    }
}

TaskBlock TaskFiles::next(const TaskAsk& ask)
{
    TaskBlock block;
    block.text = std::make_shared<pipeline::Text>();
    block.text->labels = ask.labels;
    if (ask.found && ask.found->number != taken_) take(*ask.found, ask.monotonic, block);
    read_some(ask, block);
    if (block.text->bytes.size() < enough_text
        && (!looked_at_ || ask.monotonic - *looked_at_ >= options_.poll)) {
        look(ask.monotonic, block);
        read_some(ask, block);
    }
    finish(block);
    // After all that the look has found, and only with something else: an idle output saves nothing.
    if (!block.ends.empty() && looked_ != noted_looked_) {
        note(block, {What::looked, {}, {}, {}}, static_cast<std::uint64_t>(looked_));
        noted_looked_ = looked_;
    }
    // What was passed over at the end of a block is part of it.
    if (!block.ends.empty()) block.number = ++number_->value;
    for (auto& end : block.ends) {
        end.number = block.number;
        block.steps.push_back(std::move(end));
    }
    block.facts = facts();
    return block;
}

bool TaskFiles::written_lately(const TaskRun& run)
{
    std::vector<std::string> bases{""};
    for (const auto& task : run.tasks)
        if (run.pod) bases.push_back("tasks/" + task.id);
    for (const auto& base : bases) {
        for (const auto& pattern : options_.files) {
            if (is_pattern(pattern)) continue;
            const auto file = folder_.open(fmt::format("{}/{}", path_of(run.name), joined(base, pattern)));
            const auto facts = file ? (*file)->look() : fail(file.error());
            if (facts && facts->changed / 1'000 + slack >= looked_) return true;
        }
    }
    return false;
}

void TaskFiles::open_files(Run& run, TaskStream::Begin begin, Monotonic now, TaskBlock& block)
{
    run.waits = false;
    run.error.clear();
    std::vector<std::string> bases{""};
    for (const auto& task : run.is.tasks)
        if (run.is.pod) bases.push_back("tasks/" + task.id);
    std::set<std::string> names;
    for (const auto& base : bases)
        for (const auto& pattern : options_.files)
            for (auto& name : names_in(run, base, pattern))
                names.insert(std::move(name));
    std::erase_if(run.saved, [this](const auto& item) { return !wanted(item.first); });
    for (const auto& [name, at] : run.saved)
        names.insert(name);
    for (const auto& [name, file] : run.files)
        if (!file->open) names.insert(name);
    for (const auto& name : names)
        if (!run.read.contains(name)) open_file(run, name, begin, now, block);
    if (!run.ended || run.waits) return;
    // What was followed and is not there any more.
    std::erase_if(run.saved, [&](const auto& item) {
        const auto& [name, at] = item;
        if (run.files.contains(name)) return false;
        block.lost(fmt::format("cannot read {}/{}: it is gone; what was written to it after byte "
                               "{} is lost, if anything was",
                               run.path, name, at.offset));
        return true;
    });
}

/// Whether a name is one of those that are configured, which they may have been only before.
bool TaskFiles::wanted(std::string_view name) const
{
    constexpr std::string_view tasks = "tasks/";
    std::vector<std::string> rests{std::string{name}};
    const auto slash = name.starts_with(tasks) ? name.find('/', tasks.size()) : std::string_view::npos;
    if (slash != std::string_view::npos) rests.emplace_back(name.substr(slash + 1));
    return std::ranges::any_of(options_.files, [&](const std::string& pattern) {
        return std::ranges::any_of(rests, [&](const std::string& rest) {
            return ::fnmatch(pattern.c_str(), rest.c_str(), FNM_NOESCAPE | FNM_PATHNAME | FNM_PERIOD) == 0;
        });
    });
}

void TaskFiles::open_file(Run& run, const std::string& name, TaskStream::Begin begin, Monotonic now,
                          TaskBlock& block)
{
    auto& file = run.files[name];
    if (file && file->open) return;
    const bool full = open_ >= options_.max_files;
    if (full && !run.ended) {
        ++not_followed_;
        run.waits = true;
        if (!file) run.files.erase(name);
        return;
    }
    if (!file) file = std::make_unique<Followed>(folder_, options_.tail, run.path, name);
    const auto saved = run.saved.find(name);
    std::optional<pipeline::FilePosition> at;
    if (saved != run.saved.end())
        at = saved->second;
    else if (run.generation != 0)
        at.emplace().generation = run.generation;
    const auto opened = file->stream.open(at, begin, now);
    if (!opened && opened.error().code == Errc::not_found) {
        run.files.erase(name);
        return;
    }
    if (full) {  // but it is there, and its run is not done before it is read
        ++not_followed_;
        run.waits = true;
        run.files.erase(name);
        return;
    }
    file->error = opened ? std::string{} : opened.error().message;
    set_names(run, name, *file);
    if (!opened) return file->stream.close();
    file->open = true;
    ++open_;
    if (saved != run.saved.end()) run.saved.erase(saved);
    // Before its first record is delivered: a kill must not forget that it was found.
    if (!at || at->inode == 0)
        note(block, {What::file, run.is.name, name, file->stream.at()}, file->stream.at().offset);
}

/// Paths below the run's folder that fit, whether or not they are there when it is no pattern.
std::vector<std::string> TaskFiles::names_in(Run& run, const std::string& base, const std::string& pattern)
{
    std::vector<std::string> found{base};
    for (std::string_view rest = pattern; !rest.empty();) {
        const auto slash = std::min(rest.find('/'), rest.size());
        const std::string part{rest.substr(0, slash)};
        rest.remove_prefix(std::min(slash + 1, rest.size()));
        std::vector<std::string> next;
        for (const auto& folder : found) {
            if (!is_pattern(part)) {
                next.push_back(joined(folder, part));
                continue;
            }
            const auto entries =
                folder_.list(folder.empty() ? run.path : joined(run.path, folder), most_entries);
            if (!entries) {
                // Whatever else it is, files may be there.
                if (entries.error().code != Errc::not_found) run.error = entries.error().message;
                continue;
            }
            for (const auto& entry : *entries)
                if (entry.folder != rest.empty() && !is_older(entry.name, *entries)
                    && ::fnmatch(part.c_str(), entry.name.c_str(), FNM_NOESCAPE | FNM_PERIOD) == 0
                    && next.size() < most_entries)
                    next.push_back(joined(folder, entry.name));
        }
        found = std::move(next);
    }
    return found;
}

void TaskFiles::look(Monotonic now, TaskBlock& block)
{
    looked_at_ = now;
    const bool all = ++passes_ % each_pass_of_idle == 0;
    for (auto& [container, run] : runs_) {
        std::erase_if(run.files, [&](const auto& item) {
            const auto& [name, file] = item;
            auto& stream = file->stream;
            const bool idle = stream.quiet() > looks_until_idle && !run.ended;
            if (file->open && !stream.finished() && (all || !idle)) stream.look(now, run.ended);
            if (!file->open || !stream.gone()) return false;
            --open_;
            run.generation = std::max(run.generation, stream.next_generation());
            note(block, {What::gone, run.is.name, name, {}}, stream.next_generation());
            return true;
        });
    }
}

/// In turn, from the one after the last on, until it is enough.
void TaskFiles::read_some(const TaskAsk& ask, TaskBlock& block)
{
    std::vector<std::pair<Run*, Followed*>> ready;
    std::size_t before = 0;
    for (auto& [container, run] : runs_) {
        for (auto& [name, file] : run.files) {
            if (!file->open || file->held || !file->stream.ready(ask.monotonic)) continue;
            if (std::tie(container, name) <= std::tie(turn_container_, turn_name_)) ++before;
            ready.emplace_back(&run, file.get());
        }
    }
    std::ranges::rotate(ready, ready.begin() + static_cast<std::ptrdiff_t>(before));
    for (const auto& [run, file] : ready) {
        block.more = true;
        if (block.text->bytes.size() >= enough_text) return;
        turn_container_ = run->is.name.container;
        turn_name_ = file->stream.name();
        read_one(*run, *file, ask, block);
    }
    block.more = std::ranges::any_of(ready, [&](const auto& one) {
        return one.second->open && !one.second->held && one.second->stream.ready(ask.monotonic);
    });
}

void TaskFiles::read_one(Run& run, Followed& file, const TaskAsk& ask, TaskBlock& block)
{
    const auto generation = file.stream.at().generation;
    auto read = file.stream.read(ask.monotonic);
    for (auto& loss : file.stream.take_losses())
        block.lost(std::move(loss));
    if (!read) {
        file.error = read.error().message;
        run.saved[file.stream.name()] = file.stream.at();
        file.stream.close();
        file.open = false;
        --open_;
        return;
    }
    const auto& at = file.stream.at();
    if (!*read) {
        if (at.generation != generation)
            note(block, {What::file, run.is.name, file.stream.name(), at}, at.offset);
        return;
    }
    const auto& from = (*read)->from;
    const auto spot =
        std::make_shared<const LedgerSpot>(LedgerSpot{What::file, run.is.name, file.stream.name(), at});
    TaskRecords records{run.is.name, file.names, file.stream.name(), ask.host};
    auto time = ask.now.time_since_epoch().count();
    std::size_t used = 0;
    const auto before = block.text->bytes.size();
    for (const auto& piece : (*read)->pieces) {
        ++number_->value;
        if (ask.writer->write(records.entry(from, piece, time++), block.text->bytes)) {
            block.steps.push_back({number_->value, from.offset + piece.end, spot});
        } else {
            --number_->value;
            // It may be that the filter looks at the names, which are not known yet.
            if (file.held = !file.named; file.held) break;
        }
        ++used;
        if (block.text->bytes.size() - before >= most_share) break;
    }
    file.stream.give_back(**read, used);
    if (used > 0) block.ends.push_back({0, from.offset + (*read)->pieces[used - 1].end, spot});
}

/// Files of which nothing more can come: others may have their places.
void TaskFiles::let_go(Run& run)
{
    if (!run.ended) return;
    std::erase_if(run.files, [&](const auto& item) {
        const auto& [name, file] = item;
        if (!file->open || !file->stream.finished()) return false;
        run.read.insert(name);
        --open_;
        return true;
    });
}

/// Runs of which nothing more can come.
void TaskFiles::finish(TaskBlock& block)
{
    for (auto& [container, run] : runs_)
        let_go(run);
    std::erase_if(runs_, [&](auto& item) {
        auto& [container, run] = item;
        const bool unread = run.waits || !run.error.empty() || !run.saved.empty();
        if (!run.ended || unread || taken_ == 0) return false;
        if (!run.files.empty()) return false;
        note(block, {What::done, run.is.name, {}, {}}, 0);
        if (done_.size() < TailBounds::done) done_.insert(container);
        return true;
    });
}

void TaskFiles::note(TaskBlock& block, LedgerSpot spot, std::uint64_t offset)
{
    block.ends.push_back({0, offset, std::make_shared<const LedgerSpot>(std::move(spot))});
}

TaskFacts TaskFiles::facts() const
{
    TaskFacts facts;
    facts.runs = runs_.size();
    facts.files = open_;
    facts.not_followed = not_followed_;
    facts.queued = *options_.tail.queued;
    const auto unreadable = [&facts](const std::string& why) {
        if (why.empty()) return;
        ++facts.unreadable;
        if (facts.why.empty()) facts.why = why;
    };
    for (const auto& [container, run] : runs_) {
        unreadable(run.error);
        for (const auto& [name, file] : run.files) {
            if (file->open) facts.behind_bytes += file->stream.behind();
            unreadable(file->open ? file->stream.trouble() : file->error);
            if (file->held)
                unreadable(
                    fmt::format("cannot select lines of {}/{}: the names of its task are not known while "
                                "the agent does not answer; they wait for it",
                                run.path, name));
        }
    }
    return facts;
}

}  // namespace opsd::forward
