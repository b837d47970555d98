#include "cli/api.hpp"

#include "cli/cli.hpp"
#include "io/net/client.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>

namespace opsd::cli {
namespace {

using Sending = Task<Result<net::ClientResponse>>;

Task<> finish(Sending sending, std::optional<Result<net::ClientResponse>>& out)
{
    auto result = co_await std::move(sending);
    out.emplace(std::move(result));
}

net::TlsClientOptions tls_of(const Target& target)
{
    net::TlsClientOptions tls;
    tls.ca_file = target.ca_file;
    tls.ca_fingerprint = target.ca_fingerprint;
    tls.certificate_file = target.certificate_file;
    tls.key_file = target.key_file;
    return tls;
}

net::ClientRequest request_to(const Target& target, const std::string& path)
{
    net::ClientRequest request;
    const bool socket = target.url.starts_with("unix:");
    request.url = target.url + (socket ? ":" : "") + path;
    request.timeout = target.timeout;
    request.max_body = 64U << 20;
    if (!target.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + target.token);
    return request;
}

/// Runs it to its end. `begin` starts it with a client.
Result<net::ClientResponse> run_to_end(const Target& target,
                                       const std::function<Sending(net::HttpClient&)>& begin)
{
    asio::io_context io{1};
    net::HttpClient client{io.get_executor(), tls_of(target)};
    std::optional<Result<net::ClientResponse>> response;
    asio::co_spawn(io, finish(begin(client), response), [&io](std::exception_ptr e) {
        io.stop();  // the client keeps idle connections for a while; a command does not wait for them
        if (e) std::rethrow_exception(e);
    });
    io.run();
    if (!response) return fail(Errc::internal, "cannot finish the call: it ended without an answer");
    if (*response) return std::move(*response);
    auto error = std::move(*response).error();
    error.message = fmt::format("cannot reach opsd at {}: {}", target.url, error.message);
    if (error.retryable()) error.message += "; is it running? try: systemctl status opsd";
    return fail(std::move(error));
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
    auto request = request_to(target_, path);
    request.method = method;
    if (!body.empty()) request.headers.emplace_back("Content-Type", "application/json");
    request.body = std::move(body);
    auto response =
        run_to_end(target_, [&](net::HttpClient& client) { return client.send(std::move(request)); });
    if (!response) return fail(std::move(response).error());
    return Answer{response->status, std::move(response->body)};
}

Result<> Api::stream(const StreamQuestion& question, std::function<bool(std::string_view)> on_chunk) const
{
    constexpr int most_redirects = 3;
    auto request = request_to(target_, question.path);
    request.max_redirects = most_redirects;
    request.headers.emplace_back("Accept", question.accept);
    if (!question.last_id.empty()) request.headers.emplace_back("Last-Event-ID", question.last_id);
    auto response = run_to_end(target_, [&](net::HttpClient& client) {
        return client.stream(std::move(request), question.idle, std::move(on_chunk));
    });
    if (!response) return fail(std::move(response).error());
    const Answer answer{response->status, std::move(response->body)};
    if (!answer.ok()) return fail(code_of(answer.status), sentence_of(answer));
    return {};
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
