#pragma once
// A transition in JSON, the same wherever it is shown and when one node tells it to another.

#include "core/json_text.hpp"
#include "opsd/cluster.hpp"
#include "opsd/model.hpp"
#include "opsd/result.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace opsd {

/// The members of one transition, without brackets: {"id","unit","at","last_at","count","from","to",
/// "from_health","to_health","result","exec_main_code","exec_main_status","invocation_id","reason"}.
void append_transition_members(JsonText& json, const Transition& transition);

/// One transition of the cluster, with brackets: the members above, where "id" is the one of this node's
/// list, and "address", "hostname", "seen_at".
void append_cluster_transition(std::string& out, const ClusterTransition& transition);

/// A page of a node's transitions: GET /api/v1/node/history.
struct TransitionPage {
    std::vector<Transition> rows;  ///< ids ascend
    std::int64_t last_id = 0;      ///< where the next page begins
    bool more = false;             ///< there may be a next page
};

/// {"transitions":[...],"last_id","more"} and a newline.
[[nodiscard]] std::string page_json(const TransitionPage& page);

/// Reads foreign bytes: at most `most` rows, texts cut at 4 KiB, unknown members ignored. Errc::protocol when
/// it is no such page or its ids do not ascend.
[[nodiscard]] Result<TransitionPage> read_page(std::string_view json, std::size_t most);

}  // namespace opsd
