#include "pipeline/tail/line_cutter.hpp"

namespace opsd::pipeline {

std::optional<Line> LineCutter::next()
{
    // One byte more than a line may have: a line of exactly that length ends with its newline.
    const auto window = block_.substr(at_, most_ + 1);
    const auto newline = window.find('\n');
    Line line;
    line.begin = at_;
    if (newline != std::string_view::npos) {
        line.end = at_ + newline + 1;
        line.text = window.substr(0, newline);
        if (line.text.ends_with('\r')) line.text.remove_suffix(1);
    } else if (window.size() > most_) {
        line.end = boundary(at_ + most_);
        line.text = block_.substr(at_, line.end - at_);
        line.continues = true;
    } else {
        return std::nullopt;
    }
    at_ = line.end;
    return line;
}

std::optional<Line> LineCutter::last()
{
    if (at_ >= block_.size()) return std::nullopt;
    Line line{at_, block_.size(), block_.substr(at_), false};
    at_ = block_.size();
    return line;
}

/// The place itself, or the beginning of the character that it is inside of.
std::size_t LineCutter::boundary(std::size_t at) const noexcept
{
    constexpr std::size_t longest_character = 4;
    for (std::size_t back = 0; back < longest_character && at - back > at_; ++back) {
        const auto byte = static_cast<unsigned char>(block_[at - back]);
        if ((byte & 0xc0U) != 0x80U) return at - back;
    }
    return at;  // it is no UTF-8
}

}  // namespace opsd::pipeline
