#include "io/mesos/documents.hpp"

#include "io/mesos/address.hpp"
#include "io/mesos/json_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace opsd::mesos {
namespace {

using Kind = JsonEvent::Kind;

constexpr std::size_t longest_id = 256;

std::unexpected<Error> unreadable(std::string_view what, std::string_view why)
{
    return fail(Errc::protocol, fmt::format("cannot read {}: {}", what, why));
}

bool usable_id(std::string_view id)
{
    return !id.empty() && id.size() <= longest_id
           && std::ranges::all_of(id, [](char c) { return c > ' ' && c <= '~'; });
}

std::uint16_t port_of(const JsonEvent& event)
{
    const bool fits = event.kind == Kind::number && event.number >= 1 && event.number <= 65535;
    return fits ? static_cast<std::uint16_t>(event.number) : std::uint16_t{0};
}

std::string host_of(const JsonEvent& event)
{
    if (event.kind != Kind::text || !usable_host(event.text)) return {};
    return parse_host_port(event.text).value_or(HostPort{}).host;
}

bool truthy(const JsonEvent& event)
{
    if (event.kind == Kind::boolean) return event.boolean;
    if (event.kind == Kind::number) return event.number != 0;
    std::string word{event.text.substr(0, 8)};
    std::ranges::transform(word, word.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return event.kind == Kind::text && (word == "true" || word == "1" || word == "yes" || word == "on");
}

/// What the event is about when it lies below `prefix`: "id" of "slaves[].id"; nothing when it lies
/// elsewhere.
std::optional<std::string_view> below(std::string_view path, std::string_view prefix)
{
    if (prefix.empty()) return path;
    if (!path.starts_with(prefix) || path.size() <= prefix.size() || path[prefix.size()] != '.')
        return std::nullopt;
    return path.substr(prefix.size() + 1);
}

/// Fills one list of agents from the events of an answer.
class AgentReader {
public:
    AgentReader(std::string_view what, std::string_view list, std::vector<Agent>& into)
      : what_{what}
      , list_{list}
      , item_{std::string{list} + "[]"}
      , into_{into}
    {}

    /// Whether the answer has the list at all.
    [[nodiscard]] bool seen() const { return seen_; }

    Result<> take(const JsonEvent& event, std::size_t room)
    {
        if (event.path == list_) return about_the_list(event);
        if (event.path == item_) return about_an_item(event, room);
        const auto field = below(event.path, item_);
        if (!field || into_.empty()) return {};
        auto& agent = into_.back();
        if (*field == "id" && event.kind == Kind::text) agent.id = event.text.substr(0, longest_id + 1);
        if (*field == "hostname") agent.hostname = host_of(event);
        if (*field == "active" && event.kind == Kind::boolean) agent.active = event.boolean;
        if (*field == "port" && agent.port == 0) agent.port = port_of(event);
        if (*field == "attributes.public_ip") agent.public_ip = truthy(event);
        if ((*field == "registered_time" || *field == "reregistered_time") && event.kind == Kind::number)
            agent.registered = std::max(agent.registered, event.number);
        if (*field == "pid" && event.kind == Kind::text) {
            if (auto at = parse_pid(event.text)) {
                agent.address = std::move(at->host);
                agent.port = at->port;
            }
        }
        return {};
    }

private:
    Result<> about_the_list(const JsonEvent& event)
    {
        if (event.kind == Kind::end_array) return {};
        if (event.kind != Kind::begin_array) return unreadable(what_, fmt::format("{} is no list", list_));
        if (std::exchange(seen_, true)) return unreadable(what_, fmt::format("it has {} twice", list_));
        return {};
    }

    Result<> about_an_item(const JsonEvent& event, std::size_t room)
    {
        if (event.kind == Kind::end_object) return check(into_.back());
        if (event.kind != Kind::begin_object)
            return unreadable(what_, fmt::format("{}[{}] is no object", list_, into_.size()));
        if (room == 0) return unreadable(what_, "it lists more agents than max_agents allows");
        into_.emplace_back();
        return {};
    }

    Result<> check(const Agent& agent)
    {
        const auto at = into_.size() - 1;
        if (!usable_id(agent.id)) return unreadable(what_, fmt::format("{}[{}] has no usable id", list_, at));
        if (agent.hostname.empty() && agent.address.empty())
            return unreadable(what_, fmt::format("{}[{}] ({}) has neither a usable pid nor a hostname", list_,
                                                 at, printable(agent.id)));
        return {};
    }

    std::string_view what_;
    std::string_view list_;
    std::string item_;
    std::vector<Agent>& into_;
    bool seen_ = false;
};

/// Both lists of /slaves and /state.
class AgentsReader {
public:
    AgentsReader(std::string_view what, std::size_t max_agents, AgentList& into)
      : what_{what}
      , max_{max_agents}
      , into_{into}
      , agents_{what, "slaves", into.agents}
      , recovered_{what, "recovered_slaves", into.recovered}
    {}

    Result<> take(const JsonEvent& event)
    {
        const auto room = max_ - std::min(max_, into_.agents.size() + into_.recovered.size());
        auto done = agents_.take(event, room);
        if (done) done = recovered_.take(event, room);
        return done;
    }

    /// Of the whole answer.
    [[nodiscard]] Result<> check() const
    {
        if (!agents_.seen()) return unreadable(what_, "it has no list of slaves; is this a Mesos master?");
        return {};
    }

private:
    std::string_view what_;
    std::size_t max_;
    AgentList& into_;
    AgentReader agents_;
    AgentReader recovered_;
};

/// A MasterInfo, wherever it stands.
class MasterReader {
public:
    MasterReader(std::string_view what, std::string_view prefix) : what_{what}, prefix_{prefix} {}

    void take(const JsonEvent& event)
    {
        const auto field = below(event.path, prefix_);
        if (!field) return;
        if (*field == "id" && event.kind == Kind::text) master_.id = event.text.substr(0, longest_id + 1);
        if (*field == "hostname") master_.hostname = host_of(event);
        if (*field == "port" && master_.port == 0) master_.port = port_of(event);
        if (*field == "address.port" && port_of(event) != 0) master_.port = port_of(event);
        if (*field == "address.ip" && event.kind == Kind::text && is_ip(event.text))
            master_.address = event.text;
        if (*field == "pid" && event.kind == Kind::text) pid_ = event.text.substr(0, longest_id);
    }

    Result<Master> finish()
    {
        const auto at = parse_pid(pid_);
        if (at && master_.address.empty()) master_.address = at->host;
        if (at && master_.port == 0) master_.port = at->port;
        if (!usable_id(master_.id)) return unreadable(what_, "the master has no usable id");
        if (master_.address.empty() && master_.hostname.empty())
            return unreadable(what_, "the master has neither a usable address nor a hostname");
        return std::move(master_);
    }

private:
    std::string_view what_;
    std::string_view prefix_;
    Master master_;
    std::string pid_;
};

Result<Master> parse_master(std::string_view text, std::string_view what, std::string_view prefix)
{
    MasterReader reader{what, prefix};
    auto walked = walk_json(text, what, [&reader](const JsonEvent& event) -> Result<> {
        reader.take(event);
        return {};
    });
    if (!walked) return fail(std::move(walked).error());
    return reader.finish();
}

/// The number of a json.info_ node; ZooKeeper's counter may wrap and then has a sign.
std::optional<std::int64_t> sequence(std::string_view name)
{
    constexpr std::string_view prefix = "json.info_";
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || stop != name.data() + name.size()) return std::nullopt;
    return number;
}

}  // namespace

Result<AgentList> parse_slaves(std::string_view body, std::size_t max_agents)
{
    constexpr std::string_view what = "the answer to /slaves";
    AgentList list;
    AgentsReader reader{what, max_agents, list};
    auto done = walk_json(body, what, [&reader](const JsonEvent& event) { return reader.take(event); });
    if (done) done = reader.check();
    if (!done) return fail(std::move(done).error());
    return list;
}

Result<MasterState> parse_state(std::string_view body, std::size_t max_agents)
{
    constexpr std::string_view what = "the answer to /state";
    MasterState state;
    AgentsReader agents{what, max_agents, state.agents};
    MasterReader master{what, ""};  // the leader's own id, pid and hostname stand at the root
    auto done = walk_json(body, what, [&](const JsonEvent& event) {
        master.take(event);
        if (event.path == "cluster" && event.kind == Kind::text)
            state.cluster = event.text.substr(0, longest_id);
        return agents.take(event);
    });
    if (done) done = agents.check();
    if (!done) return fail(std::move(done).error());
    auto leader = master.finish();
    if (!leader) return fail(std::move(leader).error());
    state.id = leader->id;
    state.leader = std::move(*leader);
    state.leader.leader = true;
    return state;
}

Result<Master> parse_get_master(std::string_view body)
{
    auto master = parse_master(body, "the answer to GET_MASTER", "get_master.master_info");
    if (master) master->leader = true;
    return master;
}

Result<Master> parse_master_info(std::string_view json)
{
    return parse_master(json, "the master's entry in ZooKeeper", "");
}

Result<std::vector<Master>> parse_master_nodes(const std::vector<ZooKeeperNode>& nodes)
{
    struct Numbered {
        std::int64_t number;
        Master master;
    };
    std::vector<Numbered> found;
    for (const auto& node : nodes) {
        const auto number = sequence(node.name);
        if (!number) continue;
        if (found.size() == most_masters)
            return fail(Errc::protocol,
                        fmt::format("cannot read the masters in ZooKeeper: more than {} nodes "
                                    "are named json.info_; is the path right?",
                                    most_masters));
        auto master = parse_master(node.data, "the ZooKeeper node " + printable(node.name), "");
        if (!master) return fail(std::move(master).error());
        found.push_back({*number, std::move(*master)});
    }
    std::ranges::sort(found, {}, &Numbered::number);
    std::vector<Master> masters;
    for (auto& entry : found)
        masters.push_back(std::move(entry.master));
    if (!masters.empty()) masters.front().leader = true;
    return masters;
}

Result<std::vector<ExhibitorServer>> parse_exhibitor(std::string_view body)
{
    constexpr std::string_view what = "Exhibitor's cluster status";
    std::vector<ExhibitorServer> servers;
    const auto visit = [&](const JsonEvent& event) -> Result<> {
        const auto field = below(event.path, "[]");
        if (event.path.empty() && event.kind != Kind::begin_array && event.kind != Kind::end_array)
            return unreadable(what, "it is no list; is the URL that of /exhibitor/v1/cluster/status?");
        if (event.path == "[]" && event.kind == Kind::end_object && servers.back().hostname.empty())
            return unreadable(what, fmt::format("[{}] has no usable hostname", servers.size() - 1));
        if (event.path == "[]" && event.kind != Kind::end_object) {
            if (event.kind != Kind::begin_object)
                return unreadable(what, fmt::format("[{}] is no object", servers.size()));
            if (servers.size() == most_masters)
                return unreadable(what, fmt::format("it lists more than {} servers", most_masters));
            servers.emplace_back();
        }
        if (!field || servers.empty()) return {};
        auto& server = servers.back();
        if (*field == "hostname") server.hostname = host_of(event);
        if (*field == "isLeader") server.leader = truthy(event);
        if (*field == "description" && event.kind == Kind::text) server.description = printable(event.text);
        if (*field == "code" && event.kind == Kind::number && event.number >= 0 && event.number < 1000)
            server.code = static_cast<int>(event.number);
        return {};
    };
    auto done = walk_json(body, what, visit);
    if (!done) return fail(std::move(done).error());
    return servers;
}

}  // namespace opsd::mesos
