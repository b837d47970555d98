#pragma once
// Mesos as this node sees it: how its masters are asked, who leads, where its agents are. Asked for when
// somebody wants to know, and kept for a while.

#include "io/mesos/directory.hpp"
#include "io/mesos/masters.hpp"
#include "io/net/client.hpp"
#include "modules/dcos/options.hpp"
#include "opsd/clock.hpp"
#include "opsd/worker.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>

namespace opsd::dcos {

/// The agents at one moment.
struct AgentMap {
    std::map<std::string, mesos::Agent, std::less<>> by_id;  ///< those with an address; at most max_agents
    bool trusted = false;  ///< by the word of a master that may see credentials
};

/// Where an agent is asked.
struct AgentPlace {
    std::string url;  ///< "http://10.0.0.1:5051"
    bool trusted = false;
};

class MesosView {
public:
    /// The references outlive it; `worker` parses what is large.
    MesosView(const Executor& executor, const Clock& clock, WorkerThread& worker,
              const MesosOptions& options);

    /// Puts what the directory says in force.
    void use(const mesos::KnownMasters& known);
    /// Whether Mesos is part of this cluster's configuration at all.
    [[nodiscard]] bool configured() const noexcept { return known_ && known_->configured(); }
    /// Errc::unavailable, with what to set, when there is none to ask.
    [[nodiscard]] Result<std::shared_ptr<mesos::MesosMasters>> masters() const;
    /// With the TLS settings of the masters.
    [[nodiscard]] const std::shared_ptr<net::HttpClient>& agent_client() const noexcept { return client_; }
    /// IP addresses of the masters that ZooKeeper names.
    [[nodiscard]] std::vector<std::string> named_masters() const;

    Task<Result<mesos::Master>> leader(Duration max_age);
    /// Errc::not_found when the leader does not know it (asked anew when the list is older than a second).
    Task<Result<AgentPlace>> agent(std::string id);
    Task<Result<std::shared_ptr<const AgentMap>>> agents(Duration max_age);

private:
    using Masters = std::shared_ptr<mesos::MesosMasters>;
    Task<Result<>> fetch(Masters masters);
    [[nodiscard]] bool fresh(Duration max_age) const;
    [[nodiscard]] Result<AgentPlace> place_of(const mesos::Agent& agent, bool trusted) const;

    Executor executor_;
    const Clock& clock_;
    WorkerThread& worker_;
    const MesosOptions& options_;
    std::optional<mesos::KnownMasters> known_;
    Masters masters_;
    std::shared_ptr<net::HttpClient> client_;
    std::optional<mesos::Master> leader_;
    Monotonic leader_at_{};
    std::shared_ptr<const AgentMap> agents_;
    Monotonic agents_at_{};
    // one list is fetched at a time; others wait for it
    bool fetching_ = false;
    asio::steady_timer fetched_;
    std::optional<Error> failure_;  // of the last fetch
};

}  // namespace opsd::dcos
