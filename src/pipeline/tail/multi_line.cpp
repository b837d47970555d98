#include "pipeline/tail/multi_line.hpp"

#include "pipeline/tail/line_cutter.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <optional>

namespace opsd::pipeline {

struct LineStart::Pattern {
    explicit Pattern(const std::string& text, const RE2::Options& options) : regex{text, options} {}
    RE2 regex;
};

namespace {

constexpr std::int64_t pattern_memory = 4 * 1024 * 1024;

/// Lines become records as they come.
class Joiner {
public:
    Joiner(std::string_view block, const JoinRules& rules, Pieces& out)
      : block_{block}
      , rules_{rules}
      , out_{out}
    {}

    void add(const Line& line)
    {
        if (lines_ > 0 && begins_another(line)) emit();
        if (lines_ == 0) open_.begin = line.begin;
        open_.end = line.end;
        open_.continues = line.continues;
        text_end_ = line.begin + line.text.size();
        ++lines_;
        if (!rules_.start || line.continues || lines_ >= rules_.max_lines) emit();
    }
    void emit()
    {
        if (lines_ == 0) return;
        open_.text = block_.substr(open_.begin, text_end_ - open_.begin);
        out_.used = open_.end;
        out_.pieces.push_back(open_);
        lines_ = 0;
    }
    [[nodiscard]] bool holds() const noexcept { return lines_ > 0; }

private:
    [[nodiscard]] bool begins_another(const Line& line) const
    {
        return line.end - open_.begin > rules_.max_line || rules_.start->matches(line.text);
    }

    std::string_view block_;
    const JoinRules& rules_;
    Pieces& out_;
    Piece open_;
    std::size_t text_end_ = 0;
    std::size_t lines_ = 0;
};

}  // namespace

LineStart::LineStart(std::unique_ptr<Pattern> pattern) : pattern_{std::move(pattern)} {}
LineStart::~LineStart() = default;

Result<std::shared_ptr<const LineStart>> LineStart::make(const std::string& pattern)
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(pattern_memory);
    options.set_encoding(RE2::Options::EncodingLatin1);  // lines are any bytes
    auto compiled = std::make_unique<Pattern>(pattern, options);
    if (!compiled->regex.ok())
        return fail(Errc::invalid_argument, fmt::format("\"{}\" is no regular expression of RE2: {}", pattern,
                                                        compiled->regex.error()));
    return std::shared_ptr<const LineStart>{new LineStart{std::move(compiled)}};
}

bool LineStart::matches(std::string_view line) const
{
    return RE2::PartialMatch(re2::StringPiece{line.data(), line.size()}, pattern_->regex);
}

Pieces cut(std::string_view block, const JoinRules& rules, bool whole)
{
    Pieces out;
    LineCutter lines{block, rules.max_line};
    Joiner joiner{block, rules, out};
    while (const auto line = lines.next()) {
        joiner.add(*line);
        if (out.pieces.size() >= rules.most_pieces) return out;
    }
    if (whole) {
        if (const auto last = lines.last()) joiner.add(*last);
        joiner.emit();
        return out;
    }
    if (lines.at() < block.size())
        out.rest = Pieces::Rest::partial;
    else if (joiner.holds())
        out.rest = Pieces::Rest::lines;
    return out;
}

}  // namespace opsd::pipeline
