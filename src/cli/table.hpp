#pragma once
// Columns for people: aligned, cut to the terminal, coloured by health unless NO_COLOR or not a terminal.

#include <string>
#include <string_view>
#include <vector>

namespace opsd::cli {

enum class Colour { none, green, red, yellow, dim, bold };

/// How to write for this output.
struct Style {
    bool colour = false;
    unsigned width = 0;  ///< columns of the terminal; 0: do not cut
};

/// What stdout is: colour on a terminal without NO_COLOR and with TERM other than "dumb"; width by
/// TIOCGWINSZ.
[[nodiscard]] Style stdout_style();

[[nodiscard]] std::string paint(const Style& style, Colour colour, std::string_view text);

/// Removes control characters (a unit's text must not drive the operator's terminal).
[[nodiscard]] std::string printable(std::string_view text);

class Table {
public:
    struct CellText {
        std::string text;
        Colour colour = Colour::none;
    };
    explicit Table(std::vector<std::string> header) : header_{std::move(header)} {}
    void row(std::vector<CellText> cells) { rows_.push_back(std::move(cells)); }
    /// Header in upper case, two spaces between columns; the last column is cut to the width.
    [[nodiscard]] std::string render(const Style& style) const;
    [[nodiscard]] std::size_t size() const noexcept { return rows_.size(); }

private:
    std::vector<std::string> header_;
    std::vector<std::vector<CellText>> rows_;
};

}  // namespace opsd::cli
