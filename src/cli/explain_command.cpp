// `opsd explain UNIT`: the explanation as a page for people.

#include "cli/cli.hpp"
#include "cli/commands.hpp"
#include "cli/json_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace opsd::cli {

using nlohmann::json;

namespace {

/// "2026-11-22T17:39:05.123Z" -> "2026-11-22 17:39:05".
std::string short_time(const std::string& time)
{
    auto cut = time.substr(0, 19);
    if (cut.size() > 10) cut[10] = ' ';
    return cut;
}

Colour colour_of(std::int64_t health)
{
    return health == 0 ? Colour::green : health == 1 ? Colour::red : Colour::yellow;
}

const json& list(const json& object, const char* key)
{
    static const json nothing = json::array();
    const auto at = object.find(key);
    return at != object.end() && at->is_array() ? *at : nothing;
}

class Page {
public:
    explicit Page(const Style& style) : style_{style} {}

    /// A heading, if anything follows it.
    void section(const json& rows, std::string_view title)
    {
        if (!rows.empty()) fmt::print("\n{}\n", paint(style_, Colour::bold, title));
    }
    void row(std::string_view first, std::string_view text)
    {
        fmt::print("  {:<20}{}{}\n", first, first.size() >= 20 ? "  " : "", text);
    }

private:
    const Style& style_;
};

void print_head(const Style& style, const json& answer)
{
    const auto health = answer.contains("health") ? number(answer, "health") : 3;
    const auto state = paint(style, colour_of(health), text(answer, "state"));
    fmt::print("{} is {} since {} UTC\n", text(answer, "unit"), state, short_time(text(answer, "since")));
    fmt::print("\n{}\n", paint(style, Colour::bold, text(answer, "verdict")));
    fmt::print("cause: {}\n", text(answer, "cause"));
    const auto worked = answer.find("worked");
    if (worked == answer.end() || !worked->is_object() || health == 0) return;
    const auto since = text(*worked, "since");
    fmt::print("it last worked {}until {} UTC\n",
               since.empty() ? std::string{} : fmt::format("from {} ", short_time(since)),
               short_time(text(*worked, "until")));
}

void print_changes(Page& page, const json& answer)
{
    const auto& changed = list(answer, "changed");
    page.section(changed, "Changed since it last started well");
    for (const auto& one : changed) {
        const auto later = one.find("after_failure");
        const bool after = later != one.end() && later->is_boolean() && later->get<bool>();
        const auto package = text(one, "package");
        page.row(short_time(text(one, "at")),
                 fmt::format("{} {}: {}{}{}", text(one, "role"), text(one, "path"), text(one, "text"),
                             package.empty() ? "" : fmt::format(" (package {})", package),
                             after ? ", after the failure" : ""));
    }
    const auto& packages = list(answer, "packages");
    const auto worked = answer.find("worked");
    const bool since_then = worked != answer.end() && worked->is_object();
    page.section(packages,
                 since_then ? "Packages changed in that time" : "Packages changed in the day before");
    for (const auto& one : packages) {
        const auto owns = text(one, "owns");
        page.row(short_time(text(one, "at")),
                 fmt::format("{} {} {} -> {}{}", text(one, "action"), text(one, "package"),
                             text(one, "from").empty() ? "none" : text(one, "from"),
                             text(one, "to").empty() ? "none" : text(one, "to"),
                             owns.empty() ? "" : fmt::format("  (owns the {})", owns)));
    }
}

void print_journal(Page& page, const json& answer)
{
    const auto& lines = list(answer, "journal");
    page.section(lines, "Journal");
    for (const auto& line : lines) {
        const auto pid = number(line, "pid");
        const auto who =
            pid == 0 ? text(line, "identifier") : fmt::format("{}[{}]", text(line, "identifier"), pid);
        fmt::print("  {} {}: {}\n", short_time(text(line, "at")), who, text(line, "message"));
    }
}

}  // namespace

int explain(const Context& context, const std::string& unit)
{
    const auto answer = Api{context.target}.json("GET", "/api/v1/units/" + encode(unit) + "/explain");
    if (!answer) return report(answer.error());
    if (context.json) {
        print_json(*answer);
        return exit_ok;
    }
    Page page{context.style};
    print_head(context.style, *answer);
    const auto& evidence = list(*answer, "evidence");
    page.section(evidence, "Evidence");
    for (const auto& one : evidence) {
        const auto at = text(one, "at");
        page.row(text(one, "kind"),
                 text(one, "text") + (at.empty() ? "" : fmt::format(" ({})", short_time(at))));
    }
    print_changes(page, *answer);
    print_journal(page, *answer);
    const auto& next = list(*answer, "next");
    page.section(next, "Next");
    for (const auto& command : next)
        fmt::print("  {}\n", command.is_string() ? printable(command.get<std::string>()) : command.dump());
    const auto& unknown = list(*answer, "unknown");
    page.section(unknown, "Not known");
    for (const auto& one : unknown)
        fmt::print("  {}: {}\n", text(one, "what"), text(one, "why"));
    return exit_ok;
}

}  // namespace opsd::cli
