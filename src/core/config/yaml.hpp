#pragma once
// The reader behind parse_yaml(), for its neighbours: environment variables and flags hold YAML too, but of
// any kind, not only maps.

#include "opsd/config.hpp"

#include <string>
#include <string_view>

namespace opsd::config::detail {

inline constexpr std::size_t max_levels = 64;
inline constexpr std::size_t max_bytes = 1 << 20;
inline constexpr std::size_t max_key_bytes =
    200;  // YAML's own limit for a key is 1,024 characters, escapes included
inline constexpr std::size_t max_keys = 10'000;  // of one map

/// One YAML document whose root is anything. Lines count from `where.line` (the line of the first byte); with
/// 0 every value gets `where` as it is.
std::expected<Value, Mistake> parse_document(std::string_view text, const Where& where);

/// May this text stand without quotes in every YAML context and still be this text? Covers every number,
/// word, duration and size; what it does not cover is a string for sure.
[[nodiscard]] bool plain(std::string_view text);

/// The text in double quotes, escaped, on one line.
[[nodiscard]] std::string quote(std::string_view text);

/// A key as it appears in a path: bare if it is plain.
[[nodiscard]] std::string path_key(std::string_view key);

/// "is empty", "is a list", "is a section", `is "auto"`: the first half of most mistakes.
[[nodiscard]] std::string is(const Value& value);

}  // namespace opsd::config::detail
