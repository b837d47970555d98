#pragma once
// Who is in the cluster and what is known of each. In: lists of the sources, documents of the members,
// failures, time as an argument. Out: the Cluster for the board, and what changed. No I/O, no clock.
//
// Promises: a member goes only when an operator removes it, or when no source names it any more and it has
// not answered for forget_after; a member that fails keeps its last units, counted as unknown; one opsd
// process that is known by two addresses counts once; roll-ups are kept up to date in O(units of the changed
// member).

#include "modules/cluster/document.hpp"
#include "modules/cluster/found_member.hpp"

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace opsd::cluster {

/// Numbers compare by value: 10.0.0.9 before 10.0.0.10; then the port; names after addresses.
struct AddressLess {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const noexcept;
};

/// "10.0.0.2" when `port` is 0 or the cluster's, else "10.0.0.2:1051"; IPv6 in brackets with a port.
[[nodiscard]] std::string member_address(std::string_view host, std::uint16_t port,
                                         std::uint16_t cluster_port);

struct TableOptions {
    std::size_t max_members = 20'000;
    std::chrono::milliseconds forget_after = std::chrono::hours{24 * 7};
};

/// What a call changed, for the archive, the events and the followers.
struct TableChanges {
    std::set<std::string, AddressLess> added;    ///< begin to follow
    std::set<std::string, AddressLess> removed;  ///< stop following
    std::set<std::string, AddressLess> changed;  ///< picture, freshness or identity: to be kept and shown
    std::vector<ClusterTransition>
        events;  ///< of members themselves (unit ""): fresh, stale, replaced, added, removed
    [[nodiscard]] bool any() const noexcept { return !added.empty() || !removed.empty() || !changed.empty(); }
    void merge(TableChanges other);
};

/// A look-up by what an operator types: address, host name, Mesos id or node id.
struct Lookup {
    std::shared_ptr<const Member> member;  ///< null when none or several fit
    std::vector<std::string> candidates;   ///< addresses of all that fit, when several
};

class Table {
public:
    Table(TableOptions options, std::string own_instance);

    // --- in
    /// What an earlier run kept. Everything in it is stale until it answers.
    TableChanges restore(std::vector<Member> kept, WallTime now);
    /// The complete list of one source as of now.
    TableChanges named(const std::string& source, const std::vector<FoundMember>& found,
                       std::uint16_t cluster_port, WallTime now);
    /// This node, from the board.
    TableChanges self(std::string address, NodeDocument document, WallTime now);
    /// A whole or partial document. A partial one whose base or instance does not fit is refused: ask for
    /// all.
    [[nodiscard]] Result<TableChanges> answered(const std::string& address, NodeDocument document,
                                                WallTime now, std::chrono::milliseconds clock_offset);
    /// It answered that nothing changed.
    TableChanges unchanged(const std::string& address, WallTime now);
    /// It did not answer, or not so that it could be understood. `why` is a sentence.
    TableChanges failed(const std::string& address, std::string why, WallTime now);
    /// An operator's word. not_found; invalid_argument while a source still names it (which, and what to do).
    [[nodiscard]] Result<TableChanges> forget(const std::string& address, WallTime now);
    /// Planned work on a node; nullptr withdraws.
    [[nodiscard]] Result<TableChanges> acknowledge(const std::string& address,
                                                   std::shared_ptr<const Acknowledgement> ack, WallTime now);
    /// Time passed: the forget rule, acknowledgements that ended.
    TableChanges tick(WallTime now);

    // --- out
    [[nodiscard]] Cluster cluster() const;  ///< aliases of a member are not in it
    [[nodiscard]] std::shared_ptr<const Member> find(std::string_view address) const;
    [[nodiscard]] Lookup look_up(std::string_view name) const;
    [[nodiscard]] std::size_t size() const noexcept;
    /// The address under which the process behind `address` is shown; itself when it is no alias.
    [[nodiscard]] std::string shown_as(std::string_view address) const;
    [[nodiscard]] std::uint64_t refused() const noexcept;  ///< members beyond max_members
    /// For the follower's next request: "instance.version" of what is held; "" for a whole document.
    [[nodiscard]] std::string held(std::string_view address) const;
    TextPool& pool() noexcept;

private:
    // The author of table.cpp shapes this.
};

}  // namespace opsd::cluster
