#pragma once
// A pattern in messages. RE2: its time is linear in the text whatever the pattern, so that nobody's pattern
// holds a reader.

#include "opsd/result.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace opsd::logs {

class Grep {
public:
    static constexpr std::size_t longest = 1'000;  // of a pattern; what it is compiled to takes memory

    /// Errc::invalid_argument, with the reason.
    [[nodiscard]] static Result<std::shared_ptr<const Grep>> compile(std::string_view pattern);
    ~Grep();
    Grep(const Grep&) = delete;
    Grep& operator=(const Grep&) = delete;

    /// Anywhere in the text. Any thread.
    [[nodiscard]] bool matches(std::string_view text) const;
    [[nodiscard]] const std::string& pattern() const noexcept { return pattern_; }

private:
    struct Compiled;
    Grep(std::string pattern, std::unique_ptr<Compiled> compiled);

    std::string pattern_;
    std::unique_ptr<Compiled> compiled_;
};

}  // namespace opsd::logs
