#pragma once
// How many answers are read from the store at a time. It has one thread, so whoever writes waits behind those
// who read much. Beyond the limit a reader is refused at once and told to come again: a queue of them would
// only make all of them late.
//
// A place belongs to the one who waits for the answer. When he goes earlier (his request was cut) it is free,
// though the store still does what he asked for: readers who come and go can put more statements before the
// writers than the limit says, each for store.statement_timeout at most, and as many as the store's queue
// takes.

#include "opsd/result.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

namespace opsd {

class ReadSlots {
    struct Leave {
        void operator()(ReadSlots* slots) const noexcept { --slots->taken_; }
    };

public:
    /// A place, given back when it is destroyed; the ReadSlots must outlive it.
    using Slot = std::unique_ptr<ReadSlots, Leave>;

    /// For the sentence: `setting` is the name of the one that is `limit`, `task` what cannot be done, `noun`
    /// what takes the places.
    ReadSlots(std::int64_t limit, std::string setting, std::string task = "read the past",
              std::string noun = "such readings")
      : limit_{limit}
      , setting_{std::move(setting)}
      , task_{std::move(task)}
      , noun_{std::move(noun)}
    {}
    ReadSlots(const ReadSlots&) = delete;
    ReadSlots& operator=(const ReadSlots&) = delete;

    /// Errc::unavailable while `limit` places are taken.
    [[nodiscard]] Result<Slot> take()
    {
        if (taken_ >= limit_) {
            ++refused_;
            return fail(Errc::unavailable,
                        fmt::format("cannot {}: {} {} are under way ({}); try again in a few seconds", task_,
                                    taken_, noun_, setting_));
        }
        ++taken_;
        return Slot{this};
    }

    [[nodiscard]] std::int64_t taken() const noexcept { return taken_; }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }

private:
    std::int64_t limit_;
    std::string setting_;
    std::string task_;
    std::string noun_;
    std::int64_t taken_ = 0;
    std::uint64_t refused_ = 0;
};

}  // namespace opsd
