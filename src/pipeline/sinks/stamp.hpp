#pragma once
// Times as text, for one entry after another: most share their second with the one before. Not shared by
// threads.

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace opsd::pipeline {

class Stamp {
public:
    /// Appends "2026-11-22T17:39:05.123456Z"; `time` in microseconds since the epoch, before it: the epoch.
    void append(std::string& out, std::int64_t time);
    /// "2026-11-22" of the same.
    [[nodiscard]] std::string_view day(std::int64_t time);

private:
    void set(std::int64_t second);

    std::int64_t second_ = std::numeric_limits<std::int64_t>::min();
    std::string text_;  ///< "2026-11-22T17:39:05"
};

/// Appends so many digits of a number, zeros in front.
void append_digits(std::string& out, std::uint64_t number, std::size_t digits);

}  // namespace opsd::pipeline
