#pragma once
// Who the masters of this cluster are and how they are asked, for everybody on a loop: written by the module
// that has the settings (cluster.sources), read by those who ask Mesos for other things. So it is told once.

#include "io/mesos/masters.hpp"
#include "opsd/board.hpp"

#include <boost/asio/execution_context.hpp>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opsd::mesos {

struct KnownMasters {
    std::shared_ptr<const MastersOptions> how;  ///< another object when the settings are others; never null
    std::vector<Master> named;                  ///< by ZooKeeper, the leader first; empty: none, or not asked
    std::string scheme = "http";                ///< of those
    bool zookeeper = false;                     ///< it is asked, so that masters may yet be named

    /// Whether Mesos is part of this cluster's configuration at all.
    [[nodiscard]] bool configured() const noexcept { return zookeeper || !how->urls.empty(); }
};

/// One of each loop; used on it only.
class MasterDirectory final : public asio::execution_context::service {
public:
    using key_type = MasterDirectory;
    static asio::execution_context::id id;

    explicit MasterDirectory(asio::execution_context& context) : service{context} {}
    static MasterDirectory& of(const Executor& executor);

    /// The settings; forgets who was named under earlier ones.
    void configure(MastersOptions how, std::string scheme, bool zookeeper, WallTime now);
    /// Who the masters are now, by ZooKeeper. Without news nobody is woken.
    void name(const std::vector<Master>& masters, WallTime now);

    /// Holds nothing before configure().
    [[nodiscard]] Latest<KnownMasters>& masters() noexcept { return *cell_; }

private:
    void shutdown() noexcept override { cell_.reset(); }

    std::optional<Latest<KnownMasters>> cell_;
};

}  // namespace opsd::mesos
