#pragma once
// What an operator sends to acknowledge planned work: {"for": "2h", "reason": "new disk"}.

#include "opsd/config.hpp"
#include "opsd/model.hpp"

#include <string>
#include <string_view>

namespace opsd {

struct AckRequest {
    config::Duration time{};  ///< 1 min to 30 days
    std::string reason;       ///< 1 to 500 characters

    /// As it is in force from `now` on, given by `by` ("" is "anonymous").
    [[nodiscard]] Acknowledgement begin(const std::string& by, WallTime now) const;
};

/// Errc::invalid_argument with what is wrong and an example; unknown members are refused.
[[nodiscard]] Result<AckRequest> read_ack_request(std::string_view body);

}  // namespace opsd
