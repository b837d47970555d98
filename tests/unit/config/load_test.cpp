#include "sample.hpp"

#include <unistd.h>

using namespace opsd::config;
using namespace opsd::config::test;

namespace {

Sources in(const Directory& directory)
{
    Sources sources;
    sources.file = directory.path("opsd.yaml");
    sources.directory = directory.path("conf.d");
    return sources;
}

Value loaded(const Sources& sources)
{
    auto value = load(sources, sections());
    if (value) return *value;
    for (const auto& mistake : value.error())
        ADD_FAILURE() << mistake.to_string();
    return {};
}

std::string refused(const Sources& sources)
{
    const auto value = load(sources, sections());
    std::string all;
    if (value) return all;
    for (const auto& mistake : value.error())
        all += mistake.to_string() + "\n";
    return all;
}

}  // namespace

TEST(Load, WithoutAnyFileTheDefaultsHold)
{
    const Directory directory;
    EXPECT_TRUE(loaded(in(directory)) == Value::map());
}

TEST(Load, AFileTheOperatorNamedMustExist)
{
    const Directory directory;
    auto sources = in(directory);
    sources.file_required = true;
    EXPECT_EQ(refused(sources), sources.file + ": cannot be read: No such file or directory\n");
}

TEST(Load, FlagBeatsEnvironmentBeatsDropInBeatsFile)
{
    const Directory directory;
    directory.write(
        "opsd.yaml",
        "http: {name: file}\nhealth: {enabled: false, ratio: 0.1, anonymous: viewer, interval: 1m}");
    directory.write("conf.d/20.yaml", "health: {ratio: 0.3, anonymous: none, interval: 3m}");
    directory.write("conf.d/10.yaml", "health: {ratio: 0.2, anonymous: viewer, interval: 2m}");
    auto sources = in(directory);
    sources.environment = {{"OPSD_HEALTH__ANONYMOUS", "viewer"}, {"OPSD_HEALTH__INTERVAL", "4m"}};
    sources.settings = {"health.interval=5m"};
    EXPECT_EQ(to_yaml(loaded(sources)), "http:\n  name: file\nhealth:\n  enabled: false\n  ratio: 0.3\n"
                                        "  anonymous: viewer\n  interval: 5m\n");
}

TEST(Load, DropInsAreReadInNameOrderAndOthersAreLeftAlone)
{
    const Directory directory;
    directory.write("conf.d/.hidden.yaml", "not: [read");
    directory.write("conf.d/a.yaml.dpkg-old", "not: [read");
    directory.write("conf.d/README", "not read");
    for (const auto* name : {"b", "a", "c"})
        directory.write("conf.d/" + std::string{name} + ".yaml", "http: {name: " + std::string{name} + "}");
    EXPECT_EQ(loaded(in(directory)).find("http")->find("name")->text, "c");
}

TEST(Load, AVariableOrFlagHoldsAYamlValue)
{
    const Directory directory;
    auto sources = in(directory);
    sources.environment = {{"OPSD_HEALTH__UNITS", "[a.service, \"b c\"]"},
                           {"OPSD_HEALTH__TOKEN", "{file: /run/token}"},
                           {"OPSD_HEALTH__FLAPPING__RESTARTS", "5"},
                           {"OPSD_CONFIG", "/elsewhere.yaml"},
                           {"OPSD_URL", "unix:/x"},
                           {"PATH", "/bin"},
                           {"OPSDX", "1"}};
    sources.settings = {"http.name=\"10\"", "http.listeners=[{port: 5}]"};
    const auto root = loaded(sources);
    EXPECT_EQ(show(root),
              "{health: {units: [a.service, \"b c\"], token: {file: /run/token}, flapping: {restarts: 5}}, "
              "http: {name: \"10\", listeners: [{port: 5}]}}");
    EXPECT_EQ(root.find("health")->find("flapping")->find("restarts")->where.file,
              "environment OPSD_HEALTH__FLAPPING__RESTARTS");
}

TEST(Load, MistakesOfAllSourcesComeTogether)
{
    const Directory directory;
    const auto file = directory.write("opsd.yaml", "helth: {}\nhealth:\n  intervall: 5s\n");
    const auto broken = directory.write("conf.d/10.yaml", "http: [\n");
    const auto yml = directory.write("conf.d/20.yml", "http: {}\n");
    auto sources = in(directory);
    sources.environment = {
        {"OPSD_HTPT__NAME", "x"}, {"OPSD_HEALTH__RATIO", "2"}, {"OPSD_HEALTH__UNITS", "[a"}, {"OPSD_", "x"}};
    sources.settings = {"health.flapping.restarts=0", "health.enabled", ".x=1", "nothing.here=*a"};
    EXPECT_EQ(refused(sources),
              yml + ": is not read; rename it to *.yaml\n" + broken
                  + ":2: cannot be read as YAML: end of sequence flow not found; check the indentation, "
                    "brackets and "
                    "quotes here\n"
                    "environment OPSD_HEALTH__UNITS: health.units: a key is a list or a section, must be a "
                    "text; is a bracket left open?\n"
                    "environment OPSD_: must be named OPSD_SECTION__KEY\n"
                    "flag --set: must be written --set section.key=value\n"
                    "flag --set: must be written --set section.key=value\n"
                    "flag --set: nothing.here: aliases (*name) are not allowed; write the value out, in "
                    "quotes if it begins with *\n"
                  + file + ":1: helth: unknown section, did you mean \"health\"?\n" + file
                  + ":3: health.intervall: unknown key, did you mean \"interval\"?\n"
                    "environment OPSD_HEALTH__RATIO: health.ratio: is 2, must be 0 to 1\n"
                    "flag --set: health.flapping.restarts: is 0, must be 1 to 100\n"
                    "environment OPSD_HTPT__NAME: htpt: unknown section, did you mean \"http\"?\n");
}

TEST(Load, AnUnknownSectionIsRefusedWithTheKnownOnes)
{
    const Directory directory;
    const auto file = directory.write("opsd.yaml", "\nelasticsearch: 1\n");
    EXPECT_EQ(refused(in(directory)), file + ":2: elasticsearch: unknown section, known are health, http\n");
}

TEST(Load, ADirectoryThatCannotBeReadIsAMistake)
{
    const Directory directory;
    auto sources = in(directory);
    sources.directory = directory.write("conf.d", "a file");
    EXPECT_EQ(refused(sources), sources.directory + ": cannot be read: Not a directory\n");
    if (::geteuid() == 0) return;  // root reads everything
    const Directory closed;
    closed.write("conf.d/a.yaml", "");
    std::filesystem::permissions(closed.path("conf.d"), std::filesystem::perms::none);
    EXPECT_EQ(refused(in(closed)), closed.path("conf.d") + ": cannot be read: Permission denied\n");
    std::filesystem::permissions(closed.path("conf.d"), std::filesystem::perms::owner_all);
}

TEST(Load, ADropInThatIsNoFileIsAMistake)
{
    const Directory directory;
    std::filesystem::create_directories(directory.path("conf.d/a.yaml"));
    std::filesystem::create_symlink("/nonexistent/x", directory.path("conf.d/b.yaml"));
    EXPECT_EQ(refused(in(directory)),
              directory.path("conf.d/a.yaml") + ": cannot be read: it is not a regular file\n"
                  + directory.path("conf.d/b.yaml") + ": cannot be read: No such file or directory\n");
}

TEST(Load, AFileTooLargeIsAMistake)
{
    const Directory directory;
    const auto file = directory.write("opsd.yaml", std::string((1 << 20) + 1, '#'));
    EXPECT_EQ(refused(in(directory)), file + ": cannot be read: it is larger than 1048576 bytes\n");
}

TEST(Load, AThousandMistakesAreCutAndCounted)
{
    const Directory directory;
    std::string many;
    for (int i = 0; i < 1000; ++i)
        many += "zzz" + std::to_string(i) + ": 1\n";
    directory.write("opsd.yaml", many);
    const auto value = load(in(directory), sections());
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().size(), 101U);
    EXPECT_EQ(value.error().back().to_string(), "and 900 more mistakes");
}

TEST(Load, AVariableAsDeepAsTheSeaIsRefused)
{
    const Directory directory;
    auto sources = in(directory);
    std::string name = "OPSD_HEALTH";
    for (int i = 0; i < 100'000; ++i)
        name += "__A";
    sources.environment = {{name, "1"}};
    EXPECT_EQ(refused(sources), "environment " + name + ": must be named OPSD_SECTION__KEY\n");
}
