#pragma once
// What the routes answer, as JSON. Pure.

#include "modules/forward/lag.hpp"

#include <string>
#include <string_view>

namespace opsd::forward {

/// One word for people: paused, replaying, stopped, starting, running, waiting, kept, stopping; failed: no
/// file of a task can be read.
[[nodiscard]] std::string_view state_of(const OutputStatus& status);

/// Appends the object of one output.
void append_output(std::string& out, const OutputOptions& options, const OutputStatus& status,
                   const Lag& lag);

/// Dead letters, newest first, `limit` at most; all of them are counted. What they hold is shortened.
[[nodiscard]] std::string letters_json(const std::string& output, const pipeline::LetterList& list,
                                       std::size_t limit);

[[nodiscard]] std::string verdict_json(const std::string& output, const pipeline::Verdict& verdict);
[[nodiscard]] std::string resent_json(const std::string& output, const pipeline::Resent& resent);

/// Was the one record of a request accepted?
[[nodiscard]] bool is_accepted(const pipeline::Verdict& verdict);
/// Why it was not; "" when it was.
[[nodiscard]] std::string why_not(const pipeline::Verdict& verdict);

}  // namespace opsd::forward
