// Which units, and who may read them.

#include "modules/logs/options.hpp"
#include "modules/logs/units.hpp"

#include <gtest/gtest.h>

namespace opsd::logs {
namespace {

using Fields = std::vector<systemd::JournalField>;

bool owns(const UnitSet& set, const Fields& fields) { return set.owns({"c", 1, 1, fields}); }

Result<> checked(const std::string& yaml)
{
    const auto value = config::parse_yaml(yaml, "test.yaml");
    EXPECT_TRUE(value);
    config::Mistakes mistakes;
    const auto options = schema().parse(&*value, "logs", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    return validate(options);
}

TEST(LogsUnits, ASuffixIsAddedWhereThereIsNone)
{
    EXPECT_EQ(with_suffix("ssh"), "ssh.service");
    EXPECT_EQ(with_suffix("ssh.service"), "ssh.service");
    EXPECT_EQ(with_suffix("a.b"), "a.b.service");
    EXPECT_EQ(with_suffix("session-1.scope"), "session-1.scope");
    EXPECT_EQ(with_suffix("dcos-*"), "dcos-*");
    EXPECT_EQ(with_suffix("dcos-?"), "dcos-?.service");
}

TEST(LogsUnits, ASetHasNamesAndPatterns)
{
    const UnitSet set{{"a.service", "dcos-*.service", "x\\x2dy.service"}};
    EXPECT_TRUE(set.has("a.service"));
    EXPECT_TRUE(set.has("dcos-net.service"));
    EXPECT_TRUE(set.has("x\\x2dy.service"));
    EXPECT_FALSE(set.has("b.service"));
    EXPECT_FALSE(set.has("a.service2"));
    EXPECT_FALSE(set.has(""));
    EXPECT_FALSE(set.has(std::string(300, 'a')));
    EXPECT_FALSE(set.has(std::string{"dcos-\0.service", 14}));
    EXPECT_FALSE(set.plain());
    EXPECT_FALSE(set.everything());
}

TEST(LogsUnits, AnEntryIsOwnedByAnyOfItsUnits)
{
    const UnitSet set{{"a.service"}};
    for (const auto field : unit_fields)
        EXPECT_TRUE(owns(set, {{"MESSAGE", "m"}, {field, "a.service"}})) << field;
    EXPECT_FALSE(owns(set, {{"MESSAGE", "a.service"}, {"_SYSTEMD_UNIT", "b.service"}}));
    EXPECT_FALSE(owns(set, {{"_SYSTEMD_USER_UNIT", "a.service"}}));
    EXPECT_FALSE(owns(set, {{"MESSAGE", "kernel"}}));
    EXPECT_TRUE(owns(UnitSet{{"*"}}, {{"MESSAGE", "kernel"}}));
}

TEST(LogsUnits, ARoleReadsWhatItsListAllows)
{
    LogsOptions options;
    EXPECT_EQ(allowed_for(options, http::Role::viewer), nullptr);
    options.allow = {{"viewer", {"a.service"}}, {"operator", {}}};
    const auto viewer = allowed_for(options, http::Role::viewer);
    ASSERT_NE(viewer, nullptr);
    EXPECT_TRUE(viewer->has("a.service"));
    EXPECT_EQ(allowed_for(options, http::Role::operator_), nullptr);
    EXPECT_EQ(allowed_for(options, http::Role::admin), nullptr);
    options.allow[0].units = {"a.service", "*"};
    EXPECT_EQ(allowed_for(options, http::Role::viewer), nullptr);
}

TEST(LogsUnits, WhatIsLessThanAViewerReadsNoMoreThanAViewer)
{
    LogsOptions options;
    options.allow = {{"viewer", {"a.service"}}};
    for (const auto role : {http::Role::none, http::Role::local, http::Role::viewer})
        EXPECT_NE(allowed_for(options, role), nullptr) << to_string(role);
}

TEST(LogsUnits, WhateverShowsEntriesElsewhereObeysTheSameLists)
{
    const auto caller = [](http::Role role) { return http::Caller{.role = role}; };
    LogsOptions options;
    EXPECT_TRUE(access_of(options).everything(caller(http::Role::viewer)));
    EXPECT_FALSE(access_of(options).everything(caller(http::Role::local))) << "who may not read at all";
    options.allow = {{"viewer", {"a.service", "ok-*"}}, {"operator", {"*"}}};
    const auto access = access_of(options);
    EXPECT_FALSE(access.everything(caller(http::Role::viewer)));
    EXPECT_TRUE(access.entries_of("ok-1.service", caller(http::Role::viewer)));
    EXPECT_FALSE(access.entries_of("b.service", caller(http::Role::viewer)));
    EXPECT_FALSE(access.entries_of("a.service", caller(http::Role::local)));
    EXPECT_FALSE(access.tasks(caller(http::Role::viewer)));
    EXPECT_TRUE(access.everything(caller(http::Role::operator_)));
    EXPECT_TRUE(access.tasks(caller(http::Role::admin)));
    options.allow[0].tasks = true;
    EXPECT_TRUE(access_of(options).tasks(caller(http::Role::viewer)));
}

TEST(LogsOptions, AListOfUnitsIsChecked)
{
    EXPECT_TRUE(checked("{}"));
    EXPECT_TRUE(checked("allow: [{role: viewer, units: [a.service]}]"));
    EXPECT_TRUE(checked("allow: [{role: viewer, units: [a]}, {role: operator, units: [a, b]}]"));
    EXPECT_FALSE(checked("allow: [{role: admin, units: [a]}]"));
    EXPECT_FALSE(checked("allow: [{units: [a]}]"));
    EXPECT_FALSE(checked("allow: [{role: viewer, units: [a]}, {role: viewer}]"));
    const auto more = checked("allow: [{role: operator, units: [a]}]");
    ASSERT_FALSE(more);
    EXPECT_NE(more.error().message.find("viewer"), std::string::npos);
    EXPECT_FALSE(checked("readings: 0"));
    EXPECT_FALSE(checked("follow: {queue: 1}"));
}

}  // namespace
}  // namespace opsd::logs
