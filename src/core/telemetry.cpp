#include "opsd/telemetry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <map>

namespace opsd::telemetry {
namespace {

constexpr std::size_t max_series = 1000;

std::string_view to_string(Kind kind)
{
    switch (kind) {
    case Kind::counter:
        return "counter";
    case Kind::gauge:
        return "gauge";
    case Kind::histogram:
        return "histogram";
    }
    return "untyped";
}

/// Escapes by the text format: backslash and newline everywhere, the quote in label values.
void append_escaped(std::string& to, std::string_view text, bool quote)
{
    for (const char c : text) {
        if (c == '\\')
            to += "\\\\";
        else if (c == '\n')
            to += "\\n";
        else if (c == '"' && quote)
            to += "\\\"";
        else
            to += c;
    }
}

void append_number(std::string& to, double value)
{
    if (std::isnan(value))
        to += "NaN";
    else if (std::isinf(value))
        to += value > 0 ? "+Inf" : "-Inf";
    else
        fmt::format_to(std::back_inserter(to), "{}", value);
}

template <class Metric>
struct Family {
    std::string help;
    std::map<Labels, std::unique_ptr<Metric>> series;
};

/// The series with these labels, or the one that takes what is beyond the bound.
template <class Metric, class Make>
Metric& series_of(std::map<std::string, Family<Metric>, std::less<>>& families, std::string_view name,
                  std::string_view help, Labels labels, Make make)
{
    auto at = families.find(name);
    if (at == families.end())
        at = families.emplace(std::string{name}, Family<Metric>{std::string{help}, {}}).first;
    auto& all = at->second.series;
    auto found = all.find(labels);
    if (found != all.end()) return *found->second;
    if (all.size() >= max_series) {
        labels = {{"overflow", "true"}};
        found = all.find(labels);
        if (found != all.end()) return *found->second;
    }
    return *all.emplace(std::move(labels), make()).first->second;
}

template <class Metric>
void write_family(Page& page, const std::string& name, Kind kind, const Family<Metric>& family)
{
    page.family(name, kind, family.help);
    for (const auto& [labels, metric] : family.series)
        page.sample(labels, metric->value());
}

void write_histogram(Page& page, const std::string& name, const Family<Histogram>& family)
{
    page.family(name, Kind::histogram, family.help);
    for (const auto& [labels, metric] : family.series) {
        std::uint64_t below = 0;
        auto with_bound = labels;
        with_bound.emplace_back("le", "");
        for (std::size_t i = 0; i < metric->counts().size(); ++i) {
            below += metric->counts()[i];
            with_bound.back().second =
                i < metric->bounds().size() ? fmt::format("{}", metric->bounds()[i]) : "+Inf";
            page.sample("_bucket", with_bound, static_cast<double>(below));
        }
        page.sample("_sum", labels, metric->sum());
        page.sample("_count", labels, static_cast<double>(below));
    }
}

}  // namespace

void Histogram::observe(double value) noexcept
{
    if (std::isnan(value)) return;  // it would belong to no bucket and spoil the sum for ever
    const auto at = std::ranges::lower_bound(bounds_, value);
    ++counts_[static_cast<std::size_t>(at - bounds_.begin())];
    sum_ += value;
}

void Page::family(std::string_view name, Kind kind, std::string_view help)
{
    name_ = name;
    text_.append("# HELP ").append(name).append(" ");
    append_escaped(text_, help, false);
    text_.append("\n# TYPE ").append(name).append(" ").append(to_string(kind)).append("\n");
}

void Page::sample(std::string_view suffix, const Labels& labels, double value)
{
    text_.append(name_).append(suffix);
    char separator = '{';
    for (const auto& [key, text] : labels) {
        text_ += separator;
        text_.append(key).append("=\"");
        append_escaped(text_, text, true);
        text_ += '"';
        separator = ',';
    }
    if (!labels.empty()) text_ += '}';
    text_ += ' ';
    append_number(text_, value);
    text_ += '\n';
}

struct Registry::Impl {
    std::map<std::string, Family<Counter>, std::less<>> counters;
    std::map<std::string, Family<Gauge>, std::less<>> gauges;
    std::map<std::string, Family<Histogram>, std::less<>> histograms;
    std::list<Collector> collectors;
};

Registry::Registry() : impl_{std::make_shared<Impl>()} {}
Registry::~Registry() = default;

Counter& Registry::counter(std::string_view name, std::string_view help, const Labels& labels)
{
    assert(!impl_->gauges.contains(name) && !impl_->histograms.contains(name));
    return series_of(impl_->counters, name, help, labels, [] { return std::make_unique<Counter>(); });
}

Gauge& Registry::gauge(std::string_view name, std::string_view help, const Labels& labels)
{
    assert(!impl_->counters.contains(name) && !impl_->histograms.contains(name));
    return series_of(impl_->gauges, name, help, labels, [] { return std::make_unique<Gauge>(); });
}

Histogram& Registry::histogram(std::string_view name, std::string_view help, std::span<const double> bounds,
                               const Labels& labels)
{
    assert(!impl_->counters.contains(name) && !impl_->gauges.contains(name));
    return series_of(impl_->histograms, name, help, labels,
                     [bounds] { return std::make_unique<Histogram>(bounds); });
}

std::shared_ptr<void> Registry::collect(Collector collector)
{
    impl_->collectors.push_back(std::move(collector));
    const auto at = std::prev(impl_->collectors.end());
    // The token may outlive the registry: it holds the list by a weak pointer.
    return {static_cast<void*>(this), [weak = std::weak_ptr{impl_}, at](void*) {
                if (const auto impl = weak.lock()) impl->collectors.erase(at);
            }};
}

std::string Registry::render() const
{
    Page page;
    for (const auto& [name, family] : impl_->counters)
        write_family(page, name, Kind::counter, family);
    for (const auto& [name, family] : impl_->gauges)
        write_family(page, name, Kind::gauge, family);
    for (const auto& [name, family] : impl_->histograms)
        write_histogram(page, name, family);
    for (const auto& collector : impl_->collectors)
        collector(page);
    return page.text();
}

}  // namespace opsd::telemetry
