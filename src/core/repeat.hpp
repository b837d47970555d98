#pragma once
// Repeated log lines, folded: a loop that fails a thousand times a second must not fill the journal.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace opsd {

/// Decides line by line; has no clock of its own.
class RepeatFilter {
public:
    using Time = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds window{10};

    struct Decision {
        bool write = true;
        std::uint64_t folded = 0;  ///< so many lines equal to the one before were kept back: say so first
    };

    Decision next(std::string_view line, Time now)
    {
        if (seen_ && line == line_ && now - written_ < window) {
            ++folded_;
            return {false, 0};
        }
        seen_ = true;
        line_ = line;
        written_ = now;
        return {true, std::exchange(folded_, 0)};
    }

private:
    bool seen_ = false;
    std::string line_;
    Time written_{};
    std::uint64_t folded_ = 0;
};

}  // namespace opsd
