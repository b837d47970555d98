#pragma once
// The insides of Incoming, for the client that makes it.

#include "io/net/exchange_parts.hpp"
#include "io/net/incoming.hpp"
#include "io/net/transport.hpp"

#include <optional>

namespace opsd::net {

struct Incoming::Impl {
    Impl(std::unique_ptr<Transport> connection, std::chrono::milliseconds longest_silence, std::size_t most)
      : transport{std::move(connection)}
      , idle{longest_silence}
      , max_body{most}
    {}

    /// Sends the request and reads until the head of its answer is there.
    Task<Result<>> begin(const ClientRequest& request, const Url& url, Deadline deadline);
    Task<Result<std::string>> read();

    std::unique_ptr<Transport> transport;
    std::chrono::milliseconds idle;
    std::size_t max_body;
    ClientResponse head = {};
    std::optional<AnswerParser> parser = {};
    std::string pending = {};  // came, not yet parsed
    std::uint64_t taken = 0;   // bytes of the body

private:
    Task<Result<>> receive();
    Result<> feed();
};

}  // namespace opsd::net
