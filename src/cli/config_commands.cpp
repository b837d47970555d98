// `opsd config ...` and `opsd docs ...`: no daemon needed.

#include "cli/cli.hpp"
#include "cli/commands.hpp"
#include "daemon/offline.hpp"
#include "daemon/options.hpp"
#include "io/sandbox/capabilities.hpp"

#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

namespace opsd::cli {
namespace {

int refused(const config::Mistakes& mistakes)
{
    for (const auto& mistake : mistakes)
        fmt::print(stderr, "{}\n", mistake.to_string());
    return exit_config;
}

}  // namespace

int config_check(const config::Sources& sources, const std::string& credentials_directory)
{
    // ExecReload= has all that the unit was given: what the daemon gives up must not make the check succeed.
    const auto given_up = sandbox::give_up_reading();
    if (!given_up) {
        fmt::print(stderr, "opsd: {}\n", given_up.error().message);
        return exit_failed;
    }
    const auto checked = daemon::check_configuration(sources);
    if (!checked) return refused(checked.error());
    std::vector<std::string> unchecked;
    const auto mistakes = daemon::check_files(*checked, credentials_directory, unchecked);
    if (!mistakes.empty()) return refused(mistakes);
    for (const auto& what : unchecked)
        fmt::print("Not checked: {}.\n", what);
    fmt::print("The configuration is good.\n");
    return exit_ok;
}

int config_show(const config::Sources& sources)
{
    const auto root = daemon::check_configuration(sources);
    if (!root) return refused(root.error());
    fmt::print("{}", config::effective(*root, daemon::all_sections()));
    return exit_ok;
}

int config_schema()
{
    fmt::print("{}", config::json_schema(daemon::all_sections()));
    return exit_ok;
}

int docs(const std::string& page)
{
    if (page == "configuration")
        fmt::print("{}", config::markdown(daemon::all_sections()));
    else if (page == "example")
        fmt::print("{}", config::example(daemon::all_sections()));
    else
        fmt::print("{}", daemon::api_page());
    return exit_ok;
}

}  // namespace opsd::cli
