#include "modules/logs/nodes.hpp"

#include "core/member_address.hpp"
#include "io/mesos/address.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace opsd::logs {
namespace {

bool is_agent(const Member& member) { return member.identity.role.starts_with("agent"); }

/// Those of one name.
Result<std::vector<MemberPtr>> named(const Cluster& cluster, std::string_view name)
{
    if (name == "all") return cluster.members;
    std::vector<MemberPtr> found;
    if (name == "masters" || name == "agents") {
        for (const auto& member : cluster.members)
            if (name == "agents" ? is_agent(*member) : member->identity.role == "master")
                found.push_back(member);
        if (found.empty())
            return fail(Errc::not_found, fmt::format("cannot find any {}: none is known", name));
        return found;
    }
    if (name == "leader") {
        found.push_back(leader_of(cluster));
        if (!found.front())
            return fail(Errc::unavailable, "cannot find the leader: no source names the leading Mesos master "
                                           "(cluster.sources.mesos, cluster.sources.zookeeper)");
        return found;
    }
    auto one = look_up(cluster, name);
    if (one.candidates.size() > 1) return fail(Errc::invalid_argument, ambiguous(name, one));
    if (!one.member)
        return fail(Errc::not_found,
                    fmt::format("cannot find the node \"{}\": `opsd node list` shows those that are known; a "
                                "node that watches no others knows only itself, so ask a master",
                                mesos::printable(name)));
    found.push_back(std::move(one.member));
    return found;
}

}  // namespace

Result<ChosenNodes> choose_nodes(const Cluster* cluster, const std::vector<std::string_view>& names,
                                 std::size_t most)
{
    if (cluster == nullptr || cluster->members.empty())
        return fail(Errc::unavailable, "cannot ask nodes: none is known yet; try again in a few seconds");
    std::set<const Member*> wanted;
    ChosenNodes chosen;
    for (auto list : names) {
        while (!list.empty()) {
            const auto comma = list.find(',');
            const auto name = list.substr(0, comma);
            list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
            if (name.empty()) continue;
            auto found = named(*cluster, name);
            if (!found) return fail(std::move(found).error());
            if (name == "all" || name == "masters" || name == "agents") {
                chosen.incomplete = cluster->incomplete;
                chosen.group = true;
            }
            for (const auto& member : *found)
                wanted.insert(member.get());
        }
    }
    for (const auto& member : cluster->members)
        if (wanted.contains(member.get())) chosen.nodes.push_back(member);
    if (chosen.nodes.empty()) return fail(Errc::invalid_argument, "cannot ask nodes: node= names none");
    if (chosen.nodes.size() > most)
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot ask {} nodes at once: at most {} (logs.nodes.most); name some of them",
                        chosen.nodes.size(), most));
    return chosen;
}

MemberPtr leader_of(const Cluster& cluster)
{
    const auto leads = [](const MemberPtr& member) { return member->leader; };
    const auto found = std::ranges::find_if(cluster.members, leads);
    return found == cluster.members.end() ? nullptr : *found;
}

MemberPtr agent_of(const Cluster& cluster, std::string_view id)
{
    const auto is = [id](const MemberPtr& member) {
        return member->identity.mesos_id == id && member->identity.role != "master";
    };
    const auto found = std::ranges::find_if(cluster.members, is);
    return found == cluster.members.end() || id.empty() ? nullptr : *found;
}

}  // namespace opsd::logs
