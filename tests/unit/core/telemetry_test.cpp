#include "opsd/telemetry.hpp"

#include <gtest/gtest.h>

#include <limits>

using namespace opsd::telemetry;

TEST(Telemetry, RendersThePrometheusTextFormat)
{
    Registry registry;
    registry.counter("opsd_requests_total", "Requests", {{"method", "GET"}}).add(2);
    registry.counter("opsd_requests_total", "Requests", {{"method", "GET"}}).add();
    registry.counter("opsd_requests_total", "Requests", {{"method", "PUT"}}).add(0.5);
    auto& depth = registry.gauge("opsd_depth", "Depth");
    depth.set(5);
    depth.add(-7);
    EXPECT_EQ(registry.render(), "# HELP opsd_requests_total Requests\n"
                                 "# TYPE opsd_requests_total counter\n"
                                 "opsd_requests_total{method=\"GET\"} 3\n"
                                 "opsd_requests_total{method=\"PUT\"} 0.5\n"
                                 "# HELP opsd_depth Depth\n"
                                 "# TYPE opsd_depth gauge\n"
                                 "opsd_depth -2\n");
}

TEST(Telemetry, EscapesLabelsAndHelp)
{
    Registry registry;
    registry.gauge("opsd_x", "a\\b\n\"c\"", {{"k", "a\\b\n\"c\""}}).set(1);
    EXPECT_EQ(registry.render(), "# HELP opsd_x a\\\\b\\n\"c\"\n"
                                 "# TYPE opsd_x gauge\n"
                                 "opsd_x{k=\"a\\\\b\\n\\\"c\\\"\"} 1\n");
}

TEST(Telemetry, WritesNumbersThatPrometheusReads)
{
    opsd::telemetry::Page page;
    page.family("opsd_x", Kind::gauge, "X");
    const auto written = [&page](double value) {
        const auto before = page.text().size();
        page.sample({}, value);
        return page.text().substr(before);
    };
    EXPECT_EQ(written(std::numeric_limits<double>::quiet_NaN()), "opsd_x NaN\n");
    EXPECT_EQ(written(std::numeric_limits<double>::infinity()), "opsd_x +Inf\n");
    EXPECT_EQ(written(-std::numeric_limits<double>::infinity()), "opsd_x -Inf\n");
    EXPECT_EQ(written(0.1), "opsd_x 0.1\n");
    EXPECT_EQ(written(1'700'000'000.25), "opsd_x 1700000000.25\n");
    EXPECT_EQ(written(1e300), "opsd_x 1e+300\n");
}

TEST(Telemetry, AHistogramIsCumulative)
{
    Registry registry;
    constexpr double bounds[] = {0.1, 1, 10};
    auto& histogram = registry.histogram("opsd_wait_seconds", "Waits", bounds, {{"m", "x"}});
    for (const double value : {0.05, 0.1, 0.5, 5.0, 50.0})
        histogram.observe(value);
    histogram.observe(std::numeric_limits<double>::quiet_NaN());
    EXPECT_EQ(registry.render(), "# HELP opsd_wait_seconds Waits\n"
                                 "# TYPE opsd_wait_seconds histogram\n"
                                 "opsd_wait_seconds_bucket{m=\"x\",le=\"0.1\"} 2\n"
                                 "opsd_wait_seconds_bucket{m=\"x\",le=\"1\"} 3\n"
                                 "opsd_wait_seconds_bucket{m=\"x\",le=\"10\"} 4\n"
                                 "opsd_wait_seconds_bucket{m=\"x\",le=\"+Inf\"} 5\n"
                                 "opsd_wait_seconds_sum{m=\"x\"} 55.65\n"
                                 "opsd_wait_seconds_count{m=\"x\"} 5\n");
}

TEST(Telemetry, SeriesAreBoundedAndTheRestGoesIntoOne)
{
    Registry registry;
    for (int i = 0; i < 5000; ++i)
        registry.counter("opsd_x_total", "X", {{"id", std::to_string(i)}}).add();
    const auto page = registry.render();
    EXPECT_EQ(std::count(page.begin(), page.end(), '\n'), 2 + 1000 + 1);
    EXPECT_NE(page.find("opsd_x_total{overflow=\"true\"} 4000\n"), std::string::npos);
    registry.counter("opsd_x_total", "X", {{"id", "7"}}).add();
    EXPECT_NE(registry.render().find("opsd_x_total{id=\"7\"} 2\n"), std::string::npos)
        << "known series go on";
}

TEST(Telemetry, ASeriesStaysWhereItIs)
{
    Registry registry;
    auto* first = &registry.counter("opsd_x_total", "X", {{"id", "0"}});
    for (int i = 1; i < 500; ++i)
        registry.counter("opsd_x_total", "X", {{"id", std::to_string(i)}});
    EXPECT_EQ(first, &registry.counter("opsd_x_total", "X", {{"id", "0"}}));
}

TEST(Telemetry, ACollectorWritesAtEachScrapeUntilItsHandleIsGone)
{
    Registry registry;
    int scrapes = 0;
    auto handle = registry.collect([&scrapes](opsd::telemetry::Page& page) {
        page.family("opsd_scrapes_total", Kind::counter, "Scrapes");
        page.sample({{"a", "b"}}, ++scrapes);
    });
    EXPECT_TRUE(registry.render().ends_with("opsd_scrapes_total{a=\"b\"} 1\n"));
    EXPECT_TRUE(registry.render().ends_with("opsd_scrapes_total{a=\"b\"} 2\n"));
    handle.reset();
    EXPECT_EQ(registry.render(), "");
    EXPECT_EQ(scrapes, 2);
}

TEST(Telemetry, AHandleMayOutliveItsRegistry)
{
    auto registry = std::make_unique<Registry>();
    auto handle = registry->collect([](opsd::telemetry::Page&) {});
    registry.reset();
    handle.reset();
}
