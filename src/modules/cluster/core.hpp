#pragma once
// Everything one instance of the module consists of, shared with its handlers: a request or an event stream
// in flight keeps what it reads.

#include "core/read_slots.hpp"
#include "io/net/peers.hpp"
#include "modules/cluster/archive.hpp"
#include "modules/cluster/follower.hpp"
#include "modules/cluster/own_document.hpp"
#include "modules/cluster/own_picture.hpp"
#include "modules/cluster/sources.hpp"
#include "opsd/module.hpp"

#include <map>
#include <set>
#include <string>

namespace opsd::cluster {

/// What the module asks of the outside; tests bring their own.
struct Outside {
    Followers::Send send;
    std::function<std::string()> node_id;
    std::string instance;    ///< names this run of the module
    std::uint32_t seed = 1;  ///< of the jitter
    /// Asks for an answer that is read piece by piece.
    std::function<Task<Result<std::unique_ptr<net::Incoming>>>(net::ClientRequest)> open = {};
};

struct Core final : MemberSink, std::enable_shared_from_this<Core> {
    Core(ClusterOptions settings, Services& all, bool watch, Outside outside);
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// Follows, keeps, tells and shows what a call of the table changed.
    void take(TableChanges changes);
    /// The same, of what a member said or did not say.
    void heard(TableChanges changes);
    /// What an earlier run kept.
    void restored(std::vector<Member> kept);
    /// A page of a member's transitions.
    void learned(const std::string& address, TransitionPage page);
    /// One of this node.
    void learned(Transition transition);
    /// Takes this node's picture from the board.
    void take_self();

    // --- what sources say
    void found(const std::string& source, std::vector<FoundMember> members) override;
    void failed(const std::string& source, std::string sentence) override;
    void mesos_id(std::string id) override;

    // --- what clients ask for (actions.cpp)
    Task<Result<>> refresh();
    Task<Result<>> forget(std::string address);
    Task<Result<>> acknowledge(std::string address, std::optional<Acknowledgement> ack);
    Task<http::Response> fetch(std::shared_ptr<const Member> member, std::string path);

    /// What others use to reach members (net::Peers::open).
    Task<Result<std::unique_ptr<net::Incoming>>> open_at(std::string address, net::ClientRequest request);

    /// Now: whoever asks after his own change sees it.
    void publish();
    /// Publishes at most once per publish_interval; lives until cancelled.
    Task<> publish_loop();
    Task<> self_loop();
    Task<> own_transitions_loop();
    Task<> tick_loop();

    /// "" mends the part.
    void trouble(const std::string& part, const std::string& sentence);
    void started();

    ClusterOptions options;
    Services& services;
    bool watching;
    Table table;
    std::shared_ptr<OwnDocument> own;
    Archive archive;
    ReadSlots readers;    ///< of the archive, for answers
    RetiringWorker past;  ///< where answers about the past are made
    Followers::Send send;
    decltype(Outside::open) open;
    Reach reach;  ///< with the token, once it is read
    Followers followers;
    std::unique_ptr<Feed<Transition>::Subscription> own_transitions;
    std::function<std::string()> machine_id;
    OwnPicture picture;
    std::string self_address;
    std::uint64_t streams = 0;
    std::uint64_t own_missed = 0;

private:
    void tell(const std::string& address, Transition transition, const std::string& node_id);
    [[nodiscard]] std::string crowded() const;
    [[nodiscard]] std::string incomplete() const;
    void report();
    Task<> publish_when_due();
    void note(const ClusterTransition& event);
    void log_news();

    asio::steady_timer news_;
    WallTime changed_at_{};
    WallTime newest_{};              // that the clock showed when something was published
    WallTime earliest_{};            // no change is dated before
    std::set<std::string> crowded_;  // sources that name members beyond the limit
    bool changed_ = true;
    bool touched_ = false;
    std::pair<std::uint64_t, std::uint64_t> refreshed_own_{};  // versions of this node's board in refresh()
    bool started_ = false;
    std::map<std::string, std::string> troubles_;
    // Answered when an earlier run ended, and were not asked since: what their own transitions call them.
    std::map<std::string, std::string> returning_;
    /// For the log: a switch that fails is one line, not a thousand.
    struct News {
        std::size_t stale = 0;
        std::size_t fresh = 0;
        std::string first_stale;
        std::string first_fresh;
    } log_;
};

}  // namespace opsd::cluster
