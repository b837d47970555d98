#include "modules/health/selection.hpp"

#include "modules/health/directories.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace opsd::health {
namespace {

namespace fs = std::filesystem;

systemd::ListedUnit row(std::string id, std::string active = "active")
{
    systemd::ListedUnit unit;
    unit.id = std::move(id);
    unit.load_state = "loaded";
    unit.active_state = std::move(active);
    return unit;
}

std::vector<std::string> names_of(const Selection& selection)
{
    std::vector<std::string> all;
    for (const auto& [name, wanted] : selection.names())
        all.push_back(name + (wanted.expected ? "!" : "") + (wanted.problem.empty() ? "" : "?"));
    return all;
}

using Names = std::vector<std::string>;

TEST(HealthSelection, WithoutConfigurationWhatIsEnabledOrFailedIsWatched)
{
    const Inventory inventory{.units = {row("on.service"), row("off.service"),
                                        row("broken.service", "failed"), row("broken.scope", "failed"),
                                        row("getty@tty1.service"), row("other@x.service")},
                              .files = {{"/lib/systemd/system/on.service", "enabled"},
                                        {"/lib/systemd/system/unloaded.timer", "enabled"},
                                        {"/lib/systemd/system/off.service", "disabled"},
                                        {"/lib/systemd/system/getty@.service", "enabled"},
                                        {"/etc/systemd/system/alias.service", "alias"}},
                              .wants = {}};
    const Selection selection{HealthOptions{}, inventory};
    EXPECT_TRUE(selection.automatic());
    EXPECT_EQ(names_of(selection),
              (Names{"broken.service", "getty@tty1.service", "on.service!", "unloaded.timer!"}));
    EXPECT_TRUE(selection.watches("getty@tty2.service", false));
    EXPECT_TRUE(selection.watches("off.service", true));
    EXPECT_FALSE(selection.watches("off.service", false));
}

TEST(HealthSelection, DcosTargetIsWatchedByDefaultAndNothingElse)
{
    const Inventory inventory{.units = {row("on.service"), row("broken.service", "failed")},
                              .files = {{"/lib/systemd/system/on.service", "enabled"}},
                              .wants = {{"dcos.target", "dcos-a.b.c.service"},
                                        {"dcos.target", "dcos-setup.service"},
                                        {"dcos.target", "dcos-x@.service"},
                                        {"dcos.target", "README"}}};
    const Selection selection{HealthOptions{}, inventory};
    EXPECT_FALSE(selection.automatic());
    EXPECT_EQ(names_of(selection), (Names{"README!?", "dcos-a.b.c.service!", "dcos-x@.service!?"}));
    EXPECT_EQ(selection.names().at("README").problem, "is not a unit name");
    EXPECT_NE(selection.names().at("dcos-x@.service").problem.find("template"), std::string::npos);
}

TEST(HealthSelection, NamesAreExpectedAndGlobsOnlyWhereEnabled)
{
    HealthOptions options;
    options.units = {"named.service", "missing.service"};
    options.globs = {"web-*", "late@*"};
    options.exclude = {"web-private*"};
    const Inventory inventory{
        .units = {row("web-loaded.service"), row("web-private.service"), row("late@1.service")},
        .files = {{"/lib/systemd/system/web-on.service", "enabled"},
                  {"/lib/systemd/system/web-off.service", "disabled"},
                  {"/lib/systemd/system/web-x@.service", "static"}},
        .wants = {}};
    const Selection selection{options, inventory};
    EXPECT_EQ(names_of(selection), (Names{"late@1.service", "missing.service!", "named.service!",
                                          "web-loaded.service", "web-off.service", "web-on.service!"}));
    EXPECT_TRUE(selection.watches("web-new.service", false));
    EXPECT_FALSE(selection.watches("web-private2.service", true));
    EXPECT_FALSE(selection.watches("other.service", true));
}

TEST(HealthSelection, BeyondTheBoundUnitsAreLeftOutAndCounted)
{
    HealthOptions options;
    options.units = {"a.service", "b.service", "c.service", "a.service"};
    options.max_units = 2;
    const Selection selection{options, {}};
    EXPECT_EQ(names_of(selection), (Names{"a.service!", "b.service!"}));
    EXPECT_EQ(selection.left_out(), 1U);
}

TEST(HealthSelection, Templates)
{
    EXPECT_EQ(template_of("getty@tty1.service"), "getty@.service");
    EXPECT_EQ(template_of("a@b.c.service"), "a@.service");
    EXPECT_EQ(template_of("getty@.service"), "");
    EXPECT_EQ(template_of("getty.service"), "");
    EXPECT_TRUE(is_template("getty@.service"));
    EXPECT_FALSE(is_template("getty@x.service"));
    EXPECT_FALSE(is_template("getty.service"));
}

TEST(HealthDirectories, WantsAndRequiresOfTheTargetsAreRead)
{
    const auto root = fs::temp_directory_path() / ("opsd-wants-" + std::to_string(::getpid()));
    fs::create_directories(root / "dcos.target.wants");
    fs::create_directories(root / "dcos.target.requires");
    fs::create_directories(root / "my.target.wants");
    fs::create_directories(root / "other.target.wants");
    std::ofstream{root / "dcos.target.wants" / "a.service"};
    fs::create_symlink("/nowhere", root / "dcos.target.wants" / "gone.service");
    std::ofstream{root / "dcos.target.requires" / "b.service"};
    std::ofstream{root / "my.target.wants" / "c.service"};
    std::ofstream{root / "other.target.wants" / "d.service"};
    const auto [entries, problem] = read_wants(root.string(), {"my.target", "none.target"});
    EXPECT_EQ(problem, "") << "a directory that is not there wants nothing";
    fs::remove_all(root);
    EXPECT_EQ(entries, (std::vector<WantsEntry>{{"dcos.target", "a.service"},
                                                {"dcos.target", "b.service"},
                                                {"dcos.target", "gone.service"},
                                                {"my.target", "c.service"}}));
    EXPECT_TRUE(read_wants(root.string(), {}).entries.empty());
}

}  // namespace
}  // namespace opsd::health
