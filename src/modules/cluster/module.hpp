#pragma once
// Module cluster: what this node tells others of itself, and, where it watches, what it knows of all of them.
//
// What comes in
//   The board: this node's health and identity. On a node that watches: members named by sources (the
//   configuration; sources.hpp), and what each of them answers over HTTP.
//
// What goes out
//   GET /api/v1/node, which others follow. Board::cluster and Feeds::cluster. On a node that watches, for all
//   nodes instead of this one: /api/v1/health/history, /api/v1/health/at, /api/v1/events. Metrics. Members
//   and transitions in the store.
//
// What it promises
//   - A change of a unit on a member is here within milliseconds: the member holds its answer until there is
//   one.
//   - One slow or silent member delays nobody else; a source that fails removes nobody.
//   - A member that does not answer stays with its last units, stale with its age and the reason, and counts
//   as
//     unknown; so it is after a restart.
//   - Work, memory and connections are bounded by settings; what a bound costs is counted and said.
//
// How it is built: pure logic (options, table, document, asking, timeline) with time as an argument, and thin
// tasks around it (follower, refresh, catch_up, archive, own_document).

#include "modules/cluster/core.hpp"
#include "modules/cluster/views.hpp"

namespace opsd::cluster {

class ClusterModule final : public Module {
public:
    /// `place`: where it offers what others need to reach members; null: nowhere.
    explicit ClusterModule(std::shared_ptr<Core> core, std::shared_ptr<net::PeersPlace> place = {});

    std::vector<http::Route> routes() override;
    Task<> run() override;

private:
    Task<> watch(TaskGroup& group, MemberSources& sources);
    Task<Result<>> restore();
    Task<> restore_later();
    Task<> read_token();

    std::shared_ptr<Core> core_;
    std::shared_ptr<Views> views_;
    std::shared_ptr<net::PeersPlace> place_;
    bool restored_ = false;  // what an earlier run kept
};

/// The module's line in the catalog.
[[nodiscard]] CatalogEntry catalog_entry(std::shared_ptr<net::PeersPlace> place);

}  // namespace opsd::cluster
