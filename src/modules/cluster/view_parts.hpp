#pragma once
// What the route files of the cluster share.

#include "modules/cluster/render.hpp"
#include "modules/cluster/table.hpp"
#include "modules/cluster/views.hpp"

namespace opsd::cluster {

using http::Access;
using http::Method;
using http::Request;
using http::Response;
using Shared = std::shared_ptr<Views>;
using Answer = Task<Response> (*)(Shared, const Request&);

/// A handler that keeps the views alive.
[[nodiscard]] http::Handler with(const Shared& views, Answer answer);

[[nodiscard]] bool takes_gzip(const Request& request);
/// Whether the client will not take what was known before it asked: all nodes were asked for it.
[[nodiscard]] bool wants_newest(const Request& request);

/// The newest snapshot, never null: before the first publish it is an empty cluster.
[[nodiscard]] ClusterSnapshot snapshot_of(const Views& views);

/// A member named in the path, or the answer that says why there is none.
struct FoundNode {
    std::shared_ptr<const Member> member;
    std::optional<Response> problem;
};
/// `plain`: text as the DC/OS program answers, else problem+json.
[[nodiscard]] FoundNode find_node(const Cluster& cluster, const Request& request, bool plain);

/// May the caller read the journal lines of that unit, as this node's logs.allow has it?
[[nodiscard]] bool shows_entries(const Views& views, const MemberUnit& unit, const http::Caller& caller);

/// The cluster's health, and why it is not 0. A cluster of which not everybody is known is not healthy,
/// whatever those say who are.
struct Verdict {
    Health health = Health::unknown;
    std::string reason;
};
[[nodiscard]] Verdict verdict_of(const Cluster& cluster);

[[nodiscard]] const UnitRollup* find_unit(const Cluster& cluster, std::string_view id);

/// When anything but the times of answers last changed: Last-Modified of what shows no such times. Rounded up
/// to a second: whoever holds what was dated within that second is told of the change.
[[nodiscard]] WallTime changed_at(const Snapshot<Cluster>& snapshot) noexcept;

/// The times of an answer about the whole cluster, or about one member: how old what is known is.
[[nodiscard]] Response dated(Response response, const Views& views, const Snapshot<Cluster>& snapshot,
                             const Member* member = nullptr);

/// A kept answer with its times. Errc::unavailable: there is no room for it.
Task<Result<Response>> kept_answer(Shared views, WantedAnswer wanted);

/// Waits for ?cache where it was asked for. nullopt: go on.
Task<std::optional<Response>> refreshed(Shared views, const Request& request);

[[nodiscard]] std::vector<http::Route> dcos_routes(const Shared& views);
[[nodiscard]] std::vector<http::Route> node_routes(const Shared& views);
[[nodiscard]] std::vector<http::Route> cluster_routes(const Shared& views);

}  // namespace opsd::cluster
