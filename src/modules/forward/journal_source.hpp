#pragma once
// The journal as a source of records: slices up to its end, then the follower's chunks, and slices again
// whenever the follower lets go. The journal is the buffer: who does not ask does not read.
//
// In: a start, slices and chunks whose writer frames records (FrameWriter). Out: records in order, how far
// that is, what was vacuumed before it could be read. Promises: nothing is missed and nothing comes twice
// between begin() and the end, whatever is cancelled; the position also moves over what the filter leaves
// out; waiting costs nothing but a look each five minutes.

#include "io/systemd/journal_follower.hpp"
#include "modules/forward/input.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace opsd::forward {

/// Continues one reading: its next slice each time.
using NextSlice = std::function<Task<Result<systemd::JournalSlice>>(systemd::SliceLimits)>;

/// The journal; tests bring their own.
struct Journal {
    std::function<NextSlice(systemd::JournalRange, std::unique_ptr<systemd::EntryWriter>)> read;
    std::function<Task<Result<std::unique_ptr<systemd::Subscription>>>(
        systemd::FollowKey, systemd::JournalFollower::MakeWriter, std::string position)>
        follow;
};

struct JournalSourceOptions {
    systemd::MatchGroups matches;
    std::string name;   ///< of the output: its writers are its own
    std::string start;  ///< the place to begin at when nothing is saved; "": the end
};

class JournalSource final : public Input {
public:
    /// `make_writer` is called on the loop. All outlive it.
    JournalSource(JournalSourceOptions options, const Journal& journal,
                  systemd::JournalFollower::MakeWriter make_writer, std::function<pipeline::Labels()> labels,
                  Clock& clock);

    void begin(const pipeline::Start& start) override;
    Task<Result<pipeline::Slice>> next() override;

    Task<> attend() override;
    [[nodiscard]] bool at_end() const noexcept override { return at_end_; }
    [[nodiscard]] std::uint64_t damaged() const noexcept override { return damaged_; }

private:
    Task<Result<systemd::JournalSlice>> read();
    Task<> follow();
    Task<> wait_for_news();
    Result<pipeline::Slice> slice_of(std::string text, std::string position);

    JournalSourceOptions options_;
    const Journal& journal_;
    systemd::JournalFollower::MakeWriter make_writer_;
    std::function<pipeline::Labels()> labels_;
    Clock& clock_;
    std::string position_;  ///< all before and at it was handed on
    NextSlice reading_;     ///< null: begins at the position
    std::unique_ptr<systemd::Subscription> subscription_;
    std::optional<systemd::FollowChunk> news_;
    std::optional<std::string> refused_at_;  ///< where the follower said that it is too far
    bool at_end_ = false;
    bool follow_next_ = false;
    std::uint64_t damaged_ = 0;
};

}  // namespace opsd::forward
