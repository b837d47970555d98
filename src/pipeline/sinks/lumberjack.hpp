#pragma once
// Lumberjack, version 2: how Logstash's beats input takes records and acknowledges them. Pure.
//
// A window of records is sent, numbered from 1; the far side answers with the highest number it has worked
// through, once or several times; 0 only says that it is still at it.

#include "opsd/result.hpp"
#include "pipeline/batch.hpp"
#include "pipeline/verdict.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd::pipeline {

/// The frames of a batch, whose records are JSON documents (EcsWriter).
[[nodiscard]] std::string lumberjack_window(const Batch& batch);

/// Reads what comes back for one window, in whatever pieces.
class LumberjackAcks {
public:
    explicit LumberjackAcks(std::size_t sent) : sent_{static_cast<std::uint32_t>(sent)} {}

    /// True: all are acknowledged. Errc::protocol: nothing more from this connection can be believed.
    Result<bool> feed(std::string_view bytes);

    [[nodiscard]] std::uint32_t acknowledged() const noexcept { return acknowledged_; }
    /// Signs of life; each begins the wait anew.
    [[nodiscard]] std::uint64_t keep_alives() const noexcept { return keep_alives_; }

    /// What to make of it when the connection ends here, because of `reason`.
    [[nodiscard]] Verdict verdict(std::string reason) const;

private:
    std::uint32_t sent_;
    std::uint32_t acknowledged_ = 0;
    std::uint64_t keep_alives_ = 0;
    bool broken_ = false;
    std::string rest_;  ///< of a frame that is not whole: 5 bytes at most
};

}  // namespace opsd::pipeline
