#include "cli/api.hpp"

#include "cli/cli.hpp"
#include "io/net/client.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>

namespace opsd::cli {
namespace {

Task<> send_once(net::HttpClient& client, net::ClientRequest request,
                 std::optional<Result<net::ClientResponse>>& out)
{
    auto result = co_await client.send(std::move(request));
    out.emplace(std::move(result));
}

/// "detail" of problem+json, else the start of the body.
std::string sentence_of(const Answer& answer)
{
    const auto problem = nlohmann::json::parse(answer.body, nullptr, false);
    if (problem.is_object() && problem.contains("detail") && problem["detail"].is_string()) {
        return problem["detail"].get<std::string>();
    }
    return fmt::format("opsd answered {}: {}", answer.status, answer.body.substr(0, 200));
}

Errc code_of(unsigned status)
{
    switch (status) {
    case 400:
    case 413:
    case 422:
        return Errc::invalid_argument;
    case 401:
    case 403:
        return Errc::denied;
    case 404:
        return Errc::not_found;
    case 503:
        return Errc::unavailable;
    case 504:
        return Errc::timeout;
    default:
        return Errc::internal;
    }
}

}  // namespace

std::string encode(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z')
                           || (byte >= 'a' && byte <= 'z') || c == '-' || c == '.' || c == '_' || c == '~'
                           || c == '@' || c == ':';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", byte);
    }
    return out;
}

int exit_for(const Error& error)
{
    switch (error.code) {
    case Errc::unavailable:
    case Errc::timeout:
        return exit_unavailable;
    case Errc::denied:
        return exit_denied;
    case Errc::invalid_argument:
        return exit_usage;
    default:
        return exit_failed;
    }
}

Result<Answer> Api::call(std::string_view method, const std::string& path, std::string body) const
{
    asio::io_context io{1};
    net::TlsClientOptions tls;
    tls.ca_file = target_.ca_file;
    tls.ca_fingerprint = target_.ca_fingerprint;
    tls.certificate_file = target_.certificate_file;
    tls.key_file = target_.key_file;
    net::HttpClient client{io.get_executor(), tls};
    net::ClientRequest request;
    request.method = method;
    const bool socket = target_.url.starts_with("unix:");
    request.url = target_.url + (socket ? ":" : "") + path;
    request.timeout = target_.timeout;
    request.max_body = 64U << 20;
    if (!target_.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + target_.token);
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    request.body = std::move(body);

    std::optional<Result<net::ClientResponse>> response;
    asio::co_spawn(io, send_once(client, std::move(request), response), [&io](std::exception_ptr e) {
        io.stop();  // the client keeps idle connections for a while; a command does not wait for them
        if (e) std::rethrow_exception(e);
    });
    io.run();
    if (!response) return fail(Errc::internal, "cannot finish the call: it ended without an answer");
    if (!*response) {
        auto error = std::move(*response).error();
        error.message = fmt::format("cannot reach opsd at {}: {}", target_.url, error.message);
        if (error.retryable()) error.message += "; is it running? try: systemctl status opsd";
        return fail(std::move(error));
    }
    return Answer{(*response)->status, std::move((*response)->body)};
}

Result<nlohmann::json> Api::json(std::string_view method, const std::string& path, std::string body) const
{
    auto answer = call(method, path, std::move(body));
    if (!answer) return fail(std::move(answer).error());
    if (!answer->ok()) return fail(code_of(answer->status), sentence_of(*answer));
    if (answer->body.empty()) return nlohmann::json::object();
    auto parsed = nlohmann::json::parse(answer->body, nullptr, false);
    if (parsed.is_discarded()) {
        return fail(
            Errc::protocol,
            fmt::format("cannot read the answer of {}: it is not JSON; is it opsd that listens there?",
                        target_.url));
    }
    return parsed;
}

}  // namespace opsd::cli
