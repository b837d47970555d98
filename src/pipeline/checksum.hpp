#pragma once
// Tells a whole file from a torn one. Not against forgers: FNV-1a, 64 bits.

#include <cstdint>
#include <string_view>

namespace opsd::pipeline {

[[nodiscard]] constexpr std::uint64_t checksum(std::string_view bytes) noexcept
{
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : bytes) {
        hash ^= static_cast<unsigned char>(c);
        hash *= 0x100000001b3;
    }
    return hash;
}

}  // namespace opsd::pipeline
