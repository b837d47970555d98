#pragma once
// How the lines of a task's file are written: as text, or as server-sent events. Pure.

#include "modules/logs/sandbox_lines.hpp"
#include "opsd/clock.hpp"

#include <string>
#include <string_view>

namespace opsd::logs {

/// Whose file it is.
struct SandboxLabels {
    std::string agent_id;
    std::string container_id;
    std::string executor_id;
    std::string file;
    std::string framework_id;
};

/// The dcos CLI ends at, or asks for ever again for, an event of 64 KiB.
constexpr std::size_t most_event = 64'000;
/// Leaves room for the labels at their longest.
constexpr std::size_t least_event = 16'384;

/// Ends the MESSAGE of an event whose line goes on in the next one.
constexpr std::string_view goes_on = " [the line goes on in the next event]";

/// The piece, and a newline where its line ends: pieces of a long line become one line again.
void append_text(std::string& out, const Piece& piece);

/// `id: OFFSET\ndata: {"fields": {..., "MESSAGE": LINE}, "realtime_timestamp": READ_AT}\n\n`. OFFSET is where
/// a reader that has this event goes on. A piece that makes a longer event than `most` becomes several:
/// nothing is left out. The empty end of a line makes none.
void append_event(std::string& out, const Piece& piece, const SandboxLabels& labels, WallTime read_at,
                  std::size_t most = most_event);

/// `event: rotated`, also as a line in brackets for readers that know only lines: the file was cut or is
/// another one, and is read from its beginning. Its id is 0, so that who comes again gets that too.
void append_rotated(std::string& out, const SandboxLabels& labels, WallTime read_at);

/// A comment, for the eyes of those who look at the stream itself.
[[nodiscard]] std::string comment(std::string_view sentence);

}  // namespace opsd::logs
