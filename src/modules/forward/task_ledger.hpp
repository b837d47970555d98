#pragma once
// What a record's number stands for: how far which file is when it is delivered. Pure.
//
// An output's position is the number of the last record that was delivered, which is one of thousands in
// many files. The ledger keeps what each number adds until it is delivered, and makes the text that is saved.

#include "pipeline/position_file.hpp"
#include "pipeline/tail/file_position.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::forward {

/// What happened, besides how far a file is.
struct LedgerSpot {
    enum class What {
        run,     ///< `run` was found, or `tasks` of it
        file,    ///< of `run`, of this name
        gone,    ///< a file of `run`: the step's offset is the generation of a next one of this name
        done,    ///< `run` was read to its end
        forget,  ///< nobody lists `run` any more, which was done
        looked,  ///< for tasks; the step's offset is when, and all that it found comes before
    };
    What what = What::file;
    pipeline::RunName run;
    std::string name;
    pipeline::FilePosition at;
    bool pod = false;
    std::vector<pipeline::RunTask> tasks{};
};

struct LedgerStep {
    std::uint64_t number = 0;
    std::uint64_t offset = 0;  ///< of a file: after the record; of a look: its time
    std::shared_ptr<const LedgerSpot> spot;
};

class TaskLedger {
public:
    /// Everything in it is delivered; forgets what was added.
    void begin(pipeline::TailPosition position);
    /// In the order of their numbers.
    void add(std::vector<LedgerStep> steps);
    /// The text of everything up to a number.
    [[nodiscard]] std::string text_up_to(std::uint64_t number);
    [[nodiscard]] const pipeline::TailPosition& delivered() const noexcept { return delivered_; }

private:
    void apply(const LedgerStep& step);

    pipeline::TailPosition delivered_;
    std::deque<LedgerStep> steps_;
};

/// The same files, each from its start, and all others too.
[[nodiscard]] pipeline::TailPosition from_the_start(const pipeline::TailPosition& position);

/// A position file of which an output sees only the numbers: load() fills the ledger, and Start::position is
/// "" when there is nothing. save() takes a number, or the place `beginning`.
[[nodiscard]] std::unique_ptr<pipeline::PositionStore>
make_ledger_positions(std::unique_ptr<pipeline::PositionStore> inner, std::shared_ptr<TaskLedger> ledger);

}  // namespace opsd::forward
