#pragma once
// Explanations on demand: one gathering per unit however many ask, few at a time, one deadline for each, and
// an answer that is kept for a moment while the unit does not change.

#include "modules/health/explain/gather.hpp"
#include "opsd/http.hpp"
#include "opsd/log.hpp"
#include "opsd/task_group.hpp"

#include <map>
#include <memory>
#include <string>

namespace opsd::health::explain {

/// Counters, for the metrics.
struct ExplainCounters {
    std::uint64_t asked = 0;
    std::uint64_t cached = 0;    ///< answered from what was kept
    std::uint64_t joined = 0;    ///< waited for a gathering that somebody else had begun
    std::uint64_t gathered = 0;  ///< gatherings begun
    std::uint64_t refused = 0;   ///< more at a time than allowed
    std::uint64_t late = 0;      ///< gatherings that the deadline ended
};

class Explainer {
public:
    struct Parts {
        Executor executor;
        Clock& clock;
        const ExplainOptions& options;
        Duration restart_window;
        Sources sources;
        std::function<std::string()> node_name;
        Log log;
    };
    explicit Explainer(Parts parts);

    /// Owns the gatherings until cancelled. Before and after it, ask() answers 503.
    Task<> run();

    Task<http::Response> ask(std::shared_ptr<const UnitState> unit, bool systemd_readable);

    [[nodiscard]] const ExplainCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t running() const noexcept { return flights_.size(); }
    [[nodiscard]] std::size_t kept() const noexcept { return kept_.size(); }

private:
    using Content = std::shared_ptr<const http::Content>;
    struct Flight {
        Flight(const Executor& executor, std::shared_ptr<const UnitState> of)
          : landed{executor, never}
          , unit{std::move(of)}
        {}
        asio::steady_timer landed;
        std::shared_ptr<const UnitState> unit;
        bool done = false;
        Content content;  ///< null: it was cut off
    };
    struct Kept {
        std::shared_ptr<const UnitState> unit;
        bool readable = true;
        Monotonic at{};
        Content content;
    };

    Task<http::Response> join_or_begin(std::shared_ptr<const UnitState> unit, bool readable);
    Task<> fly(std::shared_ptr<Flight> flight, bool readable);
    Task<> land(std::shared_ptr<Flight> flight);
    Task<Content> gather_and_explain(const UnitState& unit, bool readable);
    void keep(const std::shared_ptr<const UnitState>& unit, bool readable, Content content);
    [[nodiscard]] Content recent(const std::shared_ptr<const UnitState>& unit, bool readable) const;

    Parts parts_;
    TaskGroup* group_ = nullptr;  ///< while run() runs
    std::map<std::string, std::shared_ptr<Flight>, std::less<>> flights_;
    std::map<std::string, Kept, std::less<>> kept_;
    ExplainCounters counters_;
};

}  // namespace opsd::health::explain
