#pragma once
// The error of an answer whose body is larger than ClientRequest::max_body: for callers who can ask for less.

#include "opsd/result.hpp"

#include <cstddef>

namespace opsd::net {

/// Errc::protocol: for most callers it is just an answer that cannot be read.
[[nodiscard]] Error answer_too_large(std::size_t max_body);
/// Is it that error?
[[nodiscard]] bool is_answer_too_large(const Error& error) noexcept;

}  // namespace opsd::net
