#pragma once
// A node that a source named.

#include <cstdint>
#include <string>

namespace opsd::cluster {

struct FoundMember {
    std::string host;        ///< an IP address
    std::uint16_t port = 0;  ///< 0: the cluster's
    std::string role;        ///< "master", "agent", "agent_public"; "" when the source does not know
    std::string mesos_id;    ///< "" when the source does not know
    std::string hostname;    ///< "" when the source does not know
    bool leader = false;     ///< of the Mesos masters
    bool operator==(const FoundMember&) const = default;
};

}  // namespace opsd::cluster
