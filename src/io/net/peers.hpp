#pragma once
// How other nodes of the cluster are reached, for modules that ask them: with the addresses, the TLS and the
// token of the one module that is configured with them (cluster), which offers it while it runs.

#include "io/net/incoming.hpp"
#include "io/net/transport.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace opsd::net {

/// What is offered. A call that is under way survives the end of the offer.
struct Peers {
    /// Asks a member (Member::address). The request's url is a path with its query, "/api/v1/logs?lines=1";
    /// its timeout is for all up to the head of the answer. This node's credentials are added.
    std::function<Task<Result<std::unique_ptr<Incoming>>>(std::string address, ClientRequest request)> open;
    /// /state of the leading Mesos master. `authorization` is the caller's, used where the configuration has
    /// no credentials for the masters. Null: no masters are configured.
    std::function<Task<Result<std::string>>(Deadline end, std::string authorization)> mesos_state;
};

/// Where it is offered and found. Loop thread only.
class PeersPlace {
public:
    /// Null while nobody offers it.
    [[nodiscard]] const std::shared_ptr<const Peers>& get() const noexcept { return peers_; }

    /// Takes the offer back when it is destroyed, unless another one stands there now.
    class Offer {
    public:
        Offer(std::shared_ptr<PeersPlace> place, Peers peers)
          : place_{std::move(place)}
          , peers_{std::make_shared<const Peers>(std::move(peers))}
        {
            place_->peers_ = peers_;
        }
        ~Offer()
        {
            if (place_->peers_ == peers_) place_->peers_.reset();
        }
        Offer(const Offer&) = delete;
        Offer& operator=(const Offer&) = delete;

    private:
        std::shared_ptr<PeersPlace> place_;
        std::shared_ptr<const Peers> peers_;
    };

private:
    std::shared_ptr<const Peers> peers_;
};

}  // namespace opsd::net
