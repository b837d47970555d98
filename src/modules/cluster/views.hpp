#pragma once
// The routes that show the cluster: those of DC/OS below /system/health/v1, ours below /api/v1.
//
// In: the board's Cluster. Out: answers from memory, except ?cache, which waits for one round to all members,
// and what is fetched from a node on purpose. Where no source of members is configured the cluster is this
// node alone, and the same routes answer for it.

#include "modules/cluster/answers.hpp"
#include "modules/cluster/report.hpp"
#include "opsd/module.hpp"

#include <functional>
#include <optional>

namespace opsd::cluster {

/// What the routes ask of the module beyond the board.
struct Actions {
    /// One round to all members; single flight. timeout: not all have answered or failed within the limit.
    std::function<Task<Result<>>()> refresh;
    std::function<Task<Result<>>(std::string address)> forget;
    std::function<Task<Result<>>(std::string address, std::optional<Acknowledgement>)> acknowledge;
    /// GET of a path on a member, with the deadline and the credentials between nodes.
    std::function<Task<http::Response>(std::shared_ptr<const Member>, std::string path)> fetch;
};

struct ViewOptions {
    bool node_health_in_units = false;  ///< as the DC/OS program: /units/{u}/nodes shows the node's health
    AnswerLimits answers;
};

/// Shared with the handlers in flight.
struct Views {
    Views(ViewOptions given, Services& services, Actions what);
    ViewOptions options;
    Services& services;
    Actions actions;
    Answers answers;
    ReportSizes report_sizes;
};

[[nodiscard]] std::vector<http::Route> view_routes(const std::shared_ptr<Views>& views);

}  // namespace opsd::cluster
