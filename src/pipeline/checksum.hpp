#pragma once
// Tells a whole file from a torn one, and bytes from other bytes. Not against forgers: FNV-1a, 64 bits, and
// CRC-32 as in gzip.

#include <array>
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

namespace detail {

constexpr std::array<std::uint32_t, 256> crc_table() noexcept
{
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
        auto crc = byte;
        for (int bit = 0; bit < 8; ++bit)
            crc = (crc >> 1U) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
        table[byte] = crc;
    }
    return table;
}

inline constexpr auto crc_of_byte = crc_table();

}  // namespace detail

[[nodiscard]] constexpr std::uint32_t crc32(std::string_view bytes) noexcept
{
    std::uint32_t crc = 0xffffffff;
    for (const char c : bytes)
        crc = (crc >> 8U) ^ detail::crc_of_byte[(crc ^ static_cast<unsigned char>(c)) & 0xffU];
    return ~crc;
}

}  // namespace opsd::pipeline
