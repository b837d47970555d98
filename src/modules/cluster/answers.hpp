#pragma once
// Rendered answers, shared by all who ask. Each is made once per version of the cluster, by one of those who
// ask while the others wait; large ones are compressed on a thread of their own. What slow clients still read
// counts, too: without room for a new answer the last one goes out for a while, then none.

#include "opsd/board.hpp"
#include "opsd/cluster.hpp"
#include "opsd/http.hpp"
#include "opsd/worker.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opsd::cluster {

using ClusterSnapshot = std::shared_ptr<const Snapshot<Cluster>>;

/// Bounds of the answers that are kept or still read.
struct AnswerLimits {
    std::size_t bytes = 48U << 20U;                     ///< all together; beyond, the longest unused goes
    std::chrono::milliseconds unused_for{60'000};       ///< dropped when nobody asked for so long
    std::chrono::milliseconds large_max_age{1'000};     ///< a large answer is not made more often
    std::chrono::milliseconds crowded_max_age{10'000};  ///< of a large one, while a new one has no room
};

/// An answer that is asked for.
struct WantedAnswer {
    /// Makes the body for a snapshot; gives way to others now and then.
    using Render = std::function<Task<std::string>(const Cluster&)>;

    std::string key;
    ClusterSnapshot snapshot;  ///< the newest one
    WallTime modified{};       ///< when what it shows of that snapshot last changed; rounded up to a second
    WallTime confirmed{};      ///< since when what it shows is known to be so
    bool gzip = false;
    bool no_older = false;  ///< than the snapshot, whatever it costs: its reader has had all nodes asked
    std::size_t size = 0;   ///< about how large it will be; 0: like the last one
    Render render;
};

struct KeptAnswer {
    std::shared_ptr<const http::Content> content;
    WallTime confirmed{};  ///< of the snapshot that it was made from
};

/// Loop thread only. Must outlive the requests that use it.
class Answers {
public:
    Answers(const Executor& executor, Clock& clock, AnswerLimits limits);

    /// Of the snapshot's version or a newer one; a large one may be older by `large_max_age`, and without
    /// room by `crowded_max_age`. Errc::unavailable: no room, and nothing that new.
    Task<Result<KeptAnswer>> get(WantedAnswer wanted);

    /// Of those that are kept.
    [[nodiscard]] std::size_t bytes() const noexcept;
    /// Of those that are kept, still read, or being made.
    [[nodiscard]] std::size_t bytes_in_use() const noexcept;
    [[nodiscard]] std::uint64_t rendered() const noexcept { return rendered_; }

private:
    struct Entry {
        explicit Entry(const Executor& executor) : changed{executor, never} {}
        std::uint64_t version = 0;
        WallTime confirmed{};
        Monotonic made_at{};
        Monotonic used_at{};
        std::shared_ptr<const http::Content> content;
        bool packed = false;  // compressed as well, if that was worth it
        bool making = false;
        asio::steady_timer changed;
    };
    [[nodiscard]] bool is_good(const Entry& entry, const WantedAnswer& wanted, bool crowded) const;
    /// Last-Modified of what is made.
    struct Dates {
        WallTime of_small;
        std::optional<WallTime> of_large;
    };
    Task<> make(Entry& entry, const WantedAnswer& wanted, Dates dates, std::size_t size);
    [[nodiscard]] bool make_room(const Entry& entry, std::size_t size);
    bool drop_longest_unused(const Entry* keep);
    void trim(const Entry* keep);

    Executor executor_;
    Clock& clock_;
    AnswerLimits limits_;
    std::optional<WorkerThread> packer_;  // begun with the first large answer
    std::map<std::string, std::shared_ptr<Entry>, std::less<>> entries_;
    std::vector<std::weak_ptr<const http::Content>> made_;  // kept or still read; some are gone
    std::size_t being_made_ = 0;                            // bytes, about
    std::uint64_t rendered_ = 0;
};

}  // namespace opsd::cluster
