#pragma once
// Everything one instance of the module consists of, shared with its handlers.

#include "modules/forward/lag.hpp"
#include "modules/forward/output.hpp"

#include <memory>
#include <string>
#include <vector>

namespace opsd::forward {

/// What the module asks of the outside; tests bring their own.
struct Outside {
    Journal journal;
    TaskWorld tasks;
    std::function<Task<>()> run;  ///< the journal's follower, until cancelled
    /// What sends an output's records.
    std::function<std::unique_ptr<pipeline::Sink>(const OutputOptions&, const SinkServices&)> make_sink;
    std::string own_unit;
    std::uint32_t seed = 1;  ///< of the jitter
};

class Core {
public:
    Core(ForwardOptions settings, Services& services, Outside outside);
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    /// Null: there is none of that name.
    [[nodiscard]] Output* find(std::string_view name) const;
    [[nodiscard]] const std::vector<std::unique_ptr<Output>>& outputs() const noexcept { return outputs_; }
    /// Its status, and how far it is behind the end of the journal as last seen.
    [[nodiscard]] Lag lag(const OutputStatus& status) const;

    /// Looks after the outputs each 5 s, until cancelled: where the journal ends, while somebody is behind,
    /// and what the module's state is.
    Task<> watch();
    /// Asks all outputs to end in order and waits until they have, for so long at most.
    Task<> finish(std::chrono::milliseconds limit);

    const ForwardOptions options;
    Services& services;
    const Outside outside;

private:
    [[nodiscard]] pipeline::Labels labels() const;
    [[nodiscard]] bool anybody_behind() const;
    Task<> find_end();
    void report();

    RetiringWorker disk_;
    std::vector<std::unique_ptr<Surroundings>> surroundings_;
    std::vector<std::unique_ptr<Output>> outputs_;
    std::string end_;  ///< a cursor
    WallTime started_{};
};

}  // namespace opsd::forward
