#pragma once
// Which calls of the Mesos operator API only read. Pure. What a body asks for must be plain: one that could
// mean something else to Mesos is refused.

#include "opsd/result.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace opsd::dcos {

enum class CallForm { json, protobuf };

/// By the Content-Type; nothing for one that the operator API does not take.
[[nodiscard]] std::optional<CallForm> call_form(std::string_view content_type) noexcept;

/// The name of the call, "GET_AGENTS". Errc::invalid_argument: it cannot be read, or says twice what it is;
/// denied: it does more than read, or shows secrets.
Result<std::string> reading_call(CallForm form, std::string_view body);

}  // namespace opsd::dcos
