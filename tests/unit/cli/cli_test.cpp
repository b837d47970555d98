#include "cli/cli.hpp"

#include "command.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace opsd::cli;
using opsd::test::run_opsd;
namespace fs = std::filesystem;

namespace {

const std::string nowhere = "unix:/nonexistent/opsd.sock";

/// A configuration file that goes away.
struct File {
    explicit File(const std::string& content)
      : path{fs::temp_directory_path() / ("opsd-cli-" + std::to_string(::getpid()) + ".yaml")}
    {
        std::ofstream{path} << content;
    }
    ~File() { fs::remove(path); }
    std::string path;
};

}  // namespace

TEST(CommandLine, ADaemonThatDoesNotAnswerIs69WithWhatToDo)
{
    const auto got = run_opsd({"unit", "list", "--url", nowhere});
    EXPECT_EQ(got.status, exit_unavailable);
    EXPECT_NE(got.err.find("cannot reach opsd at unix:/nonexistent/opsd.sock"), std::string::npos) << got.err;
    EXPECT_NE(got.err.find("systemctl status opsd"), std::string::npos) << got.err;
    EXPECT_EQ(got.out, "");
}

TEST(CommandLine, PluginsSayUnknownOnStdoutAndExit3WhateverGoesWrong)
{
    for (const auto& words : {std::vector<std::string>{"health", "--url", nowhere},
                              {"unit", "show", "a.service", "--url", nowhere},
                              {"health", "--no-such-option"},
                              {"unit", "show"},
                              {"health", "--token-file", "/nonexistent/token"}}) {
        const auto got = run_opsd(words);
        EXPECT_EQ(got.status, exit_unknown) << words.back();
        EXPECT_TRUE(got.out.starts_with("UNKNOWN - ")) << got.out;
    }
}

TEST(CommandLine, WrongUsageIs64AndNamesHelp)
{
    for (const auto& words : {std::vector<std::string>{},
                              {"nonsense"},
                              {"unit"},
                              {"unit", "list", "--bogus"},
                              {"token", "create", "x", "--role", "god"},
                              {"completion", "tcsh"}}) {
        const auto got = run_opsd(words);
        EXPECT_EQ(got.status, exit_usage);
        EXPECT_NE(got.err.find("--help"), std::string::npos) << got.err;
    }
}

TEST(CommandLine, HelpAndVersionSucceed)
{
    EXPECT_EQ(run_opsd({"--help"}).status, exit_ok);
    const auto version = run_opsd({"version"});
    EXPECT_EQ(version.status, exit_ok);
    EXPECT_TRUE(version.out.starts_with("opsd ")) << version.out;
}

TEST(CommandLine, EveryMistakeOfAConfigurationIsShownAndTheStatusIs78)
{
    const File file{"health:\n  flaping: {}\nhttp:\n  anonymous: root\n"};
    const auto got = run_opsd({"config", "check", "--config", file.path, "--config-dir", "/nonexistent"});
    EXPECT_EQ(got.status, exit_config);
    EXPECT_NE(got.err.find(":2: health.flaping: unknown key, did you mean \"flapping\"?"), std::string::npos)
        << got.err;
    EXPECT_NE(got.err.find(":4: http.anonymous: "), std::string::npos) << got.err;
}

TEST(CommandLine, WhatConfigShowPrintsIsAConfiguration)
{
    const auto shown =
        run_opsd({"config", "show", "--config-dir", "/nonexistent", "--set", "log.level=debug"});
    ASSERT_EQ(shown.status, exit_ok) << shown.err;
    EXPECT_NE(shown.out.find("level: \"debug\""), std::string::npos) << shown.out;
    const File file{shown.out};
    EXPECT_EQ(run_opsd({"config", "check", "--config", file.path, "--config-dir", "/nonexistent"}).status,
              exit_ok);
}

TEST(CommandLine, TheExampleWithEverySettingIsAConfiguration)
{
    const auto example = run_opsd({"docs", "example"});
    const File file{example.out};
    const auto got = run_opsd({"config", "check", "--config", file.path, "--config-dir", "/nonexistent"});
    EXPECT_EQ(got.status, exit_ok) << got.err;
}

TEST(CommandLine, CompletionsNameTheCommands)
{
    for (const auto* shell : {"bash", "zsh", "fish"}) {
        const auto got = run_opsd({"completion", shell});
        EXPECT_EQ(got.status, exit_ok);
        EXPECT_NE(got.out.find("history"), std::string::npos) << shell;
    }
}

// The generated pages are what the binary says: run `opsd docs PAGE > FILE` when this fails.
TEST(Docs, ThePagesInTheTreeAreThoseOfTheBinary)
{
    for (const auto& [page, file] : {std::pair{"api", "docs/api.md"},
                                     {"configuration", "docs/configuration.md"},
                                     {"example", "config/opsd.yaml"}}) {
        std::ifstream in{std::string{OPSD_SOURCE_DIR} + "/" + file};
        const std::string kept{std::istreambuf_iterator<char>{in}, {}};
        EXPECT_EQ(kept, run_opsd({"docs", page}).out)
            << file << " is old: opsd docs " << page << " > " << file;
    }
}
