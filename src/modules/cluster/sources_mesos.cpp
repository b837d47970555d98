#include "modules/cluster/sources_parts.hpp"

#include "io/mesos/address.hpp"
#include "io/mesos/directory.hpp"
#include "io/net/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <tuple>

namespace opsd::cluster {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

/// A name worth showing: an address is not a host name.
std::string name_of(const std::string& hostname) { return mesos::is_ip(hostname) ? std::string{} : hostname; }

FoundMember member_of(const mesos::Agent& agent)
{
    FoundMember member;
    member.host = agent.address.empty() ? agent.hostname : agent.address;
    member.role = agent.public_ip ? "agent_public" : "agent";
    member.mesos_id = agent.id;
    member.hostname = name_of(agent.hostname);
    return member;
}

FoundMember member_of(const mesos::Master& master)
{
    FoundMember member;
    member.host = master.address.empty() ? master.hostname : master.address;
    member.role = "master";
    member.hostname = name_of(master.hostname);
    member.leader = master.leader;
    return member;
}

/// The agents and the leader. After a change of the leader the agents that have not come back yet are in the
/// list, too, at the address they had.
class Mesos final : public Source {
public:
    Mesos(const MesosSource& options, std::shared_ptr<mesos::MesosMasters> masters)
      : Source{"mesos", options.interval}
      , timeout_{options.timeout}
      , masters_{std::move(masters)}
    {}

    Task<Round> look() override
    {
        const auto end = steady_clock::now() + timeout_;
        seen_ = masters_->version();
        Round round;
        auto leader = co_await masters_->leader(end);
        const bool old = !leader && leader.error().code == Errc::not_found;
        if (!leader && !old) {
            round.doubt = leader.error().message;
            const bool down = leader.error().retryable();
            if (down) co_return round;
        }
        Result<mesos::AgentList> list;
        if (!old) list = co_await masters_->agents(end);
        if (old || (!list && list.error().code == Errc::not_found)) {
            auto state = co_await masters_->state(end);
            if (state) {
                list = std::move(state->agents);
                leader = std::move(state->leader);
                round.doubt.clear();
            } else {
                list = fail(std::move(state).error());
            }
        }
        if (!list) {
            round.doubt = list.error().message;
            co_return round;
        }
        if (leader) round.mesos_id = leader->id;
        round.members = members(*list, leader);
        co_return round;
    }

    Task<> news() override { return masters_->changed(seen_); }

private:
    enum class Presence { recovered, inactive, active };
    /// An agent that was restarted under a new id is known by the old one for a while, too. What of two is at
    /// an address: the one that is active, of two such the one that registered later.
    struct Named {
        FoundMember member;
        Presence presence = Presence::recovered;
        double registered = 0;
        bool operator<(const Named& other) const
        {
            return std::tie(presence, registered) < std::tie(other.presence, other.registered);
        }
    };
    std::vector<FoundMember> members(const mesos::AgentList& list, const Result<mesos::Master>& leader)
    {
        std::map<std::string, Named> agents;  // by Mesos id
        for (const auto& agent : list.recovered) {
            const auto before = agents_.find(agent.id);
            agents.insert_or_assign(
                agent.id, Named{before == agents_.end() ? member_of(agent) : before->second.member});
        }
        for (const auto& agent : list.agents) {
            const auto presence = agent.active ? Presence::active : Presence::inactive;
            agents.insert_or_assign(agent.id, Named{member_of(agent), presence, agent.registered});
        }
        agents_ = std::move(agents);
        std::map<std::string_view, const Named*> at;  // of each address the one that is there
        std::set<std::string_view> names;             // of those that came back
        for (const auto& [id, agent] : agents_) {
            auto& best = at[agent.member.host];
            if (best == nullptr || !(agent < *best)) best = &agent;
            if (agent.presence != Presence::recovered) names.insert(agent.member.hostname);
        }
        std::vector<FoundMember> all;
        all.reserve(at.size() + 1);
        if (leader) all.push_back(member_of(*leader));
        for (const auto& [id, agent] : agents_) {
            // A recovered one has no address but its name, where it was not seen before.
            const bool back = agent.presence == Presence::recovered && names.contains(agent.member.host);
            if (at[agent.member.host] == &agent && !back) all.push_back(agent.member);
        }
        return all;
    }

    milliseconds timeout_;
    std::shared_ptr<mesos::MesosMasters> masters_;
    std::uint64_t seen_ = 0;
    std::map<std::string, Named> agents_;  // of the last list; at most max_agents
};

class Exhibitor final : public Source {
public:
    Exhibitor(const Executor& executor, const ExhibitorSource& options, const net::TlsClientOptions& tls)
      : Source{"exhibitor", options.interval}
      , client_{executor, tls}
      , options_{options}
    {}

    Task<Round> look() override
    {
        net::ClientRequest request;
        request.url = options_.url.text;
        request.timeout = options_.timeout;
        request.max_body = 1U << 20U;
        request.headers.emplace_back("Accept", "application/json");
        auto answer = co_await client_.send(std::move(request));
        Round round;
        auto servers = read(std::move(answer));
        if (!servers) {
            round.doubt = std::move(servers).error().wrap("cannot ask Exhibitor").message;
            co_return round;
        }
        round.members.emplace();
        for (const auto& server : *servers) {
            FoundMember member;
            member.host = server.hostname;
            member.role = "master";
            member.hostname = name_of(server.hostname);  // its isLeader is about ZooKeeper, not Mesos
            round.members->push_back(std::move(member));
        }
        co_return round;
    }

private:
    static Result<std::vector<mesos::ExhibitorServer>> read(Result<net::ClientResponse> answer)
    {
        if (!answer) return fail(std::move(answer).error());
        if (answer->status != 200)
            return fail(Errc::unavailable, fmt::format("it answered {}", answer->status));
        auto servers = mesos::parse_exhibitor(answer->body);
        if (servers && servers->empty()) return fail(Errc::unavailable, "it lists no servers");
        return servers;
    }

    net::HttpClient client_;
    ExhibitorSource options_;
};

class ZooKeeper final : public Source {
public:
    ZooKeeper(const ZooKeeperSource& options, std::string scheme, MasterNodes& nodes,
              std::shared_ptr<mesos::MesosMasters> masters, const Clock& clock)
      : Source{"zookeeper", options.interval}
      , clock_{clock}
      , scheme_{std::move(scheme)}
      , nodes_{nodes}
      , masters_{std::move(masters)}
    {}

    Task<Round> look() override
    {
        Round round;
        auto nodes = co_await nodes_.read();
        Result<std::vector<mesos::Master>> masters;
        if (nodes)
            masters = mesos::parse_master_nodes(*nodes);
        else
            masters = fail(std::move(nodes).error());
        if (!masters || masters->empty()) {
            round.doubt = masters ? "cannot find the Mesos masters in ZooKeeper: none is registered there now"
                                  : masters.error().message;
            co_return round;
        }
        round.members.emplace();
        for (const auto& master : *masters)
            round.members->push_back(member_of(master));
        masters_->named(*masters, scheme_);
        const auto executor = co_await asio::this_coro::executor;
        mesos::MasterDirectory::of(executor).name(*masters, clock_.now());
        round.mesos_id = masters->front().id;
        co_return round;
    }

    Task<> news() override { return nodes_.changed(); }

private:
    const Clock& clock_;
    std::string scheme_;
    MasterNodes& nodes_;
    std::shared_ptr<mesos::MesosMasters> masters_;
};

}  // namespace

std::unique_ptr<Source> make_mesos_source(const MesosSource& options,
                                          std::shared_ptr<mesos::MesosMasters> masters)
{
    return std::make_unique<Mesos>(options, std::move(masters));
}

std::unique_ptr<Source> make_exhibitor_source(const Executor& executor, const ExhibitorSource& options,
                                              const net::TlsClientOptions& tls)
{
    return std::make_unique<Exhibitor>(executor, options, tls);
}

std::unique_ptr<Source> make_zookeeper_source(const ZooKeeperSource& options, std::string scheme,
                                              MasterNodes& nodes,
                                              std::shared_ptr<mesos::MesosMasters> masters,
                                              const Clock& clock)
{
    return std::make_unique<ZooKeeper>(options, std::move(scheme), nodes, std::move(masters), clock);
}

mesos::MastersOptions masters_options(const SourcesOptions& options, const std::string& credentials_directory)
{
    using Scheme = mesos::Credentials::Scheme;
    const auto& from = options.mesos;
    const bool token = from.token.from != config::Secret::From::none;
    mesos::MastersOptions to;
    to.urls = from.masters.items;
    to.credentials.scheme = !token                        ? Scheme::basic
                            : from.token_scheme == "dcos" ? Scheme::dcos
                                                          : Scheme::bearer;
    to.credentials.user = from.user;
    to.credentials.secret = token ? from.token : from.password;
    to.credentials.credentials_directory = credentials_directory;
    to.max_body = from.max_body.count;
    to.max_agents = static_cast<std::size_t>(from.max_agents);
    to.max_hops = static_cast<int>(from.max_redirects);
    to.tls = {.ca_file = options.tls.ca_file,
              .certificate_file = options.tls.certificate_file,
              .key_file = options.tls.key_file};
    return to;
}

}  // namespace opsd::cluster
