// The vocabulary of include/opsd/http.hpp: names, parameters, ready-made responses, shared bodies.

#include "opsd/http.hpp"

#include "core/gzip.hpp"
#include "http/status.hpp"

#include <nlohmann/json.hpp>
#include <openssl/evp.h>

#include <array>

namespace opsd::http {

std::string_view to_string(Method method) noexcept
{
    switch (method) {
    case Method::get:
        return "GET";
    case Method::head:
        return "HEAD";
    case Method::post:
        return "POST";
    case Method::put:
        return "PUT";
    case Method::del:
        return "DELETE";
    case Method::options:
        return "OPTIONS";
    }
    return "GET";
}

std::string_view to_string(Role role) noexcept
{
    switch (role) {
    case Role::none:
        return "none";
    case Role::local:
        return "local";
    case Role::viewer:
        return "viewer";
    case Role::operator_:
        return "operator";
    case Role::admin:
        return "admin";
    }
    return "none";
}

std::optional<Role> parse_role(std::string_view word) noexcept
{
    if (word == "viewer") return Role::viewer;
    if (word == "operator") return Role::operator_;
    if (word == "admin") return Role::admin;
    return std::nullopt;
}

std::string_view to_string(Access access) noexcept
{
    switch (access) {
    case Access::open:
        return "open";
    case Access::local:
        return "local";
    case Access::read:
        return "read";
    case Access::operate:
        return "operate";
    case Access::admin:
        return "admin";
    }
    return "admin";
}

const std::string* Params::find(std::string_view name) const noexcept
{
    for (const auto& [key, value] : all_) {
        if (key == name) return &value;
    }
    return nullptr;
}

std::string_view Params::get(std::string_view name, std::string_view otherwise) const noexcept
{
    const auto* value = find(name);
    return value ? std::string_view{*value} : otherwise;
}

std::vector<std::string_view> Params::every(std::string_view name) const
{
    std::vector<std::string_view> values;
    for (const auto& [key, value] : all_) {
        if (key == name) values.emplace_back(value);
    }
    return values;
}

namespace {

std::string etag_of(std::string_view body)
{
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    EVP_Digest(body.data(), body.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    std::string etag = "\"";
    for (std::size_t i = 0; i < 16; ++i) {  // 128 bits are plenty to tell two versions apart
        constexpr std::string_view hex = "0123456789abcdef";
        etag += hex[digest[i] >> 4U];
        etag += hex[digest[i] & 15U];
    }
    return etag + '"';
}

unsigned status_of(Errc code)
{
    switch (code) {
    case Errc::invalid_argument:
        return 400;
    case Errc::not_found:
        return 404;
    case Errc::denied:
        return 403;
    case Errc::timeout:
        return 504;
    case Errc::cancelled:
    case Errc::unavailable:
        return 503;
    case Errc::protocol:
        return 502;
    case Errc::internal:
        return 500;
    }
    return 500;
}

}  // namespace

std::shared_ptr<Content> make_content(std::string body, std::string type, bool compress)
{
    auto content = std::make_shared<Content>();
    content->etag = etag_of(body);
    constexpr std::size_t gzip_up_to = 1U << 20U;  // beyond, compressing would hold up the event loop
    if (compress && body.size() > 1024 && body.size() <= gzip_up_to) {
        content->gzip = gzip(body);
        if (content->gzip.size() >= body.size()) content->gzip.clear();  // noise: not worth a Vary to anybody
    }
    content->body = std::move(body);
    content->type = std::move(type);
    return content;
}

Response Response::json(std::string body, unsigned status)
{
    Response response;
    response.status = status;
    response.type = "application/json";
    response.body = std::move(body);
    return response;
}

Response Response::text(std::string body, unsigned status)
{
    Response response;
    response.status = status;
    response.body = std::move(body);
    return response;
}

Response Response::shared(std::shared_ptr<const Content> content)
{
    Response response;
    response.type = content->type;
    response.content = std::move(content);
    return response;
}

Response Response::stream(std::string type, Stream producer)
{
    Response response;
    response.type = std::move(type);
    response.producer = std::move(producer);
    return response;
}

Response Response::no_content()
{
    Response response;
    response.status = 204;
    response.type.clear();
    return response;
}

Response Response::problem(unsigned status, std::string_view detail)
{
    nlohmann::ordered_json body;
    body["type"] = "about:blank";
    body["title"] = reason_phrase(status);
    body["status"] = status;
    body["detail"] = detail;
    auto response = json(body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", status);
    response.type = "application/problem+json";
    return response;
}

Response Response::problem(const Error& error)
{
    auto response = problem(status_of(error.code), error.message);
    if (response.status == 503) response.with("Retry-After", "5");
    return response;
}

Response& Response::with(std::string name, std::string value)
{
    headers.emplace_back(std::move(name), std::move(value));
    return *this;
}

std::string sse(std::string_view id, std::string_view event, std::string_view data)
{
    std::string text;
    text.reserve(id.size() + event.size() + data.size() + 32);
    if (!id.empty()) text.append("id: ").append(id).append("\n");
    if (!event.empty()) text.append("event: ").append(event).append("\n");
    for (;;) {
        const auto end = data.find_first_of("\r\n");
        text.append("data: ").append(data.substr(0, end)).append("\n");
        if (end == std::string_view::npos) break;
        const bool pair = data[end] == '\r' && data.substr(end + 1).starts_with('\n');
        data.remove_prefix(end + (pair ? 2 : 1));
    }
    return text + "\n";
}

}  // namespace opsd::http
