#include "modules/logs/sandbox_text.hpp"

#include "core/json_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace opsd::logs {
namespace {

// A byte becomes six at most: \u00XX.
constexpr std::size_t worst_growth = 6;

/// Where a text may be cut at or before `wanted` without tearing a UTF-8 character; at least 1.
std::size_t cut_at(std::string_view text, std::size_t wanted)
{
    auto cut = std::min(wanted, text.size());
    for (int back = 0; back < 3 && cut > 1 && cut < text.size(); ++back, --cut) {
        if ((static_cast<unsigned char>(text[cut]) & 0xc0U) != 0x80) break;
    }
    return std::max<std::size_t>(cut, 1);
}

/// How much of a text fits into `room` bytes of JSON.
std::size_t fitting(std::string_view text, std::size_t room)
{
    auto length = std::min(text.size(), room);
    while (length * worst_growth + 2 > room && length > 1) {
        std::string quoted;
        append_quoted(quoted, text.substr(0, length));
        if (quoted.size() <= room) break;
        length = std::min(length - 1, length * room / quoted.size());
    }
    return cut_at(text, length);
}

void append_one(std::string& out, std::uint64_t after, std::string_view message, const SandboxLabels& labels,
                WallTime read_at)
{
    fmt::format_to(std::back_inserter(out), "id: {}\ndata: ", after);
    JsonText json{out};
    json.open('{').key("fields").open('{');
    json.text("AGENT_ID", labels.agent_id).text("CONTAINER_ID", labels.container_id);
    json.text("EXECUTOR_ID", labels.executor_id).text("FILE", labels.file);
    json.text("FRAMEWORK_ID", labels.framework_id).text("MESSAGE", message).close('}');
    json.number("realtime_timestamp", read_at.time_since_epoch().count()).close('}');
    out += "\n\n";
}

}  // namespace

void append_text(std::string& out, const Piece& piece)
{
    out += piece.text;
    if (!piece.continues) out += '\n';
}

void append_event(std::string& out, const Piece& piece, const SandboxLabels& labels, WallTime read_at,
                  std::size_t most)
{
    if (piece.text.empty()) return;
    std::string frame;
    append_one(frame, piece.after, goes_on, labels, read_at);
    const auto room = std::max(most, least_event) - std::min(frame.size(), least_event - 64);
    auto text = piece.text;
    auto at = piece.offset;
    while (!text.empty()) {
        const auto part = text.substr(0, fitting(text, room));
        text.remove_prefix(part.size());
        at += part.size();
        if (text.empty() && !piece.continues) {
            append_one(out, piece.after, part, labels, read_at);
        } else {
            append_one(out, at, std::string{part}.append(goes_on), labels, read_at);
        }
    }
}

void append_rotated(std::string& out, const SandboxLabels& labels, WallTime read_at)
{
    out += "event: rotated\n";
    append_one(out, 0, "[the file was cut or exchanged; from its beginning:]", labels, read_at);
}

std::string comment(std::string_view sentence)
{
    std::string text = ": ";
    std::ranges::replace_copy_if(
        sentence, std::back_inserter(text), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return text + "\n\n";
}

}  // namespace opsd::logs
