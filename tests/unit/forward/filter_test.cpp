// Which entries an output gets.

#include "modules/forward/filter.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace opsd::forward {
namespace {

using Fields = std::vector<systemd::JournalField>;

std::shared_ptr<const Filter> made(FilterOptions options, std::string own_unit = "")
{
    auto filter = Filter::make(options, std::move(own_unit));
    EXPECT_TRUE(filter) << filter.error().message;
    return filter ? *filter : nullptr;
}

bool takes(const Filter& filter, const Fields& fields) { return filter.takes({"c", 1, 1, fields}); }

}  // namespace

TEST(ForwardFilter, TakesAllWithoutConditions)
{
    const auto filter = made({});
    EXPECT_TRUE(filter->matches().empty());
    EXPECT_TRUE(takes(*filter, {}));
    EXPECT_TRUE(made({.units = {"*"}})->matches().empty());
    EXPECT_TRUE(takes(*made({.units = {"*"}}), {{"_SYSTEMD_UNIT", "a.service"}}));
}

TEST(ForwardFilter, NamedUnitsAreSelectedByJournald)
{
    const auto filter = made({.units = {"a.service", "b.socket"}});
    ASSERT_EQ(filter->matches().size(), 1U);
    const auto& group = filter->matches()[0];
    for (const auto* match : {"_SYSTEMD_UNIT=a.service", "UNIT=a.service", "_SYSTEMD_UNIT=b.socket"})
        EXPECT_TRUE(std::ranges::find(group, match) != group.end()) << match;
}

TEST(ForwardFilter, PatternsAreLookedAtEntryByEntry)
{
    const auto filter = made({.units = {"dcos-*", "x.service"}});
    EXPECT_TRUE(filter->matches().empty());
    EXPECT_TRUE(takes(*filter, {{"_SYSTEMD_UNIT", "dcos-vault.service"}}));
    EXPECT_TRUE(takes(*filter, {{"_SYSTEMD_UNIT", "init.scope"}, {"UNIT", "x.service"}}));
    EXPECT_FALSE(takes(*filter, {{"_SYSTEMD_UNIT", "ssh.service"}}));
    EXPECT_FALSE(takes(*filter, {}));
}

TEST(ForwardFilter, PriorityAndFieldsAreGroups)
{
    const auto filter = made({.priority = "crit", .matches = {"A=1", "B=2", "A=3"}});
    EXPECT_EQ(filter->matches(),
              (systemd::MatchGroups{{"PRIORITY=0", "PRIORITY=1", "PRIORITY=2"}, {"A=1", "A=3"}, {"B=2"}}));
    EXPECT_EQ(made({.priority = "7"})->matches()[0].size(), 8U);
}

TEST(ForwardFilter, HoldsBackWhatOpsdSaysAboutForwarding)
{
    const auto filter = made({}, "opsd.service");
    const auto own = [&](std::string_view message, std::string_view unit = "opsd.service") {
        return takes(*filter, {{"MESSAGE", message}, {"_SYSTEMD_UNIT", unit}});
    };
    EXPECT_FALSE(own("forward elk: cannot deliver record 7: mapper_parsing_exception"));
    EXPECT_FALSE(own("forward: degraded: the output elk is refused"));
    EXPECT_EQ(filter->held_back(), 2U);
    EXPECT_TRUE(own("health: web.service turned unhealthy"));
    EXPECT_TRUE(own("forwarded"));
    EXPECT_TRUE(own("forward"));
    EXPECT_TRUE(own("forward elk: cannot deliver", "evil.service")) << "nobody else can hide so";
    EXPECT_EQ(filter->held_back(), 2U);
    EXPECT_TRUE(takes(*made({}), {{"MESSAGE", "forward elk: x"}, {"_SYSTEMD_UNIT", ""}}));
}

TEST(ForwardFilter, TheWriterHandsOnOnlyWhatIsTaken)
{
    struct Count final : systemd::EntryWriter {
        explicit Count(int& of) : count{of} {}
        bool write(const systemd::JournalEntry&, std::string&) override
        {
            ++count;
            return true;
        }
        int& count;
    };
    int count = 0;
    FilterWriter writer{made({.units = {"a*"}}), std::make_unique<Count>(count)};
    std::string out;
    const Fields a{{"_SYSTEMD_UNIT", "a.service"}};
    const Fields b{{"_SYSTEMD_UNIT", "b.service"}};
    EXPECT_TRUE(writer.write({"c", 1, 1, a}, out));
    EXPECT_FALSE(writer.write({"c", 1, 1, b}, out));
    EXPECT_EQ(count, 1);
}

}  // namespace opsd::forward
