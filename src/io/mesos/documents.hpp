#pragma once
// What Mesos masters, their ZooKeeper nodes and Exhibitor say about who belongs to the cluster. Pure: bytes
// in, values or a sentence out. Unknown fields are passed over; what an answer must have and has not, or has
// wrong, makes the whole answer unreadable (Errc::protocol), so that no half a list is taken for the cluster.

#include "opsd/result.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::mesos {

/// An agent as its master knows it.
struct Agent {
    std::string id;          ///< "...-S0"; never empty
    std::string hostname;    ///< as the agent gives it; "" when it is none
    std::string address;     ///< the IP address of its pid; "" when the pid does not say
    std::uint16_t port = 0;  ///< of the agent's process
    bool active = true;      ///< false: disconnected or deactivated
    bool public_ip = false;  ///< the DC/OS attribute public_ip is set truthy: a public agent
    double registered = 0;   ///< when it (re-)registered last, seconds since the epoch; 0 when not said
};

struct AgentList {
    std::vector<Agent> agents;     ///< registered with this leader
    std::vector<Agent> recovered;  ///< known from the registry, not back since the election; without address
};

/// A master.
struct Master {
    std::string id;  ///< of this run of the master; a new leader has another one
    std::string hostname;
    std::string address;  ///< IP; "" when unknown. hostname and address are never both ""
    std::uint16_t port = 0;
    bool leader = false;
};

/// The part of /state that is read.
struct MasterState {
    std::string id;
    std::string cluster;  ///< --cluster; "" when not set
    Master leader;
    AgentList agents;
};

/// A server of an Exhibitor ensemble.
struct ExhibitorServer {
    std::string hostname;  ///< an IP address or name; never empty
    int code = 0;          ///< 3 is serving
    std::string description;
    bool leader = false;  ///< of ZooKeeper, not of Mesos
};

/// A child of the masters' path in ZooKeeper.
struct ZooKeeperNode {
    std::string name;  ///< "json.info_0000000012"
    std::string data;
};

constexpr std::size_t most_agents = 100'000;  // Mesos itself keeps 102,400
constexpr std::size_t most_masters = 100;

/// GET /slaves. `max_agents` counts both lists; more is an error, not a shorter list.
Result<AgentList> parse_slaves(std::string_view body, std::size_t max_agents = most_agents);

/// GET /state: what /slaves and GET_MASTER tell, for masters that have neither.
Result<MasterState> parse_state(std::string_view body, std::size_t max_agents = most_agents);

/// The answer to GET_MASTER of POST /api/v1. `leader` is true: only the leader answers it.
Result<Master> parse_get_master(std::string_view body);

/// One document of a json.info_ node.
Result<Master> parse_master_info(std::string_view json);

/// All children of the masters' path; those not named json.info_<number> are passed over. The lowest number
/// leads and comes first. Errc::protocol names the node that cannot be read.
Result<std::vector<Master>> parse_master_nodes(const std::vector<ZooKeeperNode>& nodes);

/// GET /exhibitor/v1/cluster/status.
Result<std::vector<ExhibitorServer>> parse_exhibitor(std::string_view body);

}  // namespace opsd::mesos
