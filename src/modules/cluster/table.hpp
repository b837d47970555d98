#pragma once
// Who is in the cluster and what is known of each. In: lists of the sources, documents of the members,
// failures, time as an argument. Out: the Cluster for the board, and what changed. No I/O, no clock.
//
// Promises: a member goes only when an operator removes it, or when no source names it any more and it has
// not answered for forget_after; a member that fails keeps its last units, counted as unknown; one opsd
// process that is known by two addresses counts once; roll-ups are kept up to date in O(units of the changed
// member).

#include "core/member_address.hpp"
#include "modules/cluster/document.hpp"
#include "modules/cluster/found_member.hpp"
#include "modules/cluster/rollup.hpp"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace opsd::cluster {

struct TableOptions {
    std::size_t max_members = 20'000;
    std::chrono::milliseconds forget_after = std::chrono::hours{24 * 7};
};

using Addresses = std::set<std::string, AddressLess>;

/// What a call changed, for the archive, the events and the followers.
struct TableChanges {
    Addresses follow;      ///< begin to ask
    Addresses unfollow;    ///< stop asking
    Addresses changed;     ///< picture, freshness, sources or identity: to be kept and shown
    Addresses gone;        ///< forgotten
    bool touched = false;  ///< only times of answers moved: worth showing, not urgent
    /// Of members themselves (unit ""): from and to are words of own_state(), "replaced" and "gone".
    std::vector<ClusterTransition> events;
    [[nodiscard]] bool any() const noexcept { return !changed.empty() || !gone.empty(); }
    void merge(TableChanges other);
};

class Table {
public:
    explicit Table(TableOptions options);

    // --- in
    /// The sources that are configured. Whom one of them named last in an earlier run it names until it gives
    /// its first list in this one.
    void expect(const std::vector<std::string>& sources);
    /// What an earlier run kept. Everything in it is stale until it answers, and nobody in it is forgotten
    /// sooner than forget_after from now: what is kept of the times of answers is older than the answers.
    /// Members that are known already have it, too, as far as they have not answered.
    TableChanges restore(std::vector<Member> kept, WallTime now);
    /// The complete list of one source as of now. Beyond max_members the rest is refused and counted.
    TableChanges named(const std::string& source, const std::vector<FoundMember>& found,
                       std::uint16_t cluster_port, WallTime now);
    /// This node, from the board; always fresh. Its address may change when its IP becomes known.
    TableChanges self(const std::string& address, NodeDocument document, WallTime now);
    /// A whole or partial document. not_found: not a member (any more). protocol: a partial one that does not
    /// fit what is held; what is held is forgotten, so that the next request asks for all.
    [[nodiscard]] Result<TableChanges> answered(const std::string& address, NodeDocument document,
                                                WallTime now, std::chrono::milliseconds clock_offset);
    /// It answered that nothing changed. One that is not fresh stays so: ask it for the whole picture.
    TableChanges unchanged(const std::string& address, WallTime now);
    /// It does not answer, or not so that it can be understood. `why` is a sentence.
    TableChanges failed(const std::string& address, const std::string& why, WallTime now);
    /// An operator's word. not_found; invalid_argument for this node itself and while a source still names it
    /// (which, and what to do).
    [[nodiscard]] Result<TableChanges> forget(const std::string& address, WallTime now);
    /// Planned work on a node; null withdraws. not_found.
    [[nodiscard]] Result<TableChanges> acknowledge(const std::string& address,
                                                   std::shared_ptr<const Acknowledgement> ack, WallTime now);
    /// Time passed: the forget rule, acknowledgements that ended.
    TableChanges tick(WallTime now);

    // --- out
    /// Members that are shown (no second address of a process) and the roll-up.
    [[nodiscard]] Cluster cluster(bool watching) const;
    /// By exact address, aliases too. Null: not known.
    [[nodiscard]] std::shared_ptr<const Member> find(std::string_view address) const;
    /// For the follower's If-None-Match: "instance.version" with quotes, of what is held; "" to ask for all.
    [[nodiscard]] std::string held(std::string_view address) const;
    /// Sources that have not given a list yet and of whose last one in an earlier run nobody is known either:
    /// whom they would name may be missing.
    [[nodiscard]] std::vector<std::string> unheard() const;
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] std::size_t aliases() const noexcept;
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
    [[nodiscard]] TextPool& pool() noexcept { return pool_; }

private:
    struct Entry {
        std::shared_ptr<const Member> member;
        std::map<std::string, FoundMember> claims;  // what each source said last
        std::string held_instance;                  // of the document that the units come from
        std::uint64_t held_version = 0;
        NodeIdentity own;        // what the node says of itself, without what sources add
        bool shown = true;       // false: another address of the same process is shown
        WallTime restored_at{};  // the epoch: an earlier run did not know it
    };
    using Entries = std::map<std::string, Entry, AddressLess>;

    Entry* add(const std::string& address, WallTime now, TableChanges& changes);
    void replace(Entry& entry, std::shared_ptr<Member> member, TableChanges& changes);
    void remember(Entry& entry, Member kept, WallTime now, TableChanges& changes);
    void remove(Entries::iterator at, const std::string& why, WallTime now, TableChanges& changes);
    void choose_shown(const std::string& instance, TableChanges& changes);
    void show(Entry& entry, bool shown, TableChanges& changes);
    [[nodiscard]] std::string shown_for(const Entry& hidden) const;
    void drop_from_instance(const std::string& instance, const std::string& address, TableChanges& changes);
    static void identify(Member& member, const Entry& entry, const NodeIdentity& own);
    static void tell_answer(const Member& old, const Member& member, WallTime now, TableChanges& changes);
    static void event(const Member& member, std::string from, std::string to, std::string reason,
                      WallTime now, TableChanges& changes);

    TableOptions options_;
    TextPool pool_;
    Entries entries_;
    std::map<std::string, Addresses> instances_;  // members by the process that answered last
    std::set<std::string> awaited_;               // sources that have not given a list yet
    Rollup rollup_;
    std::string self_;
    std::uint64_t refused_ = 0;
};

/// What its own transitions call it: its freshness, or "unreadable" when it answers and cannot read its
/// systemd.
[[nodiscard]] std::string_view own_state(const Member& member) noexcept;

}  // namespace opsd::cluster
