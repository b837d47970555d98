#include "http/auth_limit.hpp"

#include <arpa/inet.h>

#include <algorithm>

namespace opsd::http {

bool FailureLimiter::blocked(const std::string& key, Monotonic now) const
{
    const auto found = by_key_.find(key);
    if (found == by_key_.end()) return false;
    const auto& entry = *found->second;
    return entry.count == max_failures && now - entry.times[entry.next] < window;
}

void FailureLimiter::failed(const std::string& key, Monotonic now)
{
    auto found = by_key_.find(key);
    if (found == by_key_.end()) {
        if (by_key_.size() >= max_keys) {
            by_key_.erase(recent_.back().key);
            recent_.pop_back();
        }
        recent_.push_front({key});
        found = by_key_.emplace(key, recent_.begin()).first;
    }
    recent_.splice(recent_.begin(), recent_, found->second);
    auto& entry = *found->second;
    entry.times[entry.next] = now;
    entry.next = (entry.next + 1) % max_failures;
    entry.count = std::min(entry.count + 1, max_failures);
}

std::string FailureLimiter::key_of(const std::string& address)
{
    in6_addr parsed{};
    if (::inet_pton(AF_INET6, address.c_str(), &parsed) != 1 || IN6_IS_ADDR_V4MAPPED(&parsed)) return address;
    std::fill(std::begin(parsed.s6_addr) + 8, std::end(parsed.s6_addr), std::uint8_t{0});
    char text[INET6_ADDRSTRLEN];
    return ::inet_ntop(AF_INET6, &parsed, text, sizeof text) == nullptr ? address : std::string{text} + "/64";
}

}  // namespace opsd::http
