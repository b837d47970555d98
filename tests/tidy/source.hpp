#pragma once
// A source file as the tidy rules see it: with and without comments and literals, line by line.

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace opsd::tidy {

/// A broken rule.
struct Finding {
    std::size_t line = 0;
    std::string text;
};
using Findings = std::vector<Finding>;

/// One file. `code` has comments and the insides of literals blanked, offsets and line breaks kept.
struct Source {
    std::string path;  ///< from the root of the tree, "src/core/clock.cpp"
    std::string text;
    std::string code;
    std::set<std::size_t> raw_lines;  ///< lines that a raw string literal touches

    Source(std::string path_from_root, std::string content);
    [[nodiscard]] bool header() const { return path.ends_with(".hpp"); }
    /// Is it in this folder ("src/http/"), or this very file?
    [[nodiscard]] bool in(std::string_view prefix) const { return path.starts_with(prefix); }
    [[nodiscard]] bool in_any(const std::vector<std::string>& prefixes) const;
    [[nodiscard]] std::size_t line_of(std::size_t offset) const;
};

/// One #include of a file.
struct Include {
    std::size_t line = 0;
    std::string name;
    bool quoted = false;  ///< "..." rather than <...>
};
std::vector<Include> includes_of(const Source& source);

/// All .cpp and .hpp files below these folders of the tree.
std::vector<Source> sources_below(const std::filesystem::path& root, const std::vector<std::string>& folders);

}  // namespace opsd::tidy
