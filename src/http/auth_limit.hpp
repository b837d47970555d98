#pragma once
// Who failed too often lately. Pure: time is an argument.

#include "opsd/clock.hpp"

#include <array>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace opsd::http {

/// Counts failures per key over a sliding window. Bounded: beyond `max_keys` the key that failed longest ago
/// goes.
class FailureLimiter {
public:
    static constexpr std::size_t max_keys = 1000;
    static constexpr std::size_t max_failures = 10;
    static constexpr Monotonic window = std::chrono::seconds{10};

    /// Were there max_failures within the window?
    [[nodiscard]] bool blocked(const std::string& key, Monotonic now) const;
    void failed(const std::string& key, Monotonic now);
    [[nodiscard]] std::size_t size() const noexcept { return by_key_.size(); }

    /// The key of an address: itself, but an IPv6 address counts by its /64, of which one host has all.
    [[nodiscard]] static std::string key_of(const std::string& address);

private:
    struct Entry {
        std::string key;
        std::array<Monotonic, max_failures> times{};  ///< a ring; the slot at `next` is the oldest
        std::size_t next = 0;
        std::size_t count = 0;
    };
    std::list<Entry> recent_;  ///< last failure first
    std::unordered_map<std::string, std::list<Entry>::iterator> by_key_;
};

}  // namespace opsd::http
