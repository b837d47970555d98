#include "io/net/url.hpp"

#include <boost/url/parse.hpp>
#include <boost/url/url.hpp>
#include <boost/url/url_view.hpp>
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

namespace opsd::net {
namespace {

namespace urls = boost::urls;

std::unexpected<Error> bad_url(std::string_view text, std::string_view why)
{
    return fail(Errc::invalid_argument, fmt::format("cannot use \"{}\" as a URL: {}", text, why));
}

Result<Url> parse_unix(std::string_view text)
{
    auto rest = text.substr(std::string_view{"unix:"}.size());
    const auto colon = rest.find(":/");
    Url url;
    url.scheme = Url::Scheme::unix_socket;
    url.port = 0;
    url.host = std::string{rest.substr(0, colon)};
    if (colon != std::string_view::npos) url.target = std::string{rest.substr(colon + 1)};
    if (!url.host.starts_with('/'))
        return bad_url(text, "the socket's path must begin with \"/\", as in unix:/run/x.sock:/path");
    const bool plain =
        std::ranges::all_of(url.target, [](unsigned char c) { return c > ' ' && c < 0x7f && c != '#'; });
    if (!plain) return bad_url(text, "the HTTP path must be percent-encoded");
    return url;
}

Result<Url> from_view(urls::url_view view, std::string_view text)
{
    Url url;
    if (view.scheme_id() == urls::scheme::https) {
        url.scheme = Url::Scheme::https;
        url.port = 443;
    } else if (view.scheme_id() != urls::scheme::http) {
        return bad_url(text, "it must begin with http://, https:// or unix:/");
    }
    if (view.has_userinfo()) return bad_url(text, "it must not contain a user or password");
    url.host = view.host_address();
    if (url.host.empty()) return bad_url(text, "it has no host");
    if (!std::ranges::all_of(url.host, [](unsigned char c) { return c > ' ' && c < 0x7f; })) {
        return bad_url(text, "its host contains characters that no host has");
    }
    std::ranges::transform(url.host, url.host.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    if (view.has_port() && !view.port().empty()) {
        const std::string_view digits{view.port().data(), view.port().size()};
        const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), url.port);
        if (error != std::errc{} || url.port == 0) return bad_url(text, "its port must be 1 to 65535");
    }
    const auto target = view.encoded_target();
    url.target.assign(target.data(), target.size());
    if (!url.target.starts_with('/')) url.target.insert(0, "/");
    return url;
}

}  // namespace

std::string Url::authority() const
{
    if (scheme == Scheme::unix_socket) return "localhost";
    const auto name = host.find(':') == std::string::npos ? host : "[" + host + "]";
    const bool usual = port == (scheme == Scheme::https ? 443 : 80);
    return usual ? name : fmt::format("{}:{}", name, port);
}

std::string Url::origin() const
{
    if (scheme == Scheme::unix_socket) return "unix:" + host;
    return fmt::format("{}://{}", scheme == Scheme::https ? "https" : "http", authority());
}

Result<Url> parse_url(std::string_view text)
{
    if (text.starts_with("unix:")) return parse_unix(text);
    const auto parsed = urls::parse_uri(text);
    if (!parsed) return bad_url(text, "it is not a well-formed URL");
    return from_view(*parsed, text);
}

Result<Url> resolve_location(const Url& base, std::string_view location)
{
    const auto reference = urls::parse_uri_reference(location);
    if (!reference) return bad_url(location, "it is not a well-formed URL");
    if (base.scheme == Url::Scheme::unix_socket) {
        if (reference->has_scheme() || reference->has_authority() || !location.starts_with('/')) {
            return fail(
                Errc::denied,
                fmt::format("cannot follow the redirect to \"{}\": it leaves the Unix socket", location));
        }
        auto same = base;
        same.target = std::string{location.substr(0, location.find('#'))};
        return same;
    }
    const auto text = base.origin() + base.target;  // the view below points into it
    const auto full = urls::parse_uri(text);
    if (!full) return bad_url(base.target, "it is not a well-formed URL");
    urls::url resolved{*full};
    const auto done = resolved.resolve(*reference);
    if (!done) return bad_url(location, "it does not resolve");
    // Read again from its text: Boost 1.81 counts the characters of a resolved URL wrongly.
    const std::string whole{resolved.buffer().data(), resolved.buffer().size()};
    const auto fresh = urls::parse_uri(whole);
    if (!fresh) return bad_url(location, "it does not resolve");
    return from_view(*fresh, location);
}

}  // namespace opsd::net
