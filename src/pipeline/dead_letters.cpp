#include "pipeline/dead_letters.hpp"

#include "io/files/files.hpp"
#include "pipeline/checksum.hpp"
#include "pipeline/letter_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <iterator>
#include <list>
#include <map>
#include <utility>

namespace opsd::pipeline {
namespace {

constexpr std::string_view mark = "letter1";
constexpr std::size_t smallest_half = 1024 * 1024;
constexpr std::size_t longest_line = 32 * 1024 * 1024;  // of a file whose cap was larger once

/// Tabs and line breaks stand between fields and lines, so not within them.
void append_field(std::string& out, std::string_view text)
{
    out += '\t';
    const auto special = [](char c) { return c == '\\' || c == '\t' || c == '\n'; };
    while (!text.empty()) {
        const auto* const end = std::ranges::find_if(text, special);
        out.append(text.begin(), end);
        if (end == text.end()) break;
        out += '\\';
        out += *end == '\t' ? 't' : *end == '\n' ? 'n' : '\\';
        text.remove_prefix(static_cast<std::size_t>(end - text.begin()) + 1);
    }
}

bool read_field(std::string_view field, std::string& out)
{
    out.clear();
    for (;;) {
        const auto end = std::min(field.find('\\'), field.size());
        out.append(field.substr(0, end));
        if (end == field.size()) return true;
        const char c = end + 1 < field.size() ? field[end + 1] : '\0';
        if (c != '\\' && c != 't' && c != 'n') return false;
        out += c == 't' ? '\t' : c == 'n' ? '\n' : '\\';
        field.remove_prefix(end + 2);
    }
}

/// Takes one field off the front.
std::string_view take_field(std::string_view& rest)
{
    const auto end = std::min(rest.find('\t'), rest.size());
    const auto field = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return field;
}

template <class Number>
bool read_number(std::string_view text, int base, Number& number)
{
    const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    return ec == std::errc{} && end == text.data() + text.size();
}

/// Each id once, its newest; of those the newest so many.
class Newest {
public:
    explicit Newest(LetterLimits limits) : limits_{limits} {}

    void add(DeadLetter letter)
    {
        hashes_.push_back(std::hash<std::string>{}(letter.id));
        const auto known = places_.find(letter.id);
        if (known != places_.end()) erase(known->second);
        ListedLetter listed{std::move(letter), 0};
        listed.size = listed.bytes.size();
        if (listed.bytes.size() > limits_.bytes) listed.bytes = listed.bytes.substr(0, limits_.bytes);
        letters_.push_back(std::move(listed));
        places_[letters_.back().id] = std::prev(letters_.end());
        if (letters_.size() > limits_.letters) erase(letters_.begin());
    }
    LetterList take(std::uint64_t torn)
    {
        LetterList list;
        std::ranges::sort(hashes_);
        list.count = hashes_.size() - std::ranges::unique(hashes_).size();
        list.torn = torn;
        std::ranges::move(letters_, std::back_inserter(list.letters));
        return list;
    }

private:
    using Letters = std::list<ListedLetter>;
    void erase(Letters::iterator letter)
    {
        places_.erase(letter->id);
        letters_.erase(letter);
    }

    LetterLimits limits_;
    Letters letters_;
    std::map<std::string, Letters::iterator> places_;
    std::vector<std::size_t> hashes_;  ///< of all ids: 8 bytes a letter, whatever its size
};

class WorkerLetterBox final : public LetterBox {
public:
    WorkerLetterBox(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker)
      : file_{std::move(file)}
      , worker_{worker}
    {}
    Task<Result<std::uint64_t>> bury(std::vector<DeadLetter> letters) override
    {
        auto job = [file = file_, letters = std::move(letters)] { return file->bury(letters); };
        auto buried = co_await worker_.run(std::move(job));
        co_return buried;
    }

private:
    std::shared_ptr<DeadLetterFile> file_;
    WorkerThread& worker_;
};

}  // namespace

std::string letter_line(const DeadLetter& letter)
{
    std::string fields;
    append_field(fields, fmt::format_int{letter.died}.str());
    append_field(fields, fmt::format_int{letter.time}.str());
    append_field(fields, letter.id);
    append_field(fields, letter.position);
    append_field(fields, letter.reason);
    append_field(fields, letter.bytes);
    return fmt::format("{}\t{:016x}{}", mark, checksum(fields), fields);
}

Result<DeadLetter> parse_letter(std::string_view line)
{
    const auto torn = [] {
        return fail(Errc::invalid_argument, "cannot read a dead letter: its line is torn");
    };
    auto rest = line;
    std::uint64_t sum = 0;
    if (take_field(rest) != mark || !read_number(take_field(rest), 16, sum)) return torn();
    const auto begin = line.size() - rest.size();
    if (begin == 0 || line[begin - 1] != '\t' || sum != checksum(line.substr(begin - 1))) return torn();
    DeadLetter letter;
    if (!read_number(take_field(rest), 10, letter.died)) return torn();
    if (!read_number(take_field(rest), 10, letter.time)) return torn();
    for (auto* field : {&letter.id, &letter.position, &letter.reason}) {
        if (!read_field(take_field(rest), *field)) return torn();
    }
    if (!read_field(rest, letter.bytes)) return torn();
    return letter;
}

DeadLetterFile::DeadLetterFile(std::string path, std::size_t cap)
  : path_{std::move(path)}
  , half_{std::max(cap / 2, smallest_half)}
  , longest_{std::max(half_, longest_line)}
{}

std::optional<std::uint64_t> DeadLetterFile::count() const noexcept
{
    const auto count = count_.load(std::memory_order_relaxed);
    return count < 0 ? std::nullopt : std::optional{static_cast<std::uint64_t>(count)};
}

/// However large it is: `cap` may have been lowered since it was written.
Result<std::uint64_t> DeadLetterFile::count_lines(const std::string& path) const
{
    std::uint64_t count = 0;
    const auto add = [&count](std::string_view line) { count += parse_letter(line) ? 1U : 0U; };
    const auto read = each_line(path, longest_, add);
    if (!read) return fail(read.error());
    return count;
}

/// Best effort: a file that cannot be read says so where that matters.
void DeadLetterFile::know_count() const
{
    const auto list = this->list({0, 0});
    if (!list) count_ = -1;
}

Result<std::uint64_t> DeadLetterFile::bury(const std::vector<DeadLetter>& letters)
{
    std::vector<std::string> lines;
    std::size_t size = 0;
    for (const auto& letter : letters) {
        auto line = letter_line(letter);
        // All lines of a call fit into one file, however many there are.
        if ((line.size() + 1) * letters.size() > half_) {
            auto bare = letter;
            bare.bytes.clear();
            bare.reason = fmt::format("{} (its {} bytes were too many to be kept here)",
                                      bare.reason.substr(0, 300), letter.bytes.size());
            if (bare.position.size() > 1024) bare.position.clear();
            line = letter_line(bare);
        }
        size += line.size() + 1;
        lines.push_back(std::move(line));
    }
    if (!count()) know_count();
    auto appended = append(lines, size);
    if (!appended) return fail(std::move(appended).error().wrap("keep refused records"));
    const auto dropped = std::exchange(dropped_, 0);
    if (const auto known = count())
        count_ = static_cast<std::int64_t>(*known + lines.size() - std::min(*known, dropped));
    return dropped;
}

/// When PATH is full it becomes PATH.1, and what was there is gone: but not before the new lines are kept, so
/// that a full disk costs nothing.
Result<> DeadLetterFile::append(const std::vector<std::string>& lines, std::size_t size)
{
    std::error_code none;
    const auto present = std::filesystem::file_size(path_, none);
    // One byte more, should a torn line have to be ended first.
    if (none || present == 0 || present + size + 1 <= half_)
        return files::append_lines(path_, lines, half_, 0600);
    const auto old = count_lines(path_ + ".1");
    if (!old) return fail(old.error());
    const auto next = path_ + ".next";
    auto written = files::write_atomic(next, fmt::format("{}\n", fmt::join(lines, "\n")), 0600);
    if (!written) return written;
    for (const auto& [from, to] : {std::pair{path_, path_ + ".1"}, std::pair{next, path_}}) {
        std::filesystem::rename(from, to, none);
        if (none) return fail(files::system_error("rename", from, none.value()));
        if (from == path_) dropped_ += *old;
    }
    return files::sync_directory(files::parent_of(path_));
}

Result<LetterList> DeadLetterFile::list(LetterLimits limits) const
{
    Newest newest{limits};
    std::uint64_t torn = 0;
    for (const auto& path : {path_ + ".1", path_}) {
        const auto read = each_line(path, longest_, [&](std::string_view line) {
            if (auto letter = parse_letter(line))
                newest.add(std::move(*letter));
            else
                ++torn;
        });
        if (!read) return fail(read.error());
    }
    auto list = newest.take(torn);
    count_ = static_cast<std::int64_t>(list.count);
    return list;
}

Result<LetterPage> DeadLetterFile::page(const std::set<std::string>& ids, const std::set<std::string>& asked,
                                        std::size_t bytes) const
{
    LetterPage page;
    std::map<std::string, std::size_t> places;
    std::size_t held = 0;
    const auto look_at = [&](std::string_view line) {
        auto letter = parse_letter(line);
        if (!letter || asked.contains(letter->id) || (!ids.empty() && !ids.contains(letter->id))) return;
        if (letter->bytes.empty()) {
            ++page.without;
            return;
        }
        if (const auto known = places.find(letter->id); known != places.end()) {
            page.letters[known->second] = std::move(*letter);
            return;
        }
        held += letter->bytes.size();
        if (page.more > 0 || (held > bytes && !page.letters.empty())) {
            ++page.more;
            return;
        }
        places.emplace(letter->id, page.letters.size());
        page.letters.push_back(std::move(*letter));
    };
    for (const auto& path : {path_ + ".1", path_}) {
        const auto read = each_line(path, longest_, look_at);
        if (!read) return fail(read.error());
    }
    return page;
}

Result<std::uint64_t> DeadLetterFile::remove(const std::set<std::string>& ids)
{
    std::set<std::string> found;
    for (const auto& path : {path_ + ".1", path_}) {
        std::string kept;
        bool changed = false;
        const auto read = each_line(path, longest_, [&](std::string_view line) {
            const auto letter = parse_letter(line);
            if (letter && ids.contains(letter->id)) {
                found.insert(letter->id);
                changed = true;
            } else {
                kept.append(line).push_back('\n');
            }
        });
        if (!read) return fail(read.error());
        if (!changed) continue;
        auto written = files::write_atomic(path, kept, 0600);
        if (!written) return fail(std::move(written).error().wrap("remove dead letters"));
    }
    if (const auto known = count())
        count_ = static_cast<std::int64_t>(*known - std::min<std::uint64_t>(*known, found.size()));
    return found.size();
}

std::unique_ptr<LetterBox> make_letter_box(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker)
{
    return std::make_unique<WorkerLetterBox>(std::move(file), worker);
}

}  // namespace opsd::pipeline
