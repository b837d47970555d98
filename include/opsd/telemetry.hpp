#pragma once
// opsd's own metrics and what modules export at /metrics, in the Prometheus text format (0.0.4).
// Names begin with opsd_ ; units are in the name (_seconds, _bytes, _total).

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::telemetry {

using Labels = std::vector<std::pair<std::string, std::string>>;

enum class Kind { counter, gauge, histogram };

/// A number that only grows.
class Counter {
public:
    void add(double amount = 1) noexcept { value_ += amount; }
    [[nodiscard]] double value() const noexcept { return value_; }

private:
    double value_ = 0;
};

/// A number that goes up and down.
class Gauge {
public:
    void set(double value) noexcept { value_ = value; }
    void add(double amount) noexcept { value_ += amount; }
    [[nodiscard]] double value() const noexcept { return value_; }

private:
    double value_ = 0;
};

/// Observations in fixed buckets (upper bounds, ascending, +Inf implied).
class Histogram {
public:
    explicit Histogram(std::span<const double> bounds)
      : bounds_{bounds.begin(), bounds.end()}
      , counts_(bounds.size() + 1)
    {}
    void observe(double value) noexcept;
    [[nodiscard]] const std::vector<double>& bounds() const noexcept { return bounds_; }
    [[nodiscard]] const std::vector<std::uint64_t>& counts() const noexcept { return counts_; }
    [[nodiscard]] double sum() const noexcept { return sum_; }

private:
    std::vector<double> bounds_;
    std::vector<std::uint64_t> counts_;
    double sum_ = 0;
};

/// Appends families and samples to a page; handed to collectors.
class Page {
public:
    /// Starts a family. Samples of it follow before the next family.
    void family(std::string_view name, Kind kind, std::string_view help);
    void sample(const Labels& labels, double value) { sample({}, labels, value); }
    /// With a suffix after the family's name ("_bucket", "_sum").
    void sample(std::string_view suffix, const Labels& labels, double value);
    [[nodiscard]] const std::string& text() const noexcept { return text_; }
    /// What was appended so far, which the page then no longer holds: for pages sent in pieces.
    [[nodiscard]] std::string take() { return std::exchange(text_, {}); }

private:
    std::string name_;
    std::string text_;
};

/// All metrics of the process. Loop thread only. Series are few and bounded: labels come from route
/// templates, module names and the like, never from a client's input.
class Registry {
public:
    /// The series of this family with these labels; made on first use, stable for life. Name and kind of a
    /// family must agree between calls (asserted). At most 1,000 series a family; beyond it one series
    /// labelled overflow="true" takes the rest.
    Counter& counter(std::string_view name, std::string_view help, const Labels& labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, const Labels& labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                         const Labels& labels = {});

    /// Called at each scrape to write families whose samples are read from the model. The returned handle
    /// unregisters when destroyed.
    using Collector = std::function<void(Page&)>;
    [[nodiscard]] std::shared_ptr<void> collect(Collector collector);

    /// The whole page.
    [[nodiscard]] std::string render() const;

    Registry();
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

/// 1 ms to 10 s: what requests and calls take.
inline constexpr double latency_bounds[] = {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
                                            0.1,    0.25,  0.5,    1,     2.5,  5,     10};

}  // namespace opsd::telemetry
