#pragma once
// From a handler's Response to the bytes of an answer: conditional requests, gzip, ?pretty, the header block.

#include "opsd/http.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::http {

/// "Sun, 22 Nov 2026 15:26:27 GMT".
[[nodiscard]] std::string http_date(WallTime time);
/// That form only; anything else is no date.
[[nodiscard]] std::optional<WallTime> parse_http_date(std::string_view text);

/// Whether the client takes gzip at least as gladly as plain bytes (q values, "*").
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

/// Whether If-None-Match names this version: weak comparison, lists, "*", any of our encodings of it.
[[nodiscard]] bool etag_matches(std::string_view if_none_match, std::string_view etag);

/// What is known when the header block is written.
struct Envelope {
    bool http11 = true;
    bool keep_alive = true;
    std::string date;
    std::string_view request_id;
};

/// An answer ready to be written. The body is not copied when it is shared.
struct Outgoing {
    unsigned status = 200;
    std::string head;
    std::string own;                         ///< keeps `body` alive, or
    std::shared_ptr<const Content> content;  ///< this
    std::string_view body;                   ///< empty for HEAD, 204, 304

    Outgoing() = default;
    Outgoing(const Outgoing&) = delete;  // body may point into own
    Outgoing& operator=(const Outgoing&) = delete;
};

/// `request` may be null: it was never understood. Streams get a head without a length (chunked or, for
/// HTTP/1.0, until the connection closes).
std::unique_ptr<Outgoing> prepare(Response response, const Request* request, const Envelope& envelope);

}  // namespace opsd::http
