#pragma once
// Lines in a block of a file that somebody may still be writing. Pure: the same bytes from the same place on
// are the same lines, whenever they are read.

#include <cstddef>
#include <optional>
#include <string_view>

namespace opsd::pipeline {

/// One line, where it is in the block.
struct Line {
    std::size_t begin = 0;
    std::size_t end = 0;     ///< after its newline
    std::string_view text;   ///< without newline, and without the carriage return before it
    bool continues = false;  ///< longer than a line may be: its rest is the next one
};

class LineCutter {
public:
    /// `most`: bytes of a line; what is longer is cut, between characters of UTF-8.
    LineCutter(std::string_view block, std::size_t most) : block_{block}, most_{most} {}

    /// The next line that is whole or too long; nothing: only a part of one is left, or nothing.
    [[nodiscard]] std::optional<Line> next();
    /// What is left, as a line without a newline; nothing when nothing is.
    [[nodiscard]] std::optional<Line> last();
    /// Where what is left begins.
    [[nodiscard]] std::size_t at() const noexcept { return at_; }

private:
    [[nodiscard]] std::size_t boundary(std::size_t at) const noexcept;

    std::string_view block_;
    std::size_t most_;
    std::size_t at_ = 0;
};

}  // namespace opsd::pipeline
