#pragma once
// Where an output's records come from, beyond what a delivery asks of a source.

#include "pipeline/delivery.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace opsd::forward {

/// How the reading of tasks' files is.
struct TaskStatus {
    bool by_agent = false;           ///< tasks are found as the agent says, else by its folders
    std::uint64_t runs = 0;          ///< of executors, which have files
    std::uint64_t files = 0;         ///< followed
    std::uint64_t not_followed = 0;  ///< because of tasks.max_files
    std::uint64_t queued = 0;        ///< open only until older ones are read, up to tasks.max_queued
    std::uint64_t unreadable = 0;
    std::uint64_t behind_bytes = 0;  ///< not read yet, as last seen
    std::uint64_t losses = 0;        ///< times that something was gone before it was read
    std::string last_loss;           ///< a sentence
    std::string unreadable_why;      ///< why one of those files cannot be read
    std::string find_error;          ///< why tasks cannot be found as they should; "" when they are
};

class Input : public pipeline::Source {
public:
    /// What an output keeps its position in: `inner`, or something around it.
    [[nodiscard]] virtual std::unique_ptr<pipeline::PositionStore>
    positions(std::unique_ptr<pipeline::PositionStore> inner)
    {
        return inner;
    }
    /// What has to be done beside the reading, until cancelled.
    virtual Task<> attend() = 0;
    /// Entries that could not be read and were passed over.
    [[nodiscard]] virtual std::uint64_t damaged() const noexcept = 0;
    /// Null: they are not files of tasks.
    [[nodiscard]] virtual const TaskStatus* tasks() const noexcept { return nullptr; }
};

}  // namespace opsd::forward
