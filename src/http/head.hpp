#pragma once
// The head of a request, read strictly: what two parsers could understand differently is refused (request
// smuggling), and what follows is framed by this one reading.

#include "opsd/http.hpp"

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::http {

/// Why a request is not served. `reason` is a short word for a metric label.
struct Refusal {
    unsigned status = 400;
    std::string_view reason = "syntax";
    std::string detail;
};

struct Head {
    std::string method;  ///< as sent
    std::string target;  ///< as sent
    bool http11 = true;
    bool keep_alive = true;
    bool expects_continue = false;
    bool chunked = false;
    std::uint64_t content_length = 0;
    Params fields;  ///< names in lower case, values trimmed
    [[nodiscard]] bool has_body() const noexcept { return chunked || content_length > 0; }
};

/// Looks for the end of a head as bytes arrive, and for bytes that no head contains.
class HeadScanner {
public:
    enum class State { more, complete, bad };
    /// `bytes` is everything so far and only grows.
    State scan(std::string_view bytes);
    [[nodiscard]] std::size_t begin() const noexcept { return begin_; }  ///< after blank lines in front
    [[nodiscard]] std::size_t end() const noexcept
    {
        return at_;
    }  ///< one past the blank line, when complete

private:
    std::size_t begin_ = 0;
    std::size_t at_ = 0;
};

/// Reads a complete head, its blank line included.
std::expected<Head, Refusal> parse_head(std::string_view bytes);

/// Whether a Host header names this machine in a way that no foreign DNS zone can: an IP literal, "localhost"
/// or another name without a dot, or none; a port may follow.
[[nodiscard]] bool is_near_host(std::string_view host);

/// Letters, digits and the few signs that RFC 9110 allows in names and methods.
[[nodiscard]] bool is_token(std::string_view text) noexcept;
[[nodiscard]] bool same_word(std::string_view a,
                             std::string_view b) noexcept;               ///< ASCII, case does not count
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;  ///< without spaces and tabs around

}  // namespace opsd::http
