#pragma once
// Records on their way to a far side, and how many of them make one request. Pure.
//
// A record's bytes are rendered once, where it is read, in the form that its output sends: a request is made
// of them by copying.

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::pipeline {

/// Where records come from, in words that outputs choose keys and topics by: node, task, stream.
using Labels = std::vector<std::pair<std::string, std::string>>;

/// What records point into. Kept as long as one of them is on its way.
struct Text {
    std::string bytes;
    Labels labels;
};

/// One record; its views are into a Text.
struct Record {
    std::string_view id;        ///< the same whenever it is read: the far side knows a repetition by it
    std::string_view position;  ///< of the source: reading goes on after it
    std::int64_t time = 0;      ///< of the event, microseconds since the epoch
    std::string_view bytes;     ///< as it is sent
    const Labels* labels = nullptr;
};

/// What one request holds at most, and how long the first record waits for others.
struct BatchLimits {
    std::size_t records = 2000;
    std::size_t bytes = 5'000'000;  ///< exceeded by a single record only
    std::chrono::milliseconds age{1000};
};

/// Sequence numbers of records within an output, ascending.
using Sequence = std::vector<std::uint64_t>;

/// The first half, which is not smaller, and the rest.
[[nodiscard]] std::pair<Sequence, Sequence> halves(const Sequence& all);

/// What goes into one request. Keeps alive what its records point into.
class Batch {
public:
    explicit Batch(std::uint64_t number = 0) : number_{number} {}

    void add(const Record& record, const std::shared_ptr<const Text>& text);

    [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
    [[nodiscard]] std::span<const Record> records() const noexcept { return records_; }
    [[nodiscard]] std::size_t size() const noexcept { return records_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::uint64_t number_;
    std::vector<Record> records_;
    std::vector<std::shared_ptr<const Text>> texts_;
    std::size_t bytes_ = 0;
};

/// All records' bytes, one after another: the body of sinks whose records need nothing between them.
[[nodiscard]] std::string joined(const Batch& batch);

/// How many of these records, from the first on, make one request: at least one of any.
struct Cut {
    std::size_t records = 0;
    std::size_t bytes = 0;
    bool full = false;  ///< one more would be too many
};

/// Measures record by record.
class Cutter {
public:
    Cutter(std::size_t records, std::size_t bytes) : records_{records}, bytes_{bytes} {}
    /// False: this one belongs to the next request.
    bool take(std::size_t bytes);
    [[nodiscard]] const Cut& cut() const noexcept { return cut_; }

private:
    std::size_t records_;
    std::size_t bytes_;
    Cut cut_;
};

}  // namespace opsd::pipeline
