// `opsd token ...` and `opsd user ...`: who may do what. The daemon keeps them; these are calls to it.

#include "cli/cli.hpp"
#include "cli/commands.hpp"
#include "cli/json_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>

namespace opsd::cli {

using nlohmann::json;

namespace {

/// Switches the terminal's echo off while it lives.
class Silence {
public:
    Silence()
    {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
        auto quiet = before_;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        active_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0;
    }
    Silence(const Silence&) = delete;
    Silence& operator=(const Silence&) = delete;
    ~Silence()
    {
        if (active_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    }

private:
    termios before_{};
    bool active_ = false;
};

/// One line from the terminal (asked twice) or from a pipe (once).
Result<std::string> read_password()
{
    const bool terminal = ::isatty(STDIN_FILENO) != 0;
    const auto ask = [terminal](const char* prompt) {
        std::string line;
        {
            // Before the prompt: who types at once is not shown, and nothing typed is lost.
            const Silence silence;
            if (terminal) fmt::print(stderr, "{}", prompt);
            std::getline(std::cin, line);
        }
        if (terminal) fmt::print(stderr, "\n");
        return line;
    };
    auto first = ask("Password: ");
    if (first.empty())
        return fail(Errc::invalid_argument, "cannot set an empty password: type one, or pipe it in");
    if (terminal && ask("Again: ") != first)
        return fail(Errc::invalid_argument, "cannot set the password: the two entries differ");
    return first;
}

int done_or_report(const Result<json>& result, const std::string& sentence)
{
    if (!result) return report(result.error());
    fmt::print("{}\n", sentence);
    return exit_ok;
}

}  // namespace

int token_create(const Context& context, const std::string& name, const std::string& role,
                 const std::string& lifetime)
{
    json body{{"name", name}, {"role", role}};
    if (!lifetime.empty()) body["lifetime"] = lifetime;
    const auto made = Api{context.target}.json("POST", "/api/v1/tokens", body_of(body));
    if (!made) return report(made.error());
    if (context.json) {
        print_json(*made);
        return exit_ok;
    }
    // The secret alone on stdout, so that a script can keep it; it is shown this once only.
    fmt::print(stderr, "Token {} ({}) made; it is shown only now:\n", text(*made, "id"), text(*made, "role"));
    fmt::print("{}\n", text(*made, "token"));
    return exit_ok;
}

int token_list(const Context& context)
{
    const auto list = Api{context.target}.json("GET", "/api/v1/tokens");
    if (!list) return report(list.error());
    if (context.json) {
        print_json(*list);
        return exit_ok;
    }
    Table table{{"id", "role", "created", "expires", "name"}};
    for (const auto& t : list->value("tokens", json::array())) {
        const auto expires = text(t, "expires");
        table.row({{text(t, "id")},
                   {text(t, "role")},
                   {text(t, "created")},
                   {expires.empty() ? "never" : expires},
                   {text(t, "name")}});
    }
    fmt::print("{}", table.size() == 0 ? "No tokens.\n" : table.render(context.style));
    return exit_ok;
}

int token_revoke(const Context& context, const std::string& id)
{
    return done_or_report(Api{context.target}.json("DELETE", "/api/v1/tokens/" + encode(id)),
                          "Token " + id + " revoked.");
}

int user_add(const Context& context, const std::string& name, const std::string& role)
{
    const auto password = read_password();
    if (!password) return report(password.error());
    const json body{{"name", name}, {"role", role}, {"password", *password}};
    return done_or_report(Api{context.target}.json("POST", "/api/v1/users", body_of(body)),
                          fmt::format("User {} ({}) added.", name, role));
}

int user_passwd(const Context& context, const std::string& name)
{
    const auto password = read_password();
    if (!password) return report(password.error());
    const json body{{"password", *password}};
    return done_or_report(
        Api{context.target}.json("PUT", "/api/v1/users/" + encode(name) + "/password", body_of(body)),
        fmt::format("Password of {} changed.", name));
}

int user_remove(const Context& context, const std::string& name)
{
    return done_or_report(Api{context.target}.json("DELETE", "/api/v1/users/" + encode(name)),
                          fmt::format("User {} removed.", name));
}

int user_list(const Context& context)
{
    const auto list = Api{context.target}.json("GET", "/api/v1/users");
    if (!list) return report(list.error());
    if (context.json) {
        print_json(*list);
        return exit_ok;
    }
    Table table{{"name", "role"}};
    for (const auto& u : list->value("users", json::array()))
        table.row({{text(u, "name")}, {text(u, "role")}});
    fmt::print("{}", table.size() == 0 ? "No users.\n" : table.render(context.style));
    return exit_ok;
}

}  // namespace opsd::cli
