#pragma once
// What the client's answers have in common for Beast's parser: where a body goes, and how names are compared.

#include <boost/beast/core/buffers_range.hpp>
#include <boost/beast/http/parser.hpp>

#include <cstdint>
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
        void init(const boost::optional<std::uint64_t>&, boost::system::error_code& ec) { ec = {}; }
        template <class Buffers>
        std::size_t put(const Buffers& buffers, boost::system::error_code& ec)
        {
            ec = {};
            std::size_t total = 0;
            for (const auto buffer : boost::beast::buffers_range_ref(buffers)) {
                body_.append(static_cast<const char*>(buffer.data()), buffer.size());
                total += buffer.size();
            }
            return total;
        }
        void finish(boost::system::error_code& ec) { ec = {}; }

    private:
        value_type& body_;
    };
};
using SinkParser = boost::beast::http::response_parser<SinkBody>;

constexpr std::size_t read_size = 16 * 1024;
constexpr std::uint32_t header_limit = 64 * 1024;

/// ASCII letters in lower case.
[[nodiscard]] std::string lowered(std::string_view text);

}  // namespace opsd::net
