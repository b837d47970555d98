#pragma once
// What the two ways of reading an answer share: all of it (exchange), or piece by piece (incoming).

#include "io/net/client.hpp"
#include "io/net/url.hpp"

#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>

#include <string>
#include <string_view>

namespace opsd::net {

/// Collects what arrived; unlike string_body it believes no Content-Length.
struct SinkBody {
    using value_type = std::string;
    class reader {
    public:
        template <bool is_request, class Fields>
        reader(boost::beast::http::header<is_request, Fields>&, value_type& body) : body_{body}
        {}
        void init(const boost::optional<std::uint64_t>&, error_code& ec) { ec = {}; }
        template <class Buffers>
        std::size_t put(const Buffers& buffers, error_code& ec)
        {
            ec = {};
            std::size_t total = 0;
            for (const auto buffer : boost::beast::buffers_range_ref(buffers)) {
                body_.append(static_cast<const char*>(buffer.data()), buffer.size());
                total += buffer.size();
            }
            return total;
        }
        void finish(error_code& ec) { ec = {}; }

    private:
        value_type& body_;
    };
};
using AnswerParser = boost::beast::http::response_parser<SinkBody>;

inline constexpr std::size_t read_size = 16 * 1024;
inline constexpr std::uint32_t header_limit = 64 * 1024;
inline constexpr int most_interim = 8;  // answers with 1xx before the one that counts

/// The request line and the headers, with Host, User-Agent and Content-Length where they are ours to set.
[[nodiscard]] std::string head_of(const ClientRequest& request, const Url& url);

/// Takes status and headers over. Errc::protocol for a status that is none.
Result<> take_head(const AnswerParser& parser, ClientResponse& response);

}  // namespace opsd::net
