#include "modules/logs/caller.hpp"

#include "io/mesos/files.hpp"

#include <algorithm>
#include <optional>

namespace opsd::logs {
namespace {

constexpr std::string_view role_header = "x-opsd-role";
constexpr std::string_view mesos_header = "x-opsd-mesos-authorization";

http::Role role_named(std::string_view word)
{
    using http::Role;
    for (const auto role : {Role::local, Role::viewer, Role::operator_, Role::admin})
        if (to_string(role) == word) return role;
    return Role::none;
}

}  // namespace

bool was_forwarded(const http::Request& request) { return request.headers.has(forwarded_header); }

std::string authorization_for_mesos(const http::Request& request)
{
    if (const auto* shown = request.headers.find(mesos_header)) return *shown;
    // The Authorization of a question that was passed on is that of the node that passed it on.
    return was_forwarded(request) ? std::string{} : std::string{foreign_authorization(request)};
}

http::Role role_of(const http::Request& request)
{
    const auto* said = request.headers.find(role_header);
    if (said == nullptr) return request.caller.role;
    // Who passes a question on may read: a lesser role, or a word that is none, means the least that may.
    const auto least = std::max(role_named(*said), http::Role::viewer);
    return std::min(request.caller.role, least);
}

net::ClientRequest forwarded(const http::Request& request, std::string target)
{
    net::ClientRequest next;
    next.url = std::move(target);
    const auto add = [&next](std::string_view name, std::string_view value) {
        if (!value.empty()) next.headers.emplace_back(name, value);
    };
    add(forwarded_header, "true");
    add(role_header, to_string(role_of(request)));
    add(mesos_header, authorization_for_mesos(request));
    add("Accept", request.headers.get("accept"));
    add("Last-Event-ID", request.headers.get("last-event-id"));
    add("X-Request-Id", request.id);
    // Without one it may be the DC/OS command line that follows; the other node must see that, too.
    const auto* agent = request.headers.find("user-agent");
    add("User-Agent", agent == nullptr || agent->empty() ? std::string_view{"dcos-cli/unnamed"} : *agent);
    return next;
}

std::string query_text(const http::Params& query, std::string_view without)
{
    std::string text;
    for (const auto& [name, value] : query) {
        if (name == without) continue;
        text.append(text.empty() ? "?" : "&").append(mesos::encoded(name));
        text.append("=").append(mesos::encoded(value));
    }
    return text;
}

}  // namespace opsd::logs
