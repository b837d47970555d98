#pragma once
// Rendered answers, shared by all who ask. Each is made once per version of the cluster, by one of those who
// ask while the others wait; large ones are compressed on a thread of their own.

#include "opsd/board.hpp"
#include "opsd/cluster.hpp"
#include "opsd/http.hpp"
#include "opsd/worker.hpp"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace opsd::cluster {

using ClusterSnapshot = std::shared_ptr<const Snapshot<Cluster>>;

/// Bounds of the kept answers.
struct AnswerLimits {
    std::size_t bytes = 48U << 20U;                  ///< all bodies together; beyond, the longest unused goes
    std::chrono::milliseconds unused_for{60'000};    ///< dropped when nobody asked for so long
    std::chrono::milliseconds large_max_age{1'000};  ///< a large answer is not made more often
};

/// An answer that is asked for.
struct WantedAnswer {
    /// Makes the body for a snapshot; gives way to others now and then.
    using Render = std::function<Task<std::string>(const Cluster&)>;

    std::string key;
    ClusterSnapshot snapshot;  ///< the newest one
    WallTime modified{};       ///< when what it shows of that snapshot last changed; rounded up to a second
    bool gzip = false;
    bool no_older = false;  ///< than the snapshot, however large it is: its reader has had all nodes asked
    Render render;
};

/// Loop thread only. Must outlive the requests that use it.
class Answers {
public:
    Answers(const Executor& executor, Clock& clock, AnswerLimits limits);

    /// Of the snapshot's version or a newer one; a large one may be older by `large_max_age`.
    Task<std::shared_ptr<const http::Content>> get(WantedAnswer wanted);

    [[nodiscard]] std::size_t bytes() const noexcept;
    [[nodiscard]] std::uint64_t rendered() const noexcept { return rendered_; }

private:
    struct Entry {
        explicit Entry(const Executor& executor) : changed{executor, never} {}
        std::uint64_t version = 0;
        Monotonic made_at{};
        Monotonic used_at{};
        std::shared_ptr<const http::Content> content;
        bool packed = false;  // compressed as well, if that was worth it
        bool making = false;
        asio::steady_timer changed;
    };
    [[nodiscard]] bool is_good(const Entry& entry, const WantedAnswer& wanted) const;
    /// Last-Modified of what is made.
    struct Dates {
        WallTime of_small;
        std::optional<WallTime> of_large;
    };
    Task<> make(Entry& entry, const WantedAnswer& wanted, Dates dates);
    void trim(const Entry* keep);

    Executor executor_;
    Clock& clock_;
    AnswerLimits limits_;
    std::optional<WorkerThread> packer_;  // begun with the first large answer
    std::map<std::string, std::shared_ptr<Entry>, std::less<>> entries_;
    std::uint64_t rendered_ = 0;
};

}  // namespace opsd::cluster
