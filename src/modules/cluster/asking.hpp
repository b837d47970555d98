#pragma once
// One question to a member and what its answer means. Pure: the bytes are carried by the HTTP client.

#include "io/net/client.hpp"
#include "modules/cluster/options.hpp"

#include <string>

namespace opsd::cluster {

/// What a member speaks.
enum class Speech {
    opsd,  ///< GET /api/v1/node
    dcos,  ///< GET /system/health/v1: the DC/OS program, or an opsd that has no /api/v1/node
};

/// Where and how all members are reached.
struct Reach {
    std::uint16_t port = 1050;
    bool tls = false;
    std::string token;  ///< "": none is shown
};

struct Question {
    std::string address;  ///< as the table has it
    Speech speech = Speech::opsd;
    std::string held;  ///< ETag of what is held; "": everything is asked for
    Duration wait{0};  ///< how long the answer may be held; 0: now
    Duration connect{};
    Duration first_byte{};  ///< beyond `wait`
    Duration rest{};        ///< for what follows the first byte
    std::size_t max_body = 4U << 20U;
};

/// "http://10.0.0.2:1050" of "10.0.0.2", "10.0.0.2:1051", "fd00::2" or "[fd00::2]:1051".
[[nodiscard]] std::string origin_of(const std::string& address, const Reach& reach);

[[nodiscard]] net::ClientRequest request_of(const Question& question, const Reach& reach);

struct Reply {
    enum class Kind {
        document,   ///< `body`
        unchanged,  ///< what is held is the newest
        missing,    ///< 404: it does not speak like this
        failed,     ///< `why`
    };
    Kind kind = Kind::failed;
    std::string body;
    std::string etag;
    bool holds = false;  ///< it said that it holds its answers
    Error why;
    std::string failure;  ///< for the metric: "timeout", "unavailable", "denied", "protocol", "status", ...
};
[[nodiscard]] Reply reply_of(const Question& question, Result<net::ClientResponse> response);

}  // namespace opsd::cluster
