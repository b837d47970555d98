#pragma once
// What the module asks beside the journal: this node's Mesos agent, the masters, Marathon, other nodes.

#include "io/mesos/files.hpp"
#include "io/net/incoming.hpp"
#include "io/net/peers.hpp"
#include "modules/logs/options.hpp"
#include "opsd/module.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace opsd::logs {

/// Tests bring their own. Every call ends within its deadline. `authorization` is what the caller sent.
struct Elsewhere {
    std::function<Task<Result<std::uint64_t>>(std::string path, std::string authorization)> size;
    std::function<Task<Result<std::string>>(std::string path, std::uint64_t offset, std::size_t length,
                                            std::string authorization)>
        read;
    std::function<Task<Result<std::vector<mesos::FileItem>>>(std::string path, std::string authorization)>
        browse;
    /// Of the agent of this node, from its folder. Errc::not_found: there is none.
    std::function<Task<Result<std::string>>()> agent_id;
    /// /state of the leading master.
    std::function<Task<Result<std::string>>(net::Deadline end, std::string authorization)> mesos_state;
    /// The leader of Marathon as it says, "host:port".
    std::function<Task<Result<std::string>>()> marathon_leader;
    /// Asks a member: net::Peers::open.
    std::function<Task<Result<std::unique_ptr<net::Incoming>>>(std::string address,
                                                               net::ClientRequest request)>
        open;
};

/// Says of everything that it is not there.
[[nodiscard]] Elsewhere nowhere();

/// The real ones. `peers` is what module cluster offers.
[[nodiscard]] Elsewhere real_elsewhere(const LogsOptions& options, const Services& services,
                                       std::shared_ptr<net::PeersPlace> peers);

/// The answer of Marathon to /v2/leader. Errc::protocol.
[[nodiscard]] Result<std::string> parse_marathon_leader(std::string_view body);

/// The id in what `<work_dir>/meta/slaves/latest` leads to. Errc::not_found: there is no agent; denied,
/// internal. Blocks.
[[nodiscard]] Result<std::string> read_agent_id(const std::string& work_dir);

}  // namespace opsd::logs
