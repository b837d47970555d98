#pragma once
// An answer that is read piece by piece, for the client that opens it.

#include "io/net/exchange_parts.hpp"
#include "io/net/incoming.hpp"
#include "io/net/transport.hpp"

#include <optional>

namespace opsd::net {

/// The answer on its connection.
class OpenedAnswer final : public Incoming {
public:
    /// `idle`: 0 for as long as the connection lives.
    OpenedAnswer(std::unique_ptr<Transport> transport, std::chrono::milliseconds idle, std::size_t max_body)
      : transport_{std::move(transport)}
      , idle_{idle}
      , max_body_{max_body}
    {}

    /// Sends the request and reads until the head of its answer is there.
    Task<Result<>> begin(const ClientRequest& request, const Url& url, Deadline deadline);
    Task<Result<std::string>> next() override;

private:
    Task<Result<>> receive();
    Result<> feed();

    std::unique_ptr<Transport> transport_;
    std::chrono::milliseconds idle_;
    std::size_t max_body_;
    std::optional<AnswerParser> parser_;
    std::string pending_;      // came, not yet parsed
    std::uint64_t taken_ = 0;  // bytes of the body
};

}  // namespace opsd::net
