// What masters, Exhibitor and ZooKeeper nodes say: whatever it is, it is a list of usable members or a
// sentence. The first byte says who speaks.

#include "io/mesos/address.hpp"
#include "io/mesos/documents.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

using namespace opsd::mesos;

void demand(bool truth)
{
    if (!truth) std::abort();
}

void check(const Agent& agent)
{
    demand(!agent.id.empty());
    demand(agent.address.empty() || is_ip(agent.address));
    demand(agent.hostname.empty() || usable_host(agent.hostname));
    demand(!agent.address.empty() || !agent.hostname.empty());
}

void check(const Master& master)
{
    demand(!master.id.empty());
    demand(master.address.empty() || is_ip(master.address));
    demand(master.hostname.empty() || usable_host(master.hostname));
    demand(!master.address.empty() || !master.hostname.empty());
}

void check(const AgentList& list, std::size_t most)
{
    demand(list.agents.size() + list.recovered.size() <= most);
    for (const auto& agent : list.agents)
        check(agent);
    for (const auto& agent : list.recovered)
        check(agent);
}

template <class T>
void check_error(const opsd::Result<T>& result)
{
    if (result) return;
    const auto& message = result.error().message;
    demand(message.starts_with("cannot ") && message.size() < 1000);
    for (const char c : message)
        demand(c >= ' ' && c <= '~');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size == 0) return 0;
    const std::string text{reinterpret_cast<const char*>(data) + 1, size - 1};
    switch (data[0]) {
    case 's': {
        const auto list = parse_slaves(text, 4);
        check_error(list);
        if (list) check(*list, 4);
        break;
    }
    case 't': {
        const auto state = parse_state(text, 4);
        check_error(state);
        if (!state) break;
        check(state->agents, 4);
        check(state->leader);
        break;
    }
    case 'g': {
        const auto master = parse_get_master(text);
        check_error(master);
        if (master) check(*master);
        break;
    }
    case 'z': {
        const auto cut = text.find('\n');
        std::vector<ZooKeeperNode> nodes{{text.substr(0, cut), text.substr(std::min(cut, text.size()))}};
        const auto masters = parse_master_nodes(nodes);
        check_error(masters);
        if (!masters) break;
        for (const auto& master : *masters)
            check(master);
        break;
    }
    case 'e': {
        const auto servers = parse_exhibitor(text);
        check_error(servers);
        if (!servers) break;
        demand(servers->size() <= most_masters);
        for (const auto& server : *servers)
            demand(usable_host(server.hostname));
        break;
    }
    default: {
        const auto pid = parse_pid(text);
        check_error(pid);
        if (pid) demand(is_ip(pid->host) && pid->port != 0);
        const auto host = parse_host_port(text);
        check_error(host);
        if (host) demand(usable_host(host->host));
        if (host && host->port != 0) demand(parse_host_port(join_host_port(host->host, host->port)) == *host);
        break;
    }
    }
    return 0;
}
