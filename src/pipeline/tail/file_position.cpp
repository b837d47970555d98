#include "pipeline/tail/file_position.hpp"

#include "core/gzip.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>
#include <tuple>
#include <utility>

namespace opsd::pipeline {
namespace {

constexpr std::string_view first_line = "opsd tasks 1\n";
constexpr std::string_view last_line = "end\n";
constexpr std::string_view digits = "0123456789abcdef";

/// A name as one word: white space, "%" and what is not ASCII as %xx.
void append_word(std::string& out, std::string_view name)
{
    for (const char c : name) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte > ' ' && byte < 0x7f && c != '%')
            out += c;
        else
            out.append(1, '%').append(1, digits[byte >> 4U]).append(1, digits[byte & 0xfU]);
    }
}

/// The words of one line, in order; any mistake is remembered.
class Words {
public:
    explicit Words(std::string_view line) : rest_{line} {}

    std::string_view raw()
    {
        if (!good_ || ended_) return wrong();
        const auto space = rest_.find(' ');
        const auto word = rest_.substr(0, space);
        ended_ = space == std::string_view::npos;
        rest_.remove_prefix(ended_ ? rest_.size() : space + 1);
        return word.empty() ? wrong() : word;
    }
    std::string name() { return decoded(raw()); }
    /// After a "=": it may be empty.
    std::string text()
    {
        const auto word = raw();
        return word.starts_with('=') ? decoded(word.substr(1)) : std::string{wrong()};
    }
    bool flag()
    {
        const auto word = raw();
        if (word != "0" && word != "1") wrong();
        return word == "1";
    }
    std::string decoded(std::string_view word)
    {
        std::string out;
        for (std::size_t i = 0; i < word.size() && good_; ++i) {
            if (word[i] != '%') {
                out += word[i];
                continue;
            }
            const bool whole = i + 2 < word.size();
            const auto high = whole ? digits.find(word[i + 1]) : std::string_view::npos;
            const auto low = whole ? digits.find(word[i + 2]) : std::string_view::npos;
            if (high == std::string_view::npos || low == std::string_view::npos) {
                wrong();
                break;
            }
            out += static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (out.size() > TailBounds::word) wrong();
        return out;
    }
    template <class Number>
    Number number(int base = 10)
    {
        return number_in<Number>(raw(), base);
    }
    /// "A:B"
    template <class Number>
    std::pair<Number, Number> pair(int base)
    {
        const auto word = raw();
        const auto colon = word.find(':');
        if (colon == std::string_view::npos) {
            wrong();
            return {};
        }
        const auto first = number_in<Number>(word.substr(0, colon), base);
        return {first, number_in<Number>(word.substr(colon + 1), base)};
    }
    [[nodiscard]] bool all_good() const noexcept { return good_ && ended_; }

private:
    std::string_view wrong()
    {
        good_ = false;
        return {};
    }
    template <class Number>
    Number number_in(std::string_view word, int base)
    {
        Number value{};
        const auto [end, ec] = std::from_chars(word.data(), word.data() + word.size(), value, base);
        if (ec != std::errc{} || end != word.data() + word.size() || word.empty()) wrong();
        return value;
    }

    std::string_view rest_;
    bool good_ = true;
    bool ended_ = false;
};

/// Line after line of the text into a position.
class TailReader {
public:
    bool take(std::string_view line)
    {
        Words words{line};
        const auto kind = words.raw();
        const bool fits = kind == "looked" ? looked(words)
                          : kind == "run"  ? run(words)
                          : kind == "task" ? task(words)
                          : kind == "from" ? from(words)
                          : kind == "file" ? file(words)
                          : kind == "done" ? done(words)
                                           : false;
        return fits && words.all_good();
    }
    [[nodiscard]] TailPosition&& position() && { return std::move(position_); }

private:
    bool looked(Words& words)
    {
        position_.looked = words.number<std::int64_t>();
        return position_.looked >= 0 && position_.runs.empty() && position_.done.empty();
    }
    bool run(Words& words)
    {
        RunPosition one;
        one.run.agent = words.name();
        one.run.framework = words.name();
        one.run.executor = words.name();
        one.run.container = words.name();
        const auto container = one.run.container;
        const auto [at, fresh] = position_.runs.emplace(container, std::move(one));
        run_ = &at->second;
        return fresh && position_.runs.size() <= TailBounds::runs;
    }
    bool from(Words& words)
    {
        if (run_ == nullptr || !run_->files.empty() || run_->generation != 0) return false;
        run_->generation = words.number<std::uint64_t>();
        return run_->generation != 0;
    }
    bool task(Words& words)
    {
        if (run_ == nullptr || !run_->files.empty() || ++tasks_ > TailBounds::tasks) return false;
        const bool pod = words.flag();
        if (!run_->tasks.empty() && pod != run_->pod) return false;
        run_->pod = pod;
        RunTask one;
        one.nested = words.flag();
        one.id = words.text();
        one.name = words.text();
        one.container = words.text();
        run_->tasks.push_back(std::move(one));
        return true;
    }
    bool file(Words& words)
    {
        if (run_ == nullptr || ++files_ > TailBounds::files) return false;
        auto name = words.name();
        FilePosition at;
        std::tie(at.device, at.inode) = words.pair<std::uint64_t>(16);
        at.generation = words.number<std::uint64_t>();
        std::tie(at.fingerprint.bytes, at.fingerprint.crc) = words.pair<std::uint32_t>(16);
        at.offset = words.number<std::uint64_t>();
        return at.fingerprint.bytes <= Fingerprint::most && run_->files.emplace(std::move(name), at).second;
    }
    bool done(Words& words)
    {
        run_ = nullptr;
        return position_.done.insert(words.name()).second && position_.done.size() <= TailBounds::done;
    }

    TailPosition position_;
    RunPosition* run_ = nullptr;
    std::size_t files_ = 0;
    std::size_t tasks_ = 0;
};

/// Names are worth less than places: they leave room for those.
void append_tasks(std::string& out, const RunPosition& run, std::size_t& written)
{
    for (const auto& task : run.tasks) {
        const auto longest = std::max({task.id.size(), task.name.size(), task.container.size()});
        if (longest > TailBounds::word) continue;
        if (written == TailBounds::tasks || out.size() > TailBounds::bytes / 2) return;
        ++written;
        fmt::format_to(std::back_inserter(out), "task {:d} {:d}", run.pod, task.nested);
        for (const auto* text : {&task.id, &task.name, &task.container}) {
            out += " =";
            append_word(out, *text);
        }
        out += '\n';
    }
}

}  // namespace

Fingerprint fingerprint_of(std::string_view first) noexcept
{
    first = first.substr(0, Fingerprint::most);
    return {static_cast<std::uint32_t>(first.size()), crc32(first)};
}

std::string tail_text(const TailPosition& position)
{
    std::string out{first_line};
    auto add = std::back_inserter(out);
    fmt::format_to(add, "looked {}\n", position.looked);
    std::size_t tasks = 0;
    for (const auto& [container, one] : position.runs) {
        out += "run";
        for (const auto* name : {&one.run.agent, &one.run.framework, &one.run.executor, &container}) {
            out += ' ';
            append_word(out, *name);
        }
        out += '\n';
        append_tasks(out, one, tasks);
        if (one.generation != 0) fmt::format_to(add, "from {}\n", one.generation);
        for (const auto& [name, at] : one.files) {
            out += "file ";
            append_word(out, name);
            fmt::format_to(add, " {:x}:{:x} {} {:x}:{:x} {}\n", at.device, at.inode, at.generation,
                           at.fingerprint.bytes, at.fingerprint.crc, at.offset);
        }
    }
    for (const auto& container : position.done) {
        out += "done ";
        append_word(out, container);
        out += '\n';
    }
    out += last_line;
    return out;
}

Result<TailPosition> parse_tail(std::string_view text)
{
    const auto wrong = [] {
        return fail(Errc::invalid_argument,
                    "cannot use the saved position of the tasks: it is not one that opsd has written");
    };
    if (text.size() > TailBounds::bytes || !text.starts_with(first_line) || !text.ends_with("\nend\n"))
        return wrong();
    text.remove_prefix(first_line.size());
    text.remove_suffix(last_line.size());
    TailReader reader;
    while (!text.empty()) {
        const auto newline = text.find('\n');
        if (newline == std::string_view::npos || !reader.take(text.substr(0, newline))) return wrong();
        text.remove_prefix(newline + 1);
    }
    return std::move(reader).position();
}

}  // namespace opsd::pipeline
