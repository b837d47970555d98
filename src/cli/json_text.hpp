#pragma once
// Reading the API's JSON for people: what is missing or of another type is empty, never an exception.

#include "cli/table.hpp"

#include <fmt/core.h>
#include <nlohmann/json_fwd.hpp>

#include <cstdint>
#include <string>

namespace opsd::cli {

/// A text field without control characters; "" when absent.
[[nodiscard]] std::string text(const nlohmann::json& object, const char* key);

/// An integer field; 0 when absent.
[[nodiscard]] std::int64_t number(const nlohmann::json& object, const char* key);

/// A body for a request; invalid UTF-8 from the command line becomes U+FFFD.
[[nodiscard]] std::string body_of(const nlohmann::json& document);

/// -o json: indented, to stdout.
void print_json(const nlohmann::json& document);

}  // namespace opsd::cli
