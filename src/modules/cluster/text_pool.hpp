#pragma once
// One copy of what a thousand nodes repeat. Entries nobody uses any more go at the next sweep.

#include "opsd/cluster.hpp"

#include <unordered_map>

namespace opsd::cluster {

/// Interns labels and verdicts. Loop thread only. Bounded by what is in use: a sweep runs when the pool has
/// doubled since the last one.
class TextPool {
public:
    std::shared_ptr<const UnitLabel> label(UnitLabel label);
    std::shared_ptr<const UnitVerdict> verdict(UnitVerdict verdict);
    [[nodiscard]] std::size_t size() const noexcept { return labels_.size() + verdicts_.size(); }

private:
    template <class T>
    using Pool = std::unordered_multimap<std::size_t, std::weak_ptr<const T>>;  // by hash
    template <class T>
    std::shared_ptr<const T> intern(Pool<T>& pool, T value, std::size_t hash);
    void sweep();

    Pool<UnitLabel> labels_;
    Pool<UnitVerdict> verdicts_;
    std::size_t sweep_at_ = 1024;
};

}  // namespace opsd::cluster
