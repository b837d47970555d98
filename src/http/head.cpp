#include "http/head.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace opsd::http {
namespace {

constexpr std::size_t max_fields = 128;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

constexpr auto token_chars = [] {
    constexpr std::string_view extra = "!#$%&'*+-.^_`|~";
    std::array<bool, 256> fits{};
    for (std::size_t c = 0; c < fits.size(); ++c) {
        fits[c] = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')
                  || extra.find(static_cast<char>(c)) != std::string_view::npos;
    }
    return fits;
}();

bool is_token_char(unsigned char c) { return token_chars[c]; }

std::unexpected<Refusal> refuse(std::string_view reason, std::string detail, unsigned status = 400)
{
    return std::unexpected<Refusal>{Refusal{status, reason, std::move(detail)}};
}

/// What the fields say about framing and the connection, gathered while they are read.
struct Seen {
    int hosts = 0;
    int lengths = 0;
    int codings = 0;
    int authorizations = 0;
    std::string_view length;
    std::string_view coding;
    std::string_view host;
    std::string_view expect;
    bool close = false;
};

template <class Visit>
void each_item(std::string_view list, Visit visit)
{
    while (!list.empty()) {
        const auto comma = list.find(',');
        visit(trimmed(list.substr(0, comma)));
        if (comma == std::string_view::npos) return;
        list.remove_prefix(comma + 1);
    }
}

void notice(Seen& seen, std::string_view name, std::string_view value)
{
    if (name == "host") ++seen.hosts, seen.host = value;
    if (name == "content-length") ++seen.lengths, seen.length = value;
    if (name == "transfer-encoding") ++seen.codings, seen.coding = value;
    if (name == "authorization") ++seen.authorizations;
    if (name == "expect") seen.expect = value;
    if (name == "connection") {
        each_item(value,
                  [&seen](std::string_view item) { seen.close = seen.close || same_word(item, "close"); });
    }
}

bool is_ip_literal(std::string_view host)
{
    const bool six = host.starts_with('[') && host.ends_with(']');
    if (six) host = host.substr(1, host.size() - 2);
    const std::string text{host};
    std::array<unsigned char, sizeof(in6_addr)> address{};
    return ::inet_pton(six ? AF_INET6 : AF_INET, text.c_str(), address.data()) == 1;
}

bool is_host(std::string_view host)
{
    constexpr std::string_view extra = "-._~[]:%!$&'()*+;=";  // RFC 3986: reg-name, IP-literal, port
    return std::ranges::all_of(host, [extra](unsigned char c) {
        return (c < 0x80 && std::isalnum(c) != 0)
               || extra.find(static_cast<char>(c)) != std::string_view::npos;
    });
}

std::expected<void, Refusal> check_framing(Head& head, const Seen& seen)
{
    if (seen.lengths > 0 && seen.codings > 0) {
        return refuse("framing", "cannot read the request: it has both Content-Length and Transfer-Encoding");
    }
    if (seen.lengths > 1 || seen.codings > 1) {
        return refuse("framing", "cannot read the request: it says twice how long its body is");
    }
    if (seen.codings == 1) {
        if (!head.http11)
            return refuse("framing", "cannot read the request: HTTP/1.0 has no Transfer-Encoding");
        head.chunked = same_word(seen.coding, "chunked");
        std::string_view last;
        each_item(seen.coding, [&last](std::string_view item) { last = item; });
        if (!head.chunked && same_word(last, "chunked")
            && seen.coding.find("chunked,") == std::string_view::npos) {
            return refuse("framing",
                          "cannot read the request: the only transfer coding understood is chunked", 501);
        }
        if (!head.chunked)
            return refuse("framing", "cannot read the request: its Transfer-Encoding is not chunked");
    }
    if (seen.lengths == 1) {
        const auto* end = seen.length.data() + seen.length.size();
        const bool digits =
            std::ranges::all_of(seen.length, [](unsigned char c) { return std::isdigit(c) != 0; });
        const auto [stop, error] = std::from_chars(seen.length.data(), end, head.content_length);
        if (seen.length.empty() || !digits || stop != end || error != std::errc{}) {
            return refuse("framing", "cannot read the request: its Content-Length is not one number");
        }
    }
    return {};
}

std::expected<void, Refusal> check_fields(Head& head, const Seen& seen)
{
    if (seen.hosts > 1 || (head.http11 && seen.hosts == 0)) {
        return refuse("host", "cannot serve the request: it must have exactly one Host header");
    }
    if (!is_host(seen.host)) return refuse("host", "cannot serve the request: its Host header is malformed");
    if (seen.authorizations > 1) {
        return refuse("syntax", "cannot serve the request: it has more than one Authorization header");
    }
    if (head.http11 && !seen.expect.empty()) {
        if (!same_word(seen.expect, "100-continue")) {
            return refuse("expect", "cannot meet the expectation: only 100-continue is understood", 417);
        }
        head.expects_continue = true;
    }
    head.keep_alive = head.http11 && !seen.close;
    return check_framing(head, seen);
}

std::expected<Head, Refusal> parse_request_line(std::string_view line)
{
    Head head;
    const auto first = line.find(' ');
    const auto last = line.rfind(' ');
    if (first == std::string_view::npos || first == last) {
        return refuse("syntax", "cannot read the request line: it must be METHOD TARGET HTTP/1.1");
    }
    head.method = std::string{line.substr(0, first)};
    head.target = std::string{line.substr(first + 1, last - first - 1)};
    const auto version = line.substr(last + 1);
    const bool plain = std::ranges::all_of(head.target, [](unsigned char c) { return c > ' ' && c < 0x7f; });
    if (!is_token(head.method) || !plain || head.target.empty()) {
        return refuse("syntax",
                      "cannot read the request line: its method or target contains characters it must not");
    }
    if (version == "HTTP/1.1") return head;
    if (version == "HTTP/1.0") {
        head.http11 = false;
        return head;
    }
    const bool other = version.size() == 8 && version.starts_with("HTTP/")
                       && std::isdigit(static_cast<unsigned char>(version[5])) != 0 && version[6] == '.'
                       && std::isdigit(static_cast<unsigned char>(version[7])) != 0;
    if (other) return refuse("version", "cannot speak this version of HTTP: use HTTP/1.1", 505);
    return refuse("syntax", "cannot read the request line: it does not end in a version of HTTP");
}

}  // namespace

bool is_near_host(std::string_view host)
{
    const auto colon = host.find(':', host.starts_with('[') ? std::min(host.find(']'), host.size()) : 0);
    if (colon != std::string_view::npos) {
        const auto port = host.substr(colon + 1);
        if (port.find_first_not_of("0123456789") != std::string_view::npos) return false;
        host = host.substr(0, colon);
    }
    // Only plain letters: "%2e" is a dot, too.
    const bool bare = std::ranges::all_of(
        host, [](unsigned char c) { return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_'; });
    return bare || is_ip_literal(host);
}

bool is_token(std::string_view text) noexcept
{
    return !text.empty() && std::ranges::all_of(text, is_token_char);
}

bool same_word(std::string_view a, std::string_view b) noexcept
{
    return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::string_view trimmed(std::string_view text) noexcept
{
    const auto first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

HeadScanner::State HeadScanner::scan(std::string_view bytes)
{
    constexpr std::size_t blank_lines = 4;  // some old clients send one after a body
    for (; at_ < bytes.size(); ++at_) {
        const auto c = static_cast<unsigned char>(bytes[at_]);
        // Nearly every byte of a head: within a line, and no control character.
        if (c >= ' ' && c != 0x7f && at_ > begin_ && bytes[at_ - 1] != '\r') continue;
        if (at_ > 0 && (bytes[at_ - 1] == '\r') != (c == '\n')) return State::bad;  // bare CR or LF
        if (at_ == 0 && c == '\n') return State::bad;
        if (c == '\r' || c == '\t') {
            if (c == '\t' && at_ == begin_) return State::bad;
            continue;
        }
        if (c == '\n') {
            if (at_ == begin_ + 1) {
                begin_ = at_ + 1;
                if (begin_ >= 2 * blank_lines) return State::bad;
            } else if (bytes[at_ - 2] == '\n') {
                ++at_;
                return State::complete;
            }
            continue;
        }
        if (c < ' ' || c == 0x7f) return State::bad;
        if (at_ == begin_ && !is_token_char(c)) return State::bad;
    }
    return State::more;
}

std::expected<Head, Refusal> parse_head(std::string_view bytes)
{
    const auto line_end = bytes.find("\r\n");
    auto head = parse_request_line(bytes.substr(0, line_end));
    if (!head) return head;
    bytes.remove_prefix(line_end + 2);
    Seen seen;
    while (!bytes.starts_with("\r\n")) {
        const auto end = bytes.find("\r\n");
        const auto line = bytes.substr(0, end);
        bytes.remove_prefix(end + 2);
        if (line.starts_with(' ') || line.starts_with('\t')) {
            return refuse("folding", "cannot read the request: a header is folded over two lines");
        }
        const auto colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
            return refuse("syntax", "cannot read the request: a header is not NAME: VALUE");
        }
        if (head->fields.size() == max_fields) {
            return refuse("header_size", "cannot take the request: it has more than 128 headers", 431);
        }
        std::string name{line.substr(0, colon)};
        std::ranges::transform(name, name.begin(), lower);
        const auto value = trimmed(line.substr(colon + 1));
        notice(seen, name, value);
        head->fields.add(std::move(name), std::string{value});
    }
    auto checked = check_fields(*head, seen);
    if (!checked) return std::unexpected{std::move(checked).error()};
    return head;
}

}  // namespace opsd::http
