#pragma once
// How a transition becomes cells of a row, and back: the same columns in every table that keeps transitions.
// Ids, and whose a transition is, are columns of each table's own.

#include "core/cells.hpp"
#include "opsd/model.hpp"
#include "opsd/store.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace opsd {

[[nodiscard]] int small_integer(const Cell& cell) noexcept;
/// What is neither 0 nor 1 is unknown.
[[nodiscard]] Health health_from(const Cell& cell) noexcept;

/// What a transition says, in the order of the two functions below.
inline constexpr std::string_view transition_value_columns =
    "unit, first_at, last_at, count, from_state, to_state, from_health, to_health, result, code, status, "
    "invocation, reason";
void append_values(std::vector<Cell>& cells, const Transition& transition);
/// From the cells that begin at `first`; without an id.
[[nodiscard]] Transition transition_at(const Row& row, std::size_t first);

/// Deletes those transitions of the tables of `owner` (OWNER_transitions, OWNER_meta) whose seq `which`
/// selects, and notes the newest of them: whoever resumes from before it cannot be told all.
[[nodiscard]] std::vector<Statement> lose_transitions(std::string_view owner, const std::string& which,
                                                      const std::vector<Cell>& values);
/// Notes that transitions up to that id were lost.
[[nodiscard]] Statement note_lost(std::string_view owner, std::int64_t id);
/// The newest id that was noted; 0: none.
[[nodiscard]] Statement select_lost(std::string_view owner);

/// Ids up to `end` may be given from now on, whatever comes: a noted end is none any more.
[[nodiscard]] std::vector<Statement> reserve_ids(std::string_view owner, std::int64_t end);
/// The run of the daemon ends: what was given has its row, but for what was lost, up to that id; 0: nothing.
[[nodiscard]] std::vector<Statement> note_end(std::string_view owner, std::int64_t lost);
/// What earlier runs left behind: the newest id that may have been given (0: none), and whether the last of
/// them noted its end. Of a run that was killed nobody knows what it gave and did not write.
struct GivenIds {
    std::int64_t last = 0;
    bool ended = false;
};
[[nodiscard]] Statement select_given_ids(std::string_view owner);
[[nodiscard]] GivenIds given_ids(const std::vector<Row>& rows);

/// Where a run of the daemon stands with its ids.
struct Ids {
    std::int64_t next = 1;
    std::int64_t lost = 0;  ///< the newest that was given and never written
};
/// Where it goes on when it learns what earlier runs left behind. Until then its ids came from the clock,
/// from `first` on: when `any` was given they stay ahead, and over an empty store, which may stand in the
/// place of a lost one whose ids were given, too.
[[nodiscard]] Ids go_on(Ids now, const GivenIds& given, std::int64_t first, bool any) noexcept;

/// "?1, ?2, ?3" for three.
[[nodiscard]] std::string placeholders(std::size_t count);

}  // namespace opsd
