#include "pipeline/letter_lines.hpp"

#include "io/files/files.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <vector>

namespace opsd::pipeline {
namespace {

constexpr std::size_t piece_bytes = 256 * 1024;

}  // namespace

Result<> each_line(const std::string& path, std::size_t longest,
                   const std::function<void(std::string_view line)>& take)
{
    errno = 0;
    std::ifstream file{path, std::ios::binary};
    if (!file && errno == ENOENT) return {};
    if (!file) return fail(files::system_error("read", path, errno));
    std::vector<char> piece(piece_bytes);
    std::string line;
    const auto end_line = [&] {
        if (!line.empty()) take(line);
        line.clear();
    };
    while (file) {
        errno = 0;
        file.read(piece.data(), static_cast<std::streamsize>(piece.size()));
        std::string_view rest{piece.data(), static_cast<std::size_t>(file.gcount())};
        if (file.bad()) return fail(files::system_error("read", path, errno != 0 ? errno : EIO));
        while (!rest.empty()) {
            const auto end = std::min(rest.find('\n'), rest.size());
            line.append(rest.substr(0, std::min(end, longest - std::min(longest, line.size()))));
            if (end < rest.size()) end_line();
            rest.remove_prefix(std::min(end + 1, rest.size()));
        }
    }
    end_line();
    return {};
}

}  // namespace opsd::pipeline
