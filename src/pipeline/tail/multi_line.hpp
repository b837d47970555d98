#pragma once
// Records in a block of a file: each line by itself, or the lines of a stack trace as one. Pure; nothing is
// held: what is not a record yet stays in the file and is read again.

#include "opsd/result.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pipeline {

/// Tells the line that begins a record.
class LineStart {
public:
    /// A regular expression (RE2). Errc::invalid_argument.
    [[nodiscard]] static Result<std::shared_ptr<const LineStart>> make(const std::string& pattern);
    LineStart(const LineStart&) = delete;
    LineStart& operator=(const LineStart&) = delete;
    ~LineStart();

    [[nodiscard]] bool matches(std::string_view line) const;

private:
    struct Pattern;
    explicit LineStart(std::unique_ptr<Pattern> pattern);
    std::unique_ptr<Pattern> pattern_;
};

struct JoinRules {
    std::size_t max_line = std::size_t{256} * 1024;  ///< bytes of a line, and of a record of several
    std::size_t max_lines = 500;                     ///< of a record
    std::shared_ptr<const LineStart> start;          ///< null: each line is a record
    std::size_t most_pieces = 1'000;                 ///< at a time: an empty line takes one byte of a block
};

/// One record, where it is in the block.
struct Piece {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string_view text;
    bool continues = false;  ///< cut, because it is too long
};

struct Pieces {
    enum class Rest {
        nothing,
        lines,    ///< whole lines that more may follow
        partial,  ///< a line without its end
    };
    std::vector<Piece> pieces;
    std::size_t used = 0;  ///< bytes of the block that are in them
    Rest rest = Rest::nothing;
};

/// `whole`: nothing follows the block, or is not waited for. A block of block_for() bytes has at least one.
[[nodiscard]] Pieces cut(std::string_view block, const JoinRules& rules, bool whole);
[[nodiscard]] constexpr std::size_t block_for(const JoinRules& rules) noexcept
{
    return 2 * rules.max_line + 2;
}

}  // namespace opsd::pipeline
