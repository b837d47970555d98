#pragma once
// How the members and their units were at a time, from the archive's rows and from what is known now. Pure,
// and much work for a thousand members: for a thread of its own, one page of members after another.
//
// Times of members' rows are by their own clocks; here they are read by ours, with the difference that was
// measured when the row was learned. Rows of this node itself are kept under the address that it had then,
// and are told of the one it has now.

#include "core/timeline.hpp"
#include "modules/cluster/answers.hpp"
#include "modules/cluster/archive.hpp"
#include "modules/cluster/table.hpp"

namespace opsd::cluster {

/// What is asked.
struct PastQuestion {
    WallTime time{};
    WallTime kept_since{};               ///< what members themselves did before is not kept
    std::optional<Unwatched> unwatched;  ///< when `time` is in one
    std::string node;                    ///< address, or host name of a member that is gone; "": all
    bool full = false;                   ///< also units that were healthy
    bool gzip = false;
};

/// Used by one thread at a time.
class Past {
public:
    /// `cluster` may be null; `waiting` are the rows that are not in the store yet.
    Past(PastQuestion question, ClusterSnapshot cluster, std::vector<ClusterTransition> waiting);

    /// Members of which the archive has rows; each once, with all that lies around the time.
    void take(const Archive::Around& page);

    /// When all were taken. Errc::not_found when the question names a node and there was none.
    [[nodiscard]] Result<std::shared_ptr<const http::Content>> report();

private:
    /// What says how the units of one member were.
    struct Evidence {
        std::vector<ClusterTransition> rows;
        std::optional<WallTime> begins;
    };
    void take(const std::string& address, Evidence evidence);
    void take_own_rows(const std::string& address, Evidence& evidence);
    void tell(const std::string& address, Evidence evidence);

    PastQuestion question_;
    ClusterSnapshot cluster_;
    std::map<std::string, std::vector<ClusterTransition>> waiting_;
    std::map<std::string, const Member*, AddressLess> untold_;  // members that are known now
    const Member* self_ = nullptr;
    Evidence own_;  // of this node, from all addresses it had
    std::map<std::string, NodeThen, AddressLess> nodes_;
};

}  // namespace opsd::cluster
