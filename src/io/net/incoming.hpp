#pragma once
// An answer that is read as fast as it is used: its head first, then its body piece by piece. For answers
// that are passed on, and for those that end only when somebody has enough (logs that are followed).

#include "io/net/client.hpp"
#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::net {

/// The head is here, the body is coming.
class Incoming {
public:
    virtual ~Incoming() = default;
    /// The next piece of the body; nothing at its end. Errors: unavailable (it was torn), timeout, protocol.
    virtual Task<Result<std::string>> next() = 0;

    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
    unsigned status = 0;
    std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case
};

class Connector;

/// Asks each question on a connection of its own, which ends with the answer. Loop thread only.
/// Errors: as HttpClient's.
class StreamClient {
public:
    /// `dead_after`: see ConnectionOptions.
    explicit StreamClient(TlsClientOptions tls = {}, std::chrono::milliseconds dead_after = {});

    /// Returns with the head. The request's timeout is for all up to it; max_body and max_redirects are not
    /// looked at. `idle`: the longest silence of the body; 0: as long as the connection lives.
    Task<Result<std::unique_ptr<Incoming>>> open(ClientRequest request, std::chrono::milliseconds idle);

private:
    std::shared_ptr<Connector> connector_;
};

}  // namespace opsd::net
