#pragma once
// Shell completions made from the command tree itself, so that they never lag behind it.

#include <string>
#include <vector>

namespace opsd::cli {

/// One command with its long options and its sub-commands.
struct CommandTree {
    std::string name;
    std::string help;
    std::vector<std::string> options;  ///< "--limit"
    std::vector<CommandTree> commands;
    bool takes_unit = false;  ///< its argument is a unit name: completed by asking the daemon
};

/// `shell`: bash, zsh or fish; "" for any other.
[[nodiscard]] std::string completion_script(const std::string& shell, const CommandTree& root);

}  // namespace opsd::cli
