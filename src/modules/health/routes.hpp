#pragma once
// The module's rows of the route table. All answers come from the model; only history reads ask the store.

#include "modules/health/core.hpp"

#include <memory>
#include <vector>

namespace opsd::health {

[[nodiscard]] std::vector<http::Route> routes_of(std::shared_ptr<Core> core);

/// GET /api/v1/events: transitions as server-sent events (events.cpp).
Task<http::Response> events(std::shared_ptr<Core> core, const http::Request& request);

/// GET /api/v1/node/history, /api/v1/health/history and /api/v1/health/at (past.cpp).
Task<http::Response> node_history(std::shared_ptr<Core> core, const http::Request& request);
Task<http::Response> health_history(std::shared_ptr<Core> core, const http::Request& request);
Task<http::Response> health_at(std::shared_ptr<Core> core, const http::Request& request);

/// What History::read() says, for an answer: refused while health.history.concurrent are being read.
Task<Result<History::Page>> read_history(std::shared_ptr<Core> core, HistoryQuery query);

/// ?since=, ?until=, ?limit=; the reason when one of them cannot be read.
[[nodiscard]] Result<HistoryQuery> history_query(const http::Request& request);

/// POST and DELETE /api/v1/units/{unit}/ack (acks.cpp).
Task<http::Response> acknowledge(std::shared_ptr<Core> core, const http::Request& request);
Task<http::Response> withdraw(std::shared_ptr<Core> core, const http::Request& request);
Task<http::Response> acknowledgement(std::shared_ptr<Core> core, const http::Request& request);

/// The unit a request names, by id or alias; or the problem to answer with.
struct FoundUnit {
    std::shared_ptr<const UnitState> unit;
    std::optional<http::Response> problem;
};
[[nodiscard]] FoundUnit find_unit(const Core& core, const http::Request& request);

/// 503: systemd was not looked at yet.
[[nodiscard]] http::Response no_data_yet();

}  // namespace opsd::health
