#include "cli/completion.hpp"

#include <fmt/format.h>

namespace opsd::cli {
namespace {

/// Calls visit("unit list", command) for every command of the tree.
template <class Visit>
void each_command(const CommandTree& command, const std::string& path, const Visit& visit)
{
    visit(path, command);
    for (const auto& sub : command.commands)
        each_command(sub, path.empty() ? sub.name : path + " " + sub.name, visit);
}

std::string words_of(const CommandTree& command)
{
    std::string words;
    for (const auto& sub : command.commands)
        words += sub.name + " ";
    for (const auto& option : command.options)
        words += option + " ";
    if (!words.empty()) words.pop_back();
    return words;
}

constexpr const char* unit_names = "opsd unit list 2>/dev/null | sed -e 1d -e 's/ .*//'";

std::string bash(const CommandTree& root)
{
    std::string cases;
    each_command(root, "", [&](const std::string& path, const CommandTree& command) {
        const auto units = command.takes_unit ? fmt::format(" $({})", unit_names) : std::string{};
        cases += fmt::format("        \"{}\") words=\"{}{}\" ;;\n", path, words_of(command), units);
    });
    return "# bash completion for opsd; made by `opsd completion bash`\n"
           "_opsd() {\n"
           "    local word path=\"\" words=\"\"\n"
           "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n"
           "        case $word in\n"
           "            -*) ;;\n"
           "            *.*) ;;\n"
           "            *) path=\"${path:+$path }$word\" ;;\n"
           "        esac\n"
           "    done\n"
           "    case $path in\n"
           + cases
           + "    esac\n"
             "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\")\n"
             "}\n"
             "complete -o default -F _opsd opsd\n";
}

std::string zsh(const CommandTree& root)
{
    return "#compdef opsd\n"
           "# zsh completion for opsd; made by `opsd completion zsh`\n"
           "autoload -U +X bashcompinit && bashcompinit\n"
           + bash(root);
}

std::string fish_escaped(const std::string& text)
{
    std::string out;
    for (const char c : text) {
        if (c == '\'' || c == '\\') out += '\\';
        out += c;
    }
    return out;
}

std::string fish(const CommandTree& root)
{
    std::string out = "# fish completion for opsd; made by `opsd completion fish`\ncomplete -c opsd -f\n";
    each_command(root, "", [&](const std::string& path, const CommandTree& command) {
        std::string condition = "__fish_use_subcommand";
        if (!path.empty()) {
            condition.clear();
            std::string rest = path;
            for (std::size_t space = 0; space != std::string::npos;) {
                space = rest.find(' ');
                condition += fmt::format("{}__fish_seen_subcommand_from {}",
                                         condition.empty() ? "" : "; and ", rest.substr(0, space));
                rest = space == std::string::npos ? "" : rest.substr(space + 1);
            }
        }
        for (const auto& sub : command.commands) {
            out += fmt::format("complete -c opsd -n '{}' -a {} -d '{}'\n", condition, sub.name,
                               fish_escaped(sub.help));
        }
        for (const auto& option : command.options)
            out += fmt::format("complete -c opsd -n '{}' -l {}\n", condition, option.substr(2));
        if (command.takes_unit)
            out += fmt::format("complete -c opsd -n '{}' -a '({})'\n", condition, fish_escaped(unit_names));
    });
    return out;
}

}  // namespace

std::string completion_script(const std::string& shell, const CommandTree& root)
{
    if (shell == "bash") return bash(root);
    if (shell == "zsh") return zsh(root);
    return shell == "fish" ? fish(root) : std::string{};
}

}  // namespace opsd::cli
