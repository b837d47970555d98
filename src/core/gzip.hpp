#pragma once
// gzip, and its checksum.

#include "opsd/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd {

/// For what is packed once and read often, and for what is packed while somebody waits for it.
inline constexpr int gzip_thorough = 6;
inline constexpr int gzip_fast = 1;

/// The bytes compressed; "" when that cannot be done, which the caller treats as "not worth it".
[[nodiscard]] std::string gzip(std::string_view plain, int level = gzip_thorough);

/// The bytes of a gzip file, at most `limit` of them: more is invalid_argument, what is no gzip is protocol.
[[nodiscard]] Result<std::string> gunzip(std::string_view packed, std::size_t limit);

/// CRC-32, which tells bytes from other bytes. Not against forgers.
[[nodiscard]] std::uint32_t crc32(std::string_view bytes) noexcept;

}  // namespace opsd
