#include "modules/health/module.hpp"
#include "modules/health/options.hpp"

#include <gtest/gtest.h>

namespace opsd::health {
namespace {

using namespace std::chrono_literals;

HealthOptions parse(const std::string& yaml, config::Mistakes& mistakes)
{
    const auto document = config::parse_yaml(yaml, "opsd.yaml");
    EXPECT_TRUE(document);
    return schema().parse(&*document, "health", mistakes);
}

TEST(HealthOptions, DefaultsAreThoseOfTheOperatorsPage)
{
    config::Mistakes mistakes;
    const auto options = parse("", mistakes);
    EXPECT_TRUE(mistakes.empty());
    EXPECT_EQ(options.exclude.size(), 3U);
    EXPECT_EQ(options.flapping.restarts, 3);
    EXPECT_EQ(options.flapping.window, 10min);
    EXPECT_EQ(options.stuck_after.activating, 5min);
    EXPECT_EQ(options.history.max_age, 24h * 30);
    EXPECT_EQ(options.systemd.resync, 5min);
    EXPECT_TRUE(validate(options));
}

TEST(HealthOptions, EverySettingCanBeWritten)
{
    config::Mistakes mistakes;
    const auto options =
        parse("units: [a.service]\n"
              "globs: ['b-*']\n"
              "targets: [my.target]\n"
              "exclude: []\n"
              "max_units: 7\n"
              "publish_interval: 0s\n"
              "stuck_after: {activating: 1s, deactivating: 2s, reloading: 3s}\n"
              "flapping: {restarts: 5, window: 1h}\n"
              "history: {max_age: 7d, max_rows: 500, max_rows_per_unit: 50, fold_window: 1m}\n"
              "journal: {lines: 5, max_bytes: 1KiB, settle: 500ms}\n"
              "systemd: {call_timeout: 1s, window: 10, resync: 1m, reconnect_min: 1s, reconnect_max: 2s, "
              "private_socket: false}\n",
              mistakes);
    for (const auto& mistake : mistakes)
        ADD_FAILURE() << mistake.to_string();
    EXPECT_EQ(options.units, std::vector<std::string>{"a.service"});
    EXPECT_EQ(options.journal.max_bytes.count, 1024U);
    EXPECT_EQ(options.systemd.window, 10);
    EXPECT_FALSE(options.systemd.private_socket);
}

TEST(HealthOptions, WrongValuesAreRefusedWithTheirPlace)
{
    for (const auto* bad : {"unitz: [a.service]", "flapping: {restarts: 0}", "systemd: {window: 128}",
                            "max_units: many", "history: {max_rows: 1}", "publish_interval: 10 parsecs"}) {
        config::Mistakes mistakes;
        (void)parse(bad, mistakes);
        ASSERT_EQ(mistakes.size(), 1U) << bad;
        EXPECT_EQ(mistakes[0].where.file, "opsd.yaml");
    }
}

TEST(HealthOptions, NamesThatCannotBeAreRefused)
{
    const auto why = [](auto edit) {
        HealthOptions options;
        edit(options);
        const auto valid = validate(options);
        return valid ? std::string{} : valid.error().message;
    };
    EXPECT_NE(why([](auto& o) { o.units = {"ssh"}; }).find("suffix"), std::string::npos);
    EXPECT_NE(why([](auto& o) { o.units = {"getty@.service"}; }).find("template"), std::string::npos);
    EXPECT_NE(why([](auto& o) { o.targets = {"a.service"}; }).find("target"), std::string::npos);
    EXPECT_NE(why([](auto& o) { o.systemd.reconnect_min = 1h; }).find("reconnect_max"), std::string::npos);
    EXPECT_EQ(why([](auto& o) { o.units = {"a.b.c@d.e.service"}; }), "");
}

TEST(HealthOptions, TheCatalogEntryNamesTheSection)
{
    EXPECT_EQ(catalog_entry().name, "health");
    EXPECT_FALSE(catalog_entry().schema.describe().empty());
}

}  // namespace
}  // namespace opsd::health
