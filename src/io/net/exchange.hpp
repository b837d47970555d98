#pragma once
// One request and its answer on one transport.

#include "io/net/client.hpp"
#include "io/net/transport.hpp"
#include "io/net/url.hpp"

#include <optional>

namespace opsd::net {

/// Errc::invalid_argument for a method or header that would not be one, and headers that belong to the
/// client.
Result<> check_request(const ClientRequest& request);

struct Exchange {
    const ClientRequest& request;
    const Url& url;
    Deadline deadline;                  ///< of everything, or up to the head when streaming
    std::chrono::milliseconds idle{0};  ///< streaming: the longest silence
    HttpClient::OnChunk on_chunk = {};  ///< set: bodies of 2xx answers go there

    // what came of it
    ClientResponse response = {};
    bool reusable = false;  ///< the connection can serve another request
    bool answered = false;  ///< at least one byte came back

    /// Runs it.
    Task<Result<>> run(Transport& transport);

private:
    Task<Result<>> receive(Transport& transport);
    template <class Parser>
    Task<Result<>> receive_one(Transport& transport, Parser& parser, std::string& pending);
    template <class Parser>
    bool deliver(Parser& parser);
};

}  // namespace opsd::net
