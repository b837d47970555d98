#include "modules/cluster/asking.hpp"

#include <fmt/format.h>

namespace opsd::cluster {
namespace {

/// "unauthorized" and its like, as the operator has to read it.
std::string refusal(const Question& question, unsigned status, std::string_view location)
{
    const auto begin = fmt::format("cannot read the state of {}: ", question.address);
    if (status == 401 || status == 403)
        return begin
               + fmt::format(
                   "it answers {}; give this node a token for it in cluster.token, or a certificate in "
                   "cluster.tls",
                   status);
    if (status / 100 == 3)
        return begin
               + fmt::format("it answers {} and points to \"{}\", where no member is", status,
                             location.substr(0, 100));
    if (status == 503) return begin + "it answers 503, it is not ready yet or has too much to do";
    return begin + fmt::format("it answers {}", status);
}

}  // namespace

std::string origin_of(const std::string& address, const Reach& reach)
{
    const auto* const scheme = reach.tls ? "https" : "http";
    const auto colon = address.find(':');
    const bool has_port =
        address.starts_with('[') || (colon != std::string::npos && colon == address.rfind(':'));
    if (has_port) return fmt::format("{}://{}", scheme, address);
    if (colon != std::string::npos) return fmt::format("{}://[{}]:{}", scheme, address, reach.port);
    return fmt::format("{}://{}:{}", scheme, address, reach.port);
}

net::ClientRequest request_of(const Question& question, const Reach& reach)
{
    net::ClientRequest request;
    request.url = origin_of(question.address, reach);
    request.url += question.speech == Speech::dcos ? "/system/health/v1" : "/api/v1/node";
    if (!question.held.empty()) {
        if (question.speech == Speech::opsd) request.url += "?partial";
        request.headers.emplace_back("If-None-Match", question.held);
    }
    if (question.wait.count() > 0) {
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(question.wait).count();
        request.headers.emplace_back("Prefer", fmt::format("wait={}", seconds));
    }
    if (!reach.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + reach.token);
    request.connect_timeout = question.connect;
    request.first_byte_timeout = question.wait + question.first_byte;
    request.timeout = question.connect + request.first_byte_timeout + question.rest;
    request.max_body = question.max_body;
    return request;
}

Reply reply_of(const Question& question, Result<net::ClientResponse> response)
{
    Reply reply;
    if (!response) {
        reply.why = std::move(response).error();
        reply.failure = to_string(reply.why.code);
        return reply;
    }
    reply.etag = response->header("etag");
    reply.holds = response->header("preference-applied").starts_with("wait");
    if (response->status == 200) {
        reply.kind = Reply::Kind::document;
        reply.body = std::move(response->body);
        return reply;
    }
    if (response->status == 304 && !question.held.empty()) {
        reply.kind = Reply::Kind::unchanged;
        return reply;
    }
    if (response->status == 404) reply.kind = Reply::Kind::missing;
    reply.why = {Errc::protocol, refusal(question, response->status, response->header("location"))};
    reply.failure = "status";
    return reply;
}

}  // namespace opsd::cluster
