#include "source.hpp"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace opsd::tidy {
namespace {

/// Walks over a C++ text once and blanks what is no code.
class Blanker {
public:
    explicit Blanker(std::string text) : text_{std::move(text)} {}

    void run(std::set<std::size_t>& raw_lines)
    {
        while (at_ < text_.size()) {
            if (starts("//"))
                blank_to(text_.find('\n', at_));
            else if (starts("/*"))
                blank_to(after(text_.find("*/", at_ + 2), 2));
            else if (starts("R\"") && !word_before())
                raw(raw_lines);
            else if (text_[at_] == '"')
                literal('"');
            else if (text_[at_] == '\'' && !word_before())
                literal('\'');
            else
                ++at_;
        }
    }
    std::string take() { return std::move(text_); }

private:
    [[nodiscard]] bool starts(std::string_view what) const
    {
        return text_.compare(at_, what.size(), what) == 0;
    }
    [[nodiscard]] bool word_before() const
    {
        return at_ > 0
               && (std::isalnum(static_cast<unsigned char>(text_[at_ - 1])) != 0 || text_[at_ - 1] == '_');
    }
    [[nodiscard]] std::size_t after(std::size_t found, std::size_t size) const
    {
        return found == std::string::npos ? text_.size() : found + size;
    }

    void blank_to(std::size_t end)
    {
        for (end = std::min(end, text_.size()); at_ < end; ++at_) {
            if (text_[at_] != '\n') text_[at_] = ' ';
        }
    }

    /// A literal keeps its quotes.
    void literal(char quote)
    {
        auto end = at_ + 1;
        while (end < text_.size() && text_[end] != quote && text_[end] != '\n')
            end += text_[end] == '\\' ? 2 : 1;
        ++at_;
        blank_to(end);
        ++at_;
    }

    void raw(std::set<std::size_t>& lines)
    {
        const auto open = text_.find('(', at_);
        const auto delimiter = ")" + text_.substr(at_ + 2, open - at_ - 2) + "\"";
        const auto end = after(text_.find(delimiter, open), delimiter.size());
        const auto count = [this](std::size_t to) {
            return static_cast<std::size_t>(
                std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
        };
        for (auto line = count(at_); line <= count(end); ++line)
            lines.insert(line + 1);
        at_ += 2;
        blank_to(end - 1);
        ++at_;
    }

    std::string text_;
    std::size_t at_ = 0;
};

}  // namespace

Source::Source(std::string path_from_root, std::string content)
  : path{std::move(path_from_root)}
  , text{std::move(content)}
{
    Blanker blanker{text};
    blanker.run(raw_lines);
    code = blanker.take();
}

bool Source::in_any(const std::vector<std::string>& prefixes) const
{
    return std::ranges::any_of(prefixes, [this](const auto& prefix) { return in(prefix); });
}

std::size_t Source::line_of(std::size_t offset) const
{
    return 1
           + static_cast<std::size_t>(
               std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}

std::vector<Include> includes_of(const Source& source)
{
    std::vector<Include> all;
    for (auto at = source.code.find("#include"); at != std::string::npos;
         at = source.code.find("#include", at + 1)) {
        const auto open = source.text.find_first_of("<\"", at);
        if (open == std::string::npos) break;
        const bool quoted = source.text[open] == '"';
        const auto close = source.text.find(quoted ? '"' : '>', open + 1);
        if (close == std::string::npos) break;
        all.push_back({source.line_of(at), source.text.substr(open + 1, close - open - 1), quoted});
    }
    return all;
}

std::vector<Source> sources_below(const std::filesystem::path& root, const std::vector<std::string>& folders)
{
    std::vector<Source> all;
    for (const auto& folder : folders) {
        for (const auto& entry : std::filesystem::recursive_directory_iterator{root / folder}) {
            const auto extension = entry.path().extension();
            if (extension != ".cpp" && extension != ".hpp") continue;
            std::ostringstream text;
            text << std::ifstream{entry.path()}.rdbuf();
            all.emplace_back(std::filesystem::relative(entry.path(), root).string(), text.str());
        }
    }
    std::ranges::sort(all, {}, &Source::path);
    return all;
}

}  // namespace opsd::tidy
