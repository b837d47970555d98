#include "modules/health/explain/clues.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace opsd::health::explain {
namespace {

struct Phrase {
    std::string_view text;  ///< in lower case
    std::string_view kind;
};

constexpr auto phrases = std::to_array<Phrase>({
    {"error while loading shared libraries", "library-missing"},
    {"address already in use", "port-in-use"},
    {"eaddrinuse", "port-in-use"},
    {"port is already allocated", "port-in-use"},
    {"no space left on device", "disk-full"},
    {"enospc", "disk-full"},
    {"disk quota exceeded", "disk-full"},
    {"read-only file system", "read-only"},
    {"too many open files", "too-many-files"},
    {"permission denied", "permission-denied"},
    {"operation not permitted", "permission-denied"},
    {"eacces", "permission-denied"},
    {"no such file or directory", "file-missing"},
    {"enoent", "file-missing"},
    {"filenotfounderror", "file-missing"},
    {"certificate has expired", "certificate-expired"},
    {"connection refused", "peer-unreachable"},
    {"no route to host", "peer-unreachable"},
    {"network is unreachable", "peer-unreachable"},
    {"name or service not known", "peer-unreachable"},
    {"temporary failure in name resolution", "peer-unreachable"},
    {"cannot allocate memory", "no-memory"},
    {"outofmemoryerror", "no-memory"},
    {"std::bad_alloc", "no-memory"},
});

constexpr std::size_t most_lines = 30;  // from the end: what was said long before is not the reason
constexpr std::size_t longest_path = 1024;

std::string lower(std::string_view text)
{
    std::string out{text};
    std::ranges::transform(out, out.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

bool digit(char c) { return c >= '0' && c <= '9'; }

/// Does a path begin at this slash?
bool begins_path(std::string_view message, std::size_t at)
{
    if (at + 1 >= message.size() || message[at + 1] == '/' || message[at + 1] == ' ') return false;
    return at == 0 || std::string_view{" \t\"'`(=[<:,"}.contains(message[at - 1]);
}

std::string path_at(std::string_view message, std::size_t at)
{
    const auto end = std::min(message.find_first_of(" \t\n\"'`()<>,;:|", at), message.size());
    auto path = message.substr(at, std::min(end - at, longest_path));
    while (path.size() > 1 && std::string_view{".]!?/"}.contains(path.back()))
        path.remove_suffix(1);
    return path.size() > 1 ? std::string{path} : std::string{};
}

}  // namespace

std::string path_near(std::string_view message, std::size_t phrase)
{
    for (std::size_t at = std::min(phrase, message.size()); at-- > 0;) {
        if (message[at] == '/' && begins_path(message, at)) return path_at(message, at);
    }
    for (std::size_t at = phrase; at < message.size(); ++at) {
        if (message[at] == '/' && begins_path(message, at)) return path_at(message, at);
    }
    return {};
}

std::string address_in(std::string_view message)
{
    for (auto at = message.find(':'); at != std::string_view::npos; at = message.find(':', at + 1)) {
        std::size_t end = at + 1;
        while (end < message.size() && digit(message[end]))
            ++end;
        const auto length = end - at - 1;
        const bool goes_on = end < message.size() && message[end] == ':' && end + 1 < message.size()
                             && digit(message[end + 1]);
        if (length < 2 || length > 5 || message[at + 1] == '0' || goes_on) continue;
        std::size_t begin = at;
        if (begin > 0 && message[begin - 1] == ']') {
            begin = message.rfind('[', at);
            if (begin == std::string_view::npos) continue;
        } else {
            while (begin > 0
                   && (std::isalnum(static_cast<unsigned char>(message[begin - 1])) != 0
                       || std::string_view{".-*"}.contains(message[begin - 1])))
                --begin;
            if (begin > 0 && message[begin - 1] == ':') continue;  // a time, or an address without brackets
        }
        return std::string{message.substr(begin, end - begin)};
    }
    const auto words = lower(message);
    const auto port = words.find("port ");
    if (port == std::string::npos) return {};
    const auto begin = words.find_first_not_of(" =:", port + 4);
    if (begin == std::string::npos || !digit(words[begin])) return {};
    const auto end = std::min(words.find_first_not_of("0123456789", begin), words.size());
    return end - begin <= 5 ? words.substr(begin, end - begin) : std::string{};
}

std::string_view port_of(std::string_view address)
{
    const auto colon = address.rfind(':');
    return colon == std::string_view::npos ? address : address.substr(colon + 1);
}

std::optional<Clue> last_clue(const Lines& journal, WallTime began)
{
    std::size_t looked_at = 0;
    for (auto line = journal.rbegin(); line != journal.rend() && line->at >= began; ++line) {
        if (++looked_at > most_lines) break;
        const auto message = lower(line->message);
        for (const auto& phrase : phrases) {
            const auto at = message.find(phrase.text);
            if (at == std::string::npos) continue;
            Clue clue{
                .kind = phrase.kind, .line = &*line, .path = path_near(line->message, at), .address = {}};
            if (phrase.kind == "port-in-use") clue.address = address_in(line->message);
            return clue;
        }
    }
    return std::nullopt;
}

const systemd::JournalLine* last_line_with(const Lines& journal, WallTime began, std::string_view text)
{
    for (auto line = journal.rbegin(); line != journal.rend() && line->at >= began; ++line) {
        if (line->message.contains(text)) return &*line;
    }
    return nullptr;
}

}  // namespace opsd::health::explain
