#pragma once
// A real systemd node of the testbed (tests/testbed/README.md) for the life of a test suite.

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>

namespace opsd::test {

struct Ran {
    int exit_code = -1;
    std::string output;  ///< stdout and stderr
};

/// Runs a shell command to its end.
inline Ran shell(const std::string& command)
{
    Ran ran;
    FILE* pipe = ::popen(("( " + command + " ) 2>&1 </dev/null").c_str(), "re");
    if (pipe == nullptr) return ran;
    std::array<char, 4096> buffer{};
    while (const auto n = std::fread(buffer.data(), 1, buffer.size(), pipe))
        ran.output.append(buffer.data(), n);
    const int status = ::pclose(pipe);
    ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return ran;
}

/// Why no node can be made here; "" when it can.
inline std::string no_nodes_because()
{
    const auto checked = shell(OPSD_SOURCE_DIR "/tests/testbed/systemd-node check");
    if (checked.exit_code == 0) return {};
    return "NOT TESTED AGAINST A REAL SYSTEMD: " + checked.output;
}

/// One node, alone in a group of this process. Removed with the object.
class Node {
public:
    explicit Node(std::string name, const std::string& options = "") : name_{std::move(name)}
    {
        const auto started = shell(tool() + " start " + name_ + " " + options);
        if (started.exit_code != 0) throw std::runtime_error{"no node: " + started.output};
    }
    ~Node() { shell(tool() + " kill " + name_); }
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    /// The shell command that runs `command` inside, as root in all namespaces.
    [[nodiscard]] std::string command(const std::string& inside) const
    {
        return tool() + " exec " + name_ + " " + inside;
    }
    [[nodiscard]] Ran exec(const std::string& inside) const { return shell(command(inside)); }
    /// systemctl inside; the test fails when it does.
    void systemctl(const std::string& arguments) const
    {
        const auto ran = exec("systemctl " + arguments);
        EXPECT_EQ(ran.exit_code, 0) << "systemctl " << arguments << ": " << ran.output;
    }
    /// The D-Bus address as seen from outside.
    [[nodiscard]] std::string bus() const { return line("bus"); }
    /// The root directory as seen from outside.
    [[nodiscard]] std::string root() const { return line("root"); }

private:
    [[nodiscard]] static std::string tool()
    {
        return OPSD_SOURCE_DIR "/tests/testbed/systemd-node -g component-" + std::to_string(::getpid());
    }
    [[nodiscard]] std::string line(const std::string& verb) const
    {
        auto text = shell(tool() + " " + verb + " " + name_).output;
        text.erase(text.find_last_not_of('\n') + 1);
        return text;
    }

    std::string name_;
};

}  // namespace opsd::test
