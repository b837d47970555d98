#pragma once
// What the far side said of a request, in the words that a delivery acts on. Pure.

#include "opsd/clock.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pipeline {

/// What became of one record.
enum class Fate : std::uint8_t {
    accepted,  ///< the far side has it, also when it had it already
    retry,     ///< not now
    refused,   ///< never: it goes to the dead letters
    suspect,   ///< refused together with others, one of which is to blame: asked about in halves
};

struct Verdict {
    enum class Kind {
        accepted,   ///< all of it
        records,    ///< each record has a fate of its own
        retry,      ///< none of it, for now: busy, out of reach, no answer, an answer that cannot be read
        too_large,  ///< none of it; less at a time may pass
        refused,    ///< none of it, because of a record in it that nobody named
        keep,       ///< none of it, until somebody changes something: credentials, address, index
    };
    Kind kind = Kind::retry;
    std::vector<Fate> fates;                         ///< of Kind::records, one for each record
    std::map<std::size_t, std::string> reasons;      ///< of refused records, by their place
    std::string reason;                              ///< of all other trouble, a sentence's end: "it is busy"
    std::optional<std::chrono::milliseconds> after;  ///< the far side asks not to be asked before
    bool alert = false;                              ///< of Kind::records: some fail as with Kind::keep
    std::string answer = {};                         ///< what the far side said, shortened, for people
};

[[nodiscard]] Verdict accepted();
[[nodiscard]] Verdict retry(std::string reason, std::optional<std::chrono::milliseconds> after = {});
[[nodiscard]] Verdict too_large(std::string reason);
[[nodiscard]] Verdict refused(std::string reason);
[[nodiscard]] Verdict keep(std::string reason);

/// What a status means for the whole request: 408, 425, 429 and 5xx try again; 413 is too large; 401, 403,
/// 404, 405, 407 and redirects are about who we are and what we ask, not about a record: keep; any other 4xx
/// is about a record. 2xx is Kind::accepted.
[[nodiscard]] Verdict verdict_of_status(int status, std::string_view reply,
                                        std::optional<std::chrono::milliseconds> after);

/// Reads Retry-After: seconds, or a date of HTTP. Nothing for anything else; at most 10 min, whatever it
/// says.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value,
                                                                         WallTime now);

/// The beginning of a far side's text, fit for a sentence: one line, printable, at most 300 bytes.
[[nodiscard]] std::string excerpt(std::string_view text);

}  // namespace opsd::pipeline
