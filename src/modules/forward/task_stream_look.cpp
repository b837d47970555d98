// What becomes of the files of a stream: they grow, are renamed, copied and truncated, removed.

#include "modules/forward/task_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace opsd::forward {

using pipeline::FilePosition;
using pipeline::fingerprint_of;

namespace {

using namespace std::chrono_literals;

constexpr std::size_t most_entries = 10'000;              // of the folder that it is in
constexpr std::size_t most_siblings = 100;                // files before it that are looked at
constexpr std::chrono::milliseconds name_interval = 60s;  // a rename shows in the file itself, too
constexpr std::chrono::milliseconds not_found_pause = 1s;
constexpr unsigned looks_until_gone = 240;  // of a removed file: its writer may still have it

/// N of NAME.N; nothing for any other.
std::optional<unsigned> number_of(std::string_view file, std::string_view name)
{
    if (!file.starts_with(name) || file.size() < name.size() + 2 || file[name.size()] != '.')
        return std::nullopt;
    file.remove_prefix(name.size() + 1);
    unsigned number = 0;
    const auto [end, ec] = std::from_chars(file.data(), file.data() + file.size(), number);
    if (ec != std::errc{} || end != file.data() + file.size() || file.size() > 5) return std::nullopt;
    return number;
}

/// Removed meanwhile, or no plain file. Anything else may be there and is only not readable now.
bool is_none(const Error& error)
{
    return error.code == Errc::not_found || error.code == Errc::invalid_argument;
}

}  // namespace

Result<TaskStream::Part> TaskStream::live()
{
    auto file = folder_.open(full_path(name_));
    if (!file) return fail(std::move(file).error());
    Part part;
    part.identity = (*file)->identity();
    part.file = std::move(*file);
    return part;
}

/// The files that had the name, the newest first: NAME.1, NAME.2 ...
Result<TaskStream::Parts> TaskStream::siblings()
{
    const auto slash = name_.rfind('/');
    const auto folder = slash == std::string::npos ? path_ : full_path(name_.substr(0, slash));
    const auto base = slash == std::string::npos ? name_ : name_.substr(slash + 1);
    auto entries = folder_.list(folder, most_entries);
    if (!entries && !is_none(entries.error())) return fail(std::move(entries).error());
    if (!entries) entries.emplace();
    std::vector<std::pair<unsigned, std::string>> found;
    for (const auto& entry : *entries) {
        const auto number = entry.folder ? std::nullopt : number_of(entry.name, base);
        if (number) found.emplace_back(*number, entry.name.substr(base.size()));
    }
    if (entries->size() >= most_entries) {  // they may be among those that are left out
        found.clear();
        for (unsigned number = 1; number <= most_siblings; ++number)
            found.emplace_back(number, fmt::format(".{}", number));
    }
    std::ranges::sort(found);
    if (found.size() > most_siblings) found.resize(most_siblings);
    Parts parts;
    std::vector<Known> all;
    for (const auto& [number, suffix] : found) {
        auto file = folder_.open(full_path(name_ + suffix));
        if (!file && !is_none(file.error())) return fail(std::move(file).error());
        if (!file) continue;
        Part part;
        part.identity = (*file)->identity();
        part.file = std::move(*file);
        part.final = !parts.empty();  // the newest may just have been renamed, and still be written
        const auto facts = part.file->look();
        all.push_back({part.identity, facts ? facts->size : 0});
        parts.push_back(std::move(part));
    }
    known_ = std::move(all);
    return parts;
}

/// How many of them, from the newest on, were not there when they were last listed.
std::size_t TaskStream::unseen(const Parts& parts, const std::optional<std::vector<Known>>& seen)
{
    const auto is_seen = [&seen](const Part& part) {
        const auto facts = part.file->look();
        return seen && facts && std::ranges::find(*seen, Known{part.identity, facts->size}) != seen->end();
    };
    return static_cast<std::size_t>(std::ranges::find_if(parts, is_seen) - parts.begin());
}

/// Does the file begin as the one at the position, and reach as far?
Result<bool> TaskStream::begins(const Part& part, std::uint64_t size, const FilePosition& position)
{
    if (size < position.offset || size < position.fingerprint.bytes) return false;
    const auto first = part.file->read(0, position.fingerprint.bytes);
    if (!first) return fail(first.error());
    return fingerprint_of(*first) == position.fingerprint;
}

bool TaskStream::begins_as(const Part& part, std::uint64_t size, const FilePosition& position)
{
    return begins(part, size, position).value_or(false);
}

/// The first `count` of them, the oldest first, then the one that has the name.
void TaskStream::append_chain(Parts&& newest_first, std::size_t count, std::optional<Part>&& live)
{
    for (auto i = count; i-- > 0;)
        chain_.push_back(std::move(newest_first[i]));
    if (live) chain_.push_back(std::move(*live));
}

void TaskStream::look(Monotonic now, bool last)
{
    last_ = last;
    if (!blind_) trouble_.clear();
    halted_ = false;
    if (!current_.file) return;
    auto looked = look_now(now);
    count_queued();
    if (looked) return;
    trouble_ = std::move(looked).error().message;
    halted_ = true;
}

Result<> TaskStream::look_now(Monotonic now)
{
    const auto facts = current_.file->look();
    if (!facts) {
        if (facts.error().code != Errc::not_found) return fail(facts.error());
        alone_ = !told(current_.identity);  // else read() will say it
        if (alone_) ++quiet_;
        see_gone(alone_);
        return {};
    }
    const bool grown = facts->size != size_;
    const bool touched = facts->changed != changed_;
    if (grown || touched) {
        bool another = false;
        auto seen = see_changes(*facts, another);
        if (!seen) return seen;
        if (another) return look_now(now);
        active_ = true;
    }
    changed_ = facts->changed;
    quiet_ = grown ? 0 : quiet_ + 1;
    if (grown) see_size(facts->size, now);
    // A rename changes a file without growing it; one that is written while it is renamed falls silent.
    const bool due = !name_checked_ || now - *name_checked_ >= name_interval;
    const bool suspicious = facts->unlinked || (touched && !grown) || (!grown && active_) || last_;
    if (chain_.empty() && (due || suspicious)) {
        auto checked = check_name(now);
        blind_ = !checked;
        if (blind_)
            trouble_ = std::move(checked).error().message;
        else
            trouble_.clear();
    }
    see_gone(facts->unlinked);
    return {};
}

/// `another`: it is not the file that it was, another one is read first.
Result<> TaskStream::see_changes(const FileFacts& facts, bool& another)
{
    if (current_.final) return {};
    // A copy is as it was made; what has the name may have been truncated and written anew.
    const auto same = begins(current_, facts.size, at_);
    if (!same) return fail(same.error());
    if (!*same) {
        another = true;
        return truncated();
    }
    if (at_.offset != 0 || !known_) return {};
    const auto again = truncated_again();
    if (!again) return fail(again.error());
    another = *again;
    return {};
}

void TaskStream::see_gone(bool unlinked)
{
    gone_ = unlinked && alone_ && chain_.empty() && size_ <= at_.offset && quiet_ >= looks_until_gone;
}

std::uint64_t TaskStream::next_generation() const noexcept { return at_.generation + most_siblings + 1; }

void TaskStream::see_size(std::uint64_t size, Monotonic now)
{
    size_ = size;
    grew_at_ = now;
    stuck_ = false;
}

Result<> TaskStream::check_name(Monotonic now)
{
    name_checked_ = now;
    active_ = false;
    alone_ = false;
    if (!told(current_.identity)) return {};
    const auto soon = now - name_interval + not_found_pause;
    auto newest = live();
    Result<> checked;
    if (!newest) {
        name_checked_ = soon;  // between two names, perhaps
        if (newest.error().code == Errc::not_found) return renamed({});
        // What no plain file has the name of may last.
        return is_none(newest.error()) ? checked : fail(std::move(newest).error());
    }
    if (!told(newest->identity) || newest->identity == current_.identity) return {};
    checked = renamed(std::move(*newest));
    if (!checked) name_checked_ = soon;
    return checked;
}

/// Another file has the name, or none has it.
Result<> TaskStream::renamed(Part&& live)
{
    const auto before = known_;
    auto older = siblings();
    if (!older) return fail(std::move(older).error());
    auto& parts = *older;
    alone_ = parts.empty() && !live.file;
    std::erase_if(parts, [&](const Part& part) { return part.identity == live.identity; });
    const auto here =
        std::ranges::find(parts, current_.identity, [](const Part& part) { return part.identity; });
    auto newer = static_cast<std::size_t>(here - parts.begin());
    if (here == parts.end()) {
        // It was removed. All that was not there before came after it.
        newer = unseen(parts, before);
    }
    if (!live.file && newer == 0) return {};
    if (auto room = room_for(newer); !room) {
        known_ = before;
        return room;
    }
    if (here == parts.end() && live.file && !parts.empty())
        lost("it was removed, and files after it may have been removed with it");
    quiet_ = 0;
    append_chain(std::move(parts), newer, live.file ? std::optional{std::move(live)} : std::nullopt);
    return {};
}

/// Before anything of it was read: what it had since is in the copies that are newer than the one before.
Result<bool> TaskStream::truncated_again()
{
    const auto seen = known_;
    auto older = siblings();
    if (!older) return fail(std::move(older).error());
    auto& parts = *older;
    // It was renamed, not copied.
    if (std::ranges::any_of(parts, [&](const Part& part) { return part.identity == current_.identity; }))
        return false;
    const auto is_before = [&](const Part& part) {
        const auto facts = part.file->look();
        return before_ && facts && begins_as(part, facts->size, *before_);
    };
    const auto known = std::ranges::find_if(parts, is_before);
    const bool gone = copied_ && known == parts.end();
    const auto newer =
        known == parts.end() ? unseen(parts, seen) : static_cast<std::size_t>(known - parts.begin());
    parts.resize(newer);
    // One that was empty has left no trace in our position.
    std::erase_if(parts, [&seen](const Part& part) {
        const auto facts = part.file->look();
        return facts && facts->size == 0 && std::ranges::find(*seen, Known{part.identity, 0}) != seen->end();
    });
    if (parts.empty()) return false;
    if (const auto room = room_for(parts.size()); !room) {
        known_ = seen;
        return fail(room.error());
    }
    if (gone) lost("it was truncated again, and copies of it may be gone");
    const auto count = parts.size();
    insert_copies(std::move(parts), count);
    const auto generation = at_.generation;
    current_ = std::move(chain_.front());
    chain_.pop_front();
    at_ = {};
    at_.device = current_.identity.device;
    at_.inode = current_.identity.inode;
    at_.generation = generation;
    return true;
}

/// Before the file itself, which is no longer the current one; the caller takes the next from the chain.
void TaskStream::insert_copies(Parts&& newest_first, std::size_t count)
{
    const auto identity = current_.identity;
    for (auto& part : newest_first) {
        part.identity = identity;
        part.final = true;
    }
    auto rest = std::exchange(chain_, {});
    append_chain(std::move(newest_first), count, std::move(current_));
    std::ranges::move(rest, std::back_inserter(chain_));
    size_ = 0;
    changed_ = 0;
    stuck_ = false;
    waits_since_.reset();
}

/// Its rest is in the newest copy that begins as it began.
Result<> TaskStream::truncated()
{
    const auto seen = known_;
    auto older = siblings();
    if (!older) return fail(std::move(older).error());
    auto& parts = *older;
    const auto is_copy = [&](const Part& part) {
        const auto facts = part.file->look();
        return facts && at_.fingerprint.bytes > 0 && begins_as(part, facts->size, at_);
    };
    const auto copy = std::ranges::find_if(parts, is_copy);
    if (auto room = room_for(parts.size()); !room) {
        known_ = seen;
        return room;
    }
    if (copy == parts.end()) {
        if (at_.offset > 0) lost("it was truncated, and no copy of it is there");
        const auto newer = unseen(parts, seen);
        insert_copies(std::move(parts), newer);
        current_ = {};
        go_on();
        return {};
    }
    const auto count = static_cast<std::size_t>(copy - parts.begin()) + 1;
    insert_copies(std::move(parts), count);
    current_ = std::move(chain_.front());
    chain_.pop_front();
    return {};
}

}  // namespace opsd::forward
