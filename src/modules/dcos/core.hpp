#pragma once
// Everything one instance of the module consists of, shared with its handlers and the answers they pass on.

#include "modules/dcos/mesos_view.hpp"
#include "modules/dcos/options.hpp"
#include "opsd/module.hpp"
#include "opsd/worker.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace opsd::dcos {

/// What the module asks of the machine; tests bring their own.
struct Outside {
    std::string cluster_id_file = "/var/lib/dcos/cluster-id";
    std::string node_id;  ///< of this machine
};

struct Counters {
    std::uint64_t to_mesos = 0;  ///< questions handed on
    std::uint64_t to_agents = 0;
    std::uint64_t to_marathon = 0;
    std::uint64_t failed = 0;     ///< of those, without an answer
    std::uint64_t torn = 0;       ///< answers that broke off, or were too large
    std::uint64_t refused = 0;    ///< dcos.mesos.concurrent
    std::uint64_t forbidden = 0;  ///< operator calls that do more than read
    std::uint64_t bytes = 0;      ///< of answers passed on
    std::uint64_t secrets = 0;    ///< taken out of them
};

/// Marathon's base URL as Mesos knows it.
struct MarathonSeen {
    std::string url;
    Monotonic at{};
};

struct Core {
    Core(DcosOptions settings, Services& services, Outside outside);
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// A place among those that are handed on (dcos.mesos.concurrent), given back with the last copy.
    using Place = std::shared_ptr<void>;
    [[nodiscard]] static Result<Place> take_place(const std::shared_ptr<Core>& core);

    /// What a master is shown of the caller's: nothing when our own credentials are, else a header's value.
    [[nodiscard]] std::optional<std::string> shown_to_masters(const http::Request& request) const;

    DcosOptions options;
    Services& services;
    Outside outside;
    RetiringWorker worker;  ///< parses, reads files
    MesosView mesos;
    net::HttpClient marathon_client;
    std::optional<MarathonSeen> marathon;
    std::optional<bool> reachable;  ///< whether Mesos was, when it was looked at last
    std::string cluster_id;         ///< from its file; "" while it is not read, or is not there
    std::int64_t places = 0;
    Counters counters;
};

}  // namespace opsd::dcos
