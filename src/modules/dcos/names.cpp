#include "modules/dcos/marathon.hpp"
#include "modules/dcos/routes.hpp"

#include "core/json_text.hpp"
#include "io/mesos/address.hpp"
#include "io/net/url.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace opsd::dcos {

using http::Access;
using http::Method;
using http::Request;
using http::Response;

namespace {

using CorePtr = std::shared_ptr<Core>;
using Addresses = std::vector<std::string>;

/// As names are compared: in lower case, without the dot at the end.
std::string plain(std::string_view name)
{
    std::string text{name};
    if (text.ends_with('.')) text.pop_back();
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

void add(Addresses& all, const std::string& address)
{
    if (mesos::is_ip(address) && std::ranges::find(all, address) == all.end()) all.push_back(address);
}

const std::string& ip_of(const Member& member)
{
    return member.identity.ip.empty() ? member.address : member.identity.ip;
}

std::vector<std::shared_ptr<const Member>> members(const Core& core)
{
    const auto& cluster = core.services.board.cluster.get();
    return cluster ? cluster->value.members : std::vector<std::shared_ptr<const Member>>{};
}

Task<Result<Addresses>> leader(CorePtr core)
{
    const auto known = co_await core->mesos.leader(core->options.mesos.leader_age);
    if (!known) co_return fail(known.error());
    co_return Addresses(1, known->address.empty() ? known->hostname : known->address);
}

/// Everybody who is one by any word; the leader's failure costs only him.
Task<Result<Addresses>> masters(CorePtr core)
{
    Addresses all;
    const auto first = co_await leader(core);
    if (first) add(all, first->front());
    for (const auto& address : core->mesos.named_masters())
        add(all, address);
    for (const auto& member : members(*core)) {
        if (member->identity.role == "master") add(all, ip_of(*member));
    }
    if (all.empty() && !first) co_return fail(first.error());
    co_return all;
}

Task<Result<Addresses>> agents(CorePtr core)
{
    const auto map = co_await core->mesos.agents(core->options.mesos.agents_age);
    if (!map) co_return fail(map.error());
    Addresses all;
    std::set<std::string_view> seen;
    for (const auto& [id, agent] : (*map)->by_id) {
        if (seen.insert(agent.address).second) all.push_back(agent.address);
    }
    co_return all;
}

Task<Result<Addresses>> marathon(CorePtr core)
{
    const auto base = co_await marathon_url(std::move(core));
    if (!base) co_return fail(base.error());
    const auto url = net::parse_url(*base);
    Addresses all;
    if (url) add(all, url->host);
    co_return all;
}

/// The node of that name, with or without what follows its first dot.
Addresses node(const Core& core, std::string_view name)
{
    Addresses all;
    for (const auto& member : members(core)) {
        const auto host = plain(member->identity.hostname);
        if (!host.empty() && (host == name || host.substr(0, host.find('.')) == name))
            add(all, ip_of(*member));
    }
    return all;
}

Task<Result<Addresses>> look_up(CorePtr core, std::string name)
{
    constexpr std::string_view domain = ".mesos";
    if (!name.ends_with(domain) || name.size() > 255) co_return Addresses{};
    name.resize(name.size() - domain.size());
    if (name == "leader") co_return co_await leader(std::move(core));
    if (name == "master") co_return co_await masters(std::move(core));
    if (name == "agent" || name == "slave") co_return co_await agents(std::move(core));
    if (name == core->options.marathon.framework) co_return co_await marathon(std::move(core));
    co_return node(*core, name);
}

Task<Response> hosts(CorePtr core, const Request& request)
{
    const auto name = plain(request.path_params.get("name"));
    const auto found = co_await look_up(core, name);
    if (!found) co_return Response::problem(found.error());
    if (found->empty())
        co_return Response::problem(
            404,
            fmt::format("cannot look up {}: opsd knows leader.mesos, master.mesos, agent.mesos, {}.mesos and "
                        "the host names of the cluster's nodes followed by .mesos",
                        mesos::printable(name), core->options.marathon.framework));
    std::string out;
    JsonText json{out};
    json.open('[');
    for (const auto& address : *found)
        json.open('{').text("host", name + ".").text("ip", address).close('}');
    json.close(']');
    out += '\n';
    co_return Response::json(std::move(out));
}

/// With a list of public addresses the command line would go on at port 80 of one of them, where opsd is not;
/// after an error it stays where it is.
Task<Response> nodes(const Request&)
{
    co_return Response::problem(501, "cannot list the public addresses of nodes: opsd does not know which of "
                                     "them lead to it; clients stay with the address they came by");
}

}  // namespace

std::vector<http::Route> name_routes(const CorePtr& core)
{
    const auto by_name = [core](const Request& request) { return hosts(core, request); };
    return {
        {Method::get,
         "/mesos_dns/v1/hosts/{name}",
         Access::read,
         "Addresses of leader.mesos (exactly one), master.mesos, agent.mesos, marathon.mesos or a node",
         by_name,
         {{"name", "path", "The name, ending in .mesos", "string"}},
         false},
        {Method::get,
         "/net/v1/nodes",
         Access::read,
         "501: public addresses of nodes are not known",
         nodes,
         {},
         false},
    };
}

}  // namespace opsd::dcos
