#include "pipeline/dead_letters.hpp"

#include "io/files/files.hpp"
#include "pipeline/checksum.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

namespace opsd::pipeline {
namespace {

constexpr std::string_view mark = "letter1";
constexpr std::size_t smallest_half = 1024 * 1024;

/// Tabs and line breaks stand between fields and lines, so not within them.
void append_field(std::string& out, std::string_view text)
{
    out += '\t';
    for (const char c : text) {
        switch (c) {
        case '\\':
            out += "\\\\";
            break;
        case '\t':
            out += "\\t";
            break;
        case '\n':
            out += "\\n";
            break;
        default:
            out += c;
        }
    }
}

bool read_field(std::string_view field, std::string& out)
{
    out.clear();
    for (std::size_t i = 0; i < field.size(); ++i) {
        if (field[i] != '\\') {
            out += field[i];
            continue;
        }
        if (++i == field.size()) return false;
        if (field[i] != '\\' && field[i] != 't' && field[i] != 'n') return false;
        out += field[i] == 't' ? '\t' : field[i] == 'n' ? '\n' : '\\';
    }
    return true;
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

template <class Take>
void each_line(std::string_view text, Take take)
{
    while (!text.empty()) {
        const auto end = std::min(text.find('\n'), text.size());
        if (end > 0) take(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

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
{}

Result<std::string> DeadLetterFile::text_of(const std::string& path) const
{
    auto text = files::read_file(path, 2 * half_);
    if (!text && text.error().code == Errc::not_found) return std::string{};
    return text;
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
    // When PATH is full it becomes PATH.1, and what was there is gone.
    std::error_code none;
    const auto present = std::filesystem::file_size(path_, none);
    std::uint64_t dropped = 0;
    if (!none && present > 0 && present + size > half_) {
        const auto old = text_of(path_ + ".1");
        if (!old) return fail(old.error());
        each_line(*old, [&dropped](std::string_view line) { dropped += parse_letter(line) ? 1U : 0U; });
    }
    auto appended = files::append_lines(path_, lines, half_, 0600);
    if (!appended) return fail(std::move(appended).error().wrap("keep refused records"));
    return dropped;
}

Result<LetterList> DeadLetterFile::list() const
{
    LetterList list;
    std::map<std::string, std::size_t> place;
    for (const auto& path : {path_ + ".1", path_}) {
        const auto text = text_of(path);
        if (!text) return fail(text.error());
        each_line(*text, [&](std::string_view line) {
            auto letter = parse_letter(line);
            if (!letter) {
                ++list.torn;
                return;
            }
            const auto [at, fresh] = place.emplace(letter->id, list.letters.size());
            if (fresh)
                list.letters.push_back(std::move(*letter));
            else
                list.letters[at->second] = std::move(*letter);
        });
    }
    return list;
}

Result<std::uint64_t> DeadLetterFile::remove(const std::set<std::string>& ids)
{
    std::set<std::string> found;
    for (const auto& path : {path_ + ".1", path_}) {
        const auto text = text_of(path);
        if (!text) return fail(text.error());
        std::string kept;
        bool changed = false;
        each_line(*text, [&](std::string_view line) {
            const auto letter = parse_letter(line);
            if (letter && ids.contains(letter->id)) {
                found.insert(letter->id);
                changed = true;
            } else {
                kept.append(line).push_back('\n');
            }
        });
        if (!changed) continue;
        auto written = files::write_atomic(path, kept, 0600);
        if (!written) return fail(std::move(written).error().wrap("remove dead letters"));
    }
    return found.size();
}

std::unique_ptr<LetterBox> make_letter_box(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker)
{
    return std::make_unique<WorkerLetterBox>(std::move(file), worker);
}

}  // namespace opsd::pipeline
