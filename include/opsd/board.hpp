#pragma once
// The latest of everything. A writer publishes an immutable snapshot; readers take a shared pointer to it and
// never wait; watchers await the next version. Rendered answers are cached per version.

#include "opsd/async.hpp"
#include "opsd/clock.hpp"

#include <cstdint>
#include <memory>

namespace opsd {

/// One published value with its version (1, 2, ...) and the time it was published.
template <class T>
struct Snapshot {
    std::uint64_t version = 0;
    WallTime at{};
    T value;
};

/// A cell for the newest T. Loop thread only.
template <class T>
class Latest {
public:
    using Ptr = std::shared_ptr<const Snapshot<T>>;

    explicit Latest(const Executor& executor) : changed_{executor, never} {}
    Latest(const Latest&) = delete;
    Latest& operator=(const Latest&) = delete;

    /// Replaces the value and wakes all watchers.
    void publish(T value, WallTime at)
    {
        current_ = std::make_shared<const Snapshot<T>>(Snapshot<T>{version() + 1, at, std::move(value)});
        changed_.cancel();
    }

    /// The newest snapshot; null before the first publish().
    [[nodiscard]] const Ptr& get() const noexcept { return current_; }

    /// 0 before the first publish().
    [[nodiscard]] std::uint64_t version() const noexcept { return current_ ? current_->version : 0; }

    /// Waits for a version newer than `seen`. Versions in between may be skipped.
    Task<Ptr> next(std::uint64_t seen)
    {
        while (version() <= seen)
            co_await wait_event(changed_);
        co_return current_;
    }

private:
    Ptr current_;
    asio::steady_timer changed_;
};

}  // namespace opsd
