#pragma once
// What the tests of the HTTP layer share: an authenticator with known tokens, sinks that remember, a table of
// routes that exercises everything.

#include "http/server.hpp"
#include "http/service.hpp"
#include "http/session.hpp"
#include "io/net/memory.hpp"
#include "opsd/task_group.hpp"

#include "support.hpp"

#include <array>
#include <string>
#include <vector>

namespace opsd::test {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

class FakeAuthenticator final : public http::Authenticator {
public:
    Result<http::Caller> identify(const http::Credentials& credentials) override
    {
        seen = credentials;
        const std::string_view text = credentials.authorization;
        if (!text.empty() && text == revoked) return fail(Errc::denied, "cannot accept the token: revoked");
        if (!credentials.certificate_subject.empty() && text.empty()) {
            if (certificate_role == http::Role::none)
                return fail(Errc::denied, "cannot accept the certificate");
            return http::Caller{credentials.certificate_subject, certificate_role, "certificate",
                                credentials.address};
        }
        if (text.empty() && credentials.peer)
            return http::Caller{"uid", peer_role, "peer", credentials.address};
        if (text.empty()) {
            const auto role = credentials.loopback ? http::Role::local : http::Role::none;
            return http::Caller{"", role, credentials.loopback ? "loopback" : "", credentials.address};
        }
        for (const auto role : {http::Role::viewer, http::Role::operator_, http::Role::admin}) {
            if (text == "Bearer " + std::string{to_string(role)}) {
                return http::Caller{std::string{to_string(role)} + "-token", role, "token",
                                    credentials.address};
            }
        }
        return fail(Errc::denied, "cannot accept the token: it is unknown");
    }
    http::Credentials seen;
    std::string revoked;  ///< an Authorization that is refused from now on
    http::Role certificate_role = http::Role::admin;
    http::Role peer_role = http::Role::local;
};

class AuditList final : public http::AuditSink {
public:
    void record(const http::Request& request, unsigned status, std::string_view outcome) override
    {
        lines.push_back(std::string{to_string(request.method)} + " " + request.path + " by "
                        + request.caller.name + ": " + std::to_string(status)
                        + (outcome.empty() ? "" : " " + std::string{outcome}));
    }
    std::vector<std::string> lines;
};

class LogList final : public LogSink {
public:
    void write(Level, std::string_view line) override { lines.emplace_back(line); }
    [[nodiscard]] bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
    [[nodiscard]] bool contains(std::string_view text) const
    {
        return std::ranges::any_of(
            lines, [text](const std::string& line) { return line.find(text) != std::string::npos; });
    }
    std::vector<std::string> lines;
};

/// Everything a server or session is given.
struct Surroundings {
    FakeAuthenticator authenticator;
    AuditList audit;
    ManualClock clock{*parse_rfc3339("2026-11-22T15:26:27Z")};
    telemetry::Registry metrics;
    std::shared_ptr<LogList> lines = std::make_shared<LogList>();
    Log log{lines, "http"};
};

inline Task<http::Response> echo(const http::Request& request)
{
    std::string text = std::string{to_string(request.method)} + " " + request.path;
    for (const auto& [name, value] : request.path_params)
        text += " {" + name + "=" + value + "}";
    for (const auto& [name, value] : request.query)
        text += " ?" + name + "=" + value;
    if (!request.body.empty()) text += " [" + request.body + "]";
    co_return http::Response::text(text + "\n");
}

/// /echo[/{name}] any method; /admin admin and audited; /read viewer; /data shared JSON.
std::vector<http::Route> basic_routes();
inline std::shared_ptr<const http::Router> build(std::vector<http::Route> routes)
{
    auto router = http::Router::build(std::move(routes));
    if (!router) ADD_FAILURE() << router.error().message;
    return router ? *router : std::make_shared<http::Router>();
}

/// Runs one session over memory.
struct Conversation {
    std::shared_ptr<const http::Router> router = build(basic_routes());
    http::Limits limits{};
    std::size_t body_room = 32U << 20U;
    std::size_t step = static_cast<std::size_t>(-1);
    std::size_t capacity = static_cast<std::size_t>(-1);
    std::string certificate{};  ///< subject that the client showed
    bool hold_open = false;     ///< the client does not half-close after its input
    Surroundings around{};
    std::string metrics{};  ///< afterwards

    /// Everything the server says to `input`, until it closes.
    std::string say(std::string_view input);
};

inline std::string get(std::string_view target, std::string_view more = {})
{
    return "GET " + std::string{target} + " HTTP/1.1\r\nHost: x\r\n" + std::string{more} + "\r\n";
}

/// The status code of an answer; 0 of none.
inline int status_of(std::string_view answer)
{
    return answer.starts_with("HTTP/1.1 ") ? std::stoi(std::string{answer.substr(9, 3)}) : 0;
}
/// What follows the first blank line.
inline std::string_view body_of(std::string_view answer)
{
    const auto blank = answer.find("\r\n\r\n");
    return blank == std::string_view::npos ? std::string_view{} : answer.substr(blank + 4);
}
inline bool has_header(std::string_view answer, std::string_view line)
{
    const auto head = answer.substr(0, answer.find("\r\n\r\n") + 2);
    return head.find("\r\n" + std::string{line} + "\r\n") != std::string_view::npos;
}

}  // namespace opsd::test
