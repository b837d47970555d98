#pragma once
// Passes on what Mesos or Marathon answers: small answers whole, large ones as they are read. A slow client
// holds one block here and the peer up, never memory. What breaks off is torn, never ended as if it were
// whole.

#include "io/net/incoming.hpp"
#include "modules/dcos/core.hpp"
#include "opsd/http.hpp"

#include <memory>
#include <string>

namespace opsd::dcos {

struct RelayedAnswer {
    std::unique_ptr<net::Incoming> incoming;
    Core::Place place;        ///< held until the last byte
    std::string who;          ///< "Mesos", "the Mesos agent", "Marathon": for sentences
    bool redact = false;      ///< take user and password out of addresses
    bool for_caller = false;  ///< it saw the caller's credentials: its 401 and 403 are for him
};

Task<http::Response> relay(std::shared_ptr<Core> core, RelayedAnswer answer);

/// The answer of ours to a question that got none; counted.
[[nodiscard]] http::Response unanswered(Core& core, const Error& error);

}  // namespace opsd::dcos
