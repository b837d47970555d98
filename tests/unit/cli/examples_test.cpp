// The ready examples of config/examples: each is a configuration by itself.

#include "cli/cli.hpp"

#include "command.hpp"

#include <filesystem>

namespace fs = std::filesystem;

TEST(Examples, EachIsAGoodConfiguration)
{
    std::size_t count = 0;
    for (const auto& entry : fs::directory_iterator{fs::path{OPSD_SOURCE_DIR} / "config/examples"}) {
        ++count;
        const auto checked = opsd::test::run_opsd(
            {"config", "check", "--config", entry.path(), "--config-dir", "/nonexistent/conf.d"});
        EXPECT_EQ(checked.status, opsd::cli::exit_ok) << entry.path() << "\n" << checked.out << checked.err;
    }
    EXPECT_GE(count, 2U);
}
