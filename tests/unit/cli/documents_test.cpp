// The manual and the completions against the command line itself, which is what `--help` says at every level.

#include "cli/cli.hpp"

#include "command.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using opsd::test::run_opsd;

namespace {

using Words = std::set<std::string>;

struct Command {
    Words options;
    Words commands;
};

std::vector<std::string> split(const std::string& text)
{
    std::istringstream in{text};
    return {std::istream_iterator<std::string>{in}, {}};
}

/// Everything in the text that matches, or its first group if the pattern has one.
Words found(const std::string& text, const char* pattern)
{
    const std::regex regex{pattern};
    const int group = regex.mark_count() > 0 ? 1 : 0;
    return {std::sregex_token_iterator{text.begin(), text.end(), regex, group}, {}};
}

/// All of `words` that are not in `known`, for the message of a failing test.
std::string beyond(const Words& words, const Words& known)
{
    std::string out;
    for (const auto& word : words) {
        if (!known.contains(word)) out += word + " ";
    }
    return out;
}

/// {"unit list": ...} of every command, groups and "" (opsd itself) included.
void read_help(const std::string& path, std::map<std::string, Command>& all)
{
    auto words = split(path);
    words.emplace_back("--help");
    const auto help = run_opsd(words);
    EXPECT_EQ(help.status, opsd::cli::exit_ok) << path;
    auto& command = all[path];
    std::istringstream lines{help.out};
    std::string section;
    for (std::string line; std::getline(lines, line);) {
        if (line.ends_with(':') && !line.starts_with(' ')) section = line;
        if (!line.starts_with("  ") || line.starts_with("   ")) continue;
        const auto first = split(line).front();
        if (section == "Options:") command.options.merge(found(first, "--[a-z-]+"));
        if (section == "Subcommands:") command.commands.insert(first);
    }
    for (const auto& sub : Words{command.commands})
        read_help(path.empty() ? sub : path + " " + sub, all);
}

const std::map<std::string, Command>& command_table()
{
    static const auto table = [] {
        std::map<std::string, Command> all;
        read_help("", all);
        return all;
    }();
    return table;
}

/// What can be run, without the names of groups such as "unit".
Words runnable()
{
    Words all;
    for (const auto& [path, command] : command_table()) {
        if (command.commands.empty()) all.insert(path);
    }
    return all;
}

/// A paragraph of the manual that begins with .TP, as plain text.
struct Item {
    std::string text;
    std::string bold;  ///< its lines in bold only: commands are written so
};

/// {section: items}; what stands before the first .TP is the first item.
std::map<std::string, std::vector<Item>> read_manual()
{
    std::ifstream in{std::string{OPSD_SOURCE_DIR} + "/packaging/opsd.1"};
    std::map<std::string, std::vector<Item>> all;
    std::vector<Item>* section = nullptr;
    const std::regex escapes{R"(\\f[A-Z]|")"};
    const std::regex dash{R"(\\-)"};
    for (std::string line; std::getline(in, line);) {
        line = std::regex_replace(std::regex_replace(line, escapes, ""), dash, "-");
        if (line.starts_with(".SH ")) {
            section = &all[line.substr(4)];
            section->emplace_back();
        } else if (section != nullptr && line == ".TP") {
            section->emplace_back();
        } else if (section != nullptr) {
            section->back().text += line + "\n";
            if (line.starts_with(".B")) section->back().bold += line + "\n";
        }
    }
    return all;
}

const std::map<std::string, std::vector<Item>>& manual()
{
    static const auto pages = read_manual();
    return pages;
}

Words commands_of(const Item& item) { return found(item.bold, R"(opsd ([a-z]+(?: [a-z]+)*))"); }
Words options_of(const Item& item) { return found(item.text, "--[a-z]+(?:-[a-z]+)*"); }

/// The options that the manual describes for several commands at once.
Words shared_options()
{
    Words all;
    for (const auto& [section, items] : manual()) {
        if (!section.starts_with("OPTIONS OF ")) continue;
        for (const auto& item : items)
            all.merge(options_of(item));
    }
    return all;
}

}  // namespace

TEST(Docs, TheManualHasEveryCommandAndNoOther)
{
    ASSERT_GT(command_table().size(), 30U) << "the help could not be read";
    Words described;
    for (const auto& item : manual().at("COMMANDS"))
        described.merge(commands_of(item));
    EXPECT_EQ(beyond(runnable(), described), "") << "not in packaging/opsd.1";
    EXPECT_EQ(beyond(described, runnable()), "") << "only in packaging/opsd.1";
    auto synopsis = found(manual().at("SYNOPSIS").front().bold, R"((?:^|\n)\.B (?:opsd )?([a-z]+))");
    EXPECT_EQ(synopsis, command_table().at("").commands);
}

TEST(Docs, TheManualHasEveryOptionOfEachCommandAndNoOther)
{
    const auto shared = shared_options();
    Words of_any;
    for (const auto& [path, command] : command_table())
        of_any.insert(command.options.begin(), command.options.end());
    EXPECT_EQ(beyond(shared, of_any), "") << "only in packaging/opsd.1";
    for (const auto& item : manual().at("COMMANDS")) {
        Words theirs;
        for (const auto& path : commands_of(item)) {
            if (!command_table().contains(path)) continue;
            const auto& options = command_table().at(path).options;
            theirs.insert(options.begin(), options.end());
            auto described = options_of(item);
            described.insert(shared.begin(), shared.end());
            EXPECT_EQ(beyond(options, described), "") << "opsd " << path << ": not in packaging/opsd.1";
        }
        EXPECT_EQ(beyond(options_of(item), theirs), "") << "only in packaging/opsd.1: " << item.bold;
    }
}

TEST(Docs, TheCompletionsHaveEveryCommandAndOptionAndNoOther)
{
    const auto bash = run_opsd({"completion", "bash"}).out;
    const auto zsh = run_opsd({"completion", "zsh"}).out;
    const auto fish = run_opsd({"completion", "fish"}).out;
    for (const auto& [path, command] : command_table()) {
        Words wanted = command.options;
        wanted.insert(command.commands.begin(), command.commands.end());
        for (const auto* script : {&bash, &zsh}) {
            const auto begin = script->find("        \"" + path + "\") words=\"");
            ASSERT_NE(begin, std::string::npos) << path;
            const auto line = script->substr(begin, script->find('\n', begin) - begin);
            const auto quoted = line.substr(line.find("words=\"") + 7);
            const auto words = split(quoted.substr(0, quoted.find_first_of("\"$")));
            EXPECT_EQ(Words(words.begin(), words.end()), wanted) << path;
        }
        std::string condition;
        for (const auto& word : split(path))
            condition += (condition.empty() ? "" : "; and ") + ("__fish_seen_subcommand_from " + word);
        if (condition.empty()) condition = "__fish_use_subcommand";
        Words offered;
        std::istringstream lines{fish};
        for (std::string line; std::getline(lines, line);) {
            if (!line.starts_with("complete -c opsd -n '" + condition + "' ")) continue;
            for (const auto& word : found(line, "' -l ([a-z-]+)"))
                offered.insert("--" + word);
            offered.merge(found(line, "' -a ([a-z]+) "));
        }
        EXPECT_EQ(offered, wanted) << path;
    }
}
