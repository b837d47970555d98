#pragma once
// How transitions, last states and acknowledgements become rows, and back.

#include "modules/health/tracker.hpp"
#include "opsd/store.hpp"

namespace opsd::health {

/// Units and acknowledgements read at most at start.
inline constexpr std::size_t most_known = 100'000;

[[nodiscard]] std::string transition_columns();
[[nodiscard]] Transition transition_from(const Row& row);
[[nodiscard]] Statement insert_transition(const Transition& transition);

[[nodiscard]] std::string known_columns();
[[nodiscard]] Known known_from(const Row& row);
[[nodiscard]] Statement upsert_known(const std::string& unit, const Known& known);

[[nodiscard]] Acknowledgement acknowledgement_from(const Row& row);
[[nodiscard]] Statement upsert_acknowledgement(const std::string& unit, const Acknowledgement& ack);

/// A unit and how many rows of it there are, or are too many.
struct RowsOfUnit {
    std::string unit;
    std::int64_t rows = 0;
    bool operator==(const RowsOfUnit&) const = default;
};

/// How many rows each unit must give so that `total` rows go, and no unit has more than `max_per_unit`: those
/// that have most give first, until they have as few as the next. `noisiest` are units by falling number of
/// rows, `all` of them or the first ones; then one more round may be needed.
[[nodiscard]] std::vector<RowsOfUnit> fair_surplus(std::vector<RowsOfUnit> noisiest, std::int64_t total,
                                                   std::int64_t max_per_unit, bool all);

/// Is it the same change for the same cause, so that it is only counted?
[[nodiscard]] bool same_transition(const Transition& a, const Transition& b);

}  // namespace opsd::health
