#pragma once
// The request target: decoded once, and refused where decoding could hide something.

#include "http/head.hpp"

namespace opsd::http {

struct Target {
    std::string path;  ///< decoded; begins with "/", no empty, "." or ".." segment
    Params query;
};

/// Refused with 400: "." and ".." and empty segments (also encoded), %2F, control characters, bad escapes,
/// what is not UTF-8, fragments, and an absolute form whose authority is not the Host. A trailing slash
/// stays.
std::expected<Target, Refusal> parse_target(const Head& head);

}  // namespace opsd::http
