// `opsd health` and `opsd unit ...`: the node's units for people, scripts and Nagios.

#include "cli/cli.hpp"
#include "cli/commands.hpp"
#include "cli/health_words.hpp"
#include "cli/json_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <cstdio>

namespace opsd::cli {

using nlohmann::json;

namespace {

/// What the daemon says about a change that a restart would lose.
void warn_unless_durable(const json& answer)
{
    if (answer.value("durable", true)) return;
    fmt::print(stderr, "warning: {}\n", one_line(printable(text(answer, "note"))));
}

}  // namespace

int report(const Error& error)
{
    fmt::print(stderr, "opsd: {}\n", printable(error.message));
    return exit_for(error);
}

int health(const Context& context)
{
    const Api api{context.target};
    auto node = api.json("GET", "/api/v1/health");
    if (!node) return plugin_unknown(node.error());
    const auto word = word_of(health_of(*node));
    if (context.json) {
        print_json(*node);
        return word.exit;
    }
    const auto counts = node->value("counts", json::object());
    const auto healthy = number(counts, "healthy");
    const auto unhealthy = number(counts, "unhealthy");
    const auto unknown = number(counts, "unknown");
    const auto total = healthy + unhealthy + unknown;
    const auto reason = one_line(text(*node, "reason"));
    const auto summary = reason.empty() ? fmt::format("all {} units healthy", total) : reason;
    fmt::print("{} - {} | healthy={} unhealthy={};;0 unknown={};;0\n", word.nagios, summary, healthy,
               unhealthy, unknown);
    if (word.exit == exit_ok) return word.exit;
    auto units = api.json("GET", "/api/v1/units?health=1,3");
    if (!units) return word.exit;  // the verdict stands; its details could not be had
    for (const auto& unit : units->value("units", json::array())) {
        const auto ack = acknowledgement(unit);
        fmt::print("{}: {} since {}: {}{}\n", text(unit, "id"), text(unit, "state"),
                   short_time(text(unit, "since")), text(unit, "reason"),
                   ack.empty() ? "" : " (" + ack + ")");
    }
    return word.exit;
}

int unit_show(const Context& context, const std::string& unit)
{
    const auto found = Api{context.target}.json("GET", "/api/v1/units/" + encode(unit));
    if (!found) return plugin_unknown(found.error());
    const auto word = word_of(health_of(*found));
    if (context.json) {
        print_json(*found);
        return word.exit;
    }
    fmt::print("{} - {} is {}: {}\n", word.nagios, text(*found, "id"), text(*found, "state"),
               text(*found, "reason"));
    const auto field = [](const char* name, const std::string& value) {
        if (!value.empty()) fmt::print("{:>14}  {}\n", name, value);
    };
    field("since", text(*found, "since"));
    field("description", text(*found, "description"));
    field("restarts", fmt::format("{} in the window", number(*found, "restarts_in_window")));
    field("acknowledged", acknowledgement(*found));
    for (const auto& [name, value] : found->value("properties", json::object()).items()) {
        field(name.c_str(), value.is_string() ? printable(value.get<std::string>()) : value.dump());
    }
    const auto output = text(*found, "output");
    if (!output.empty()) fmt::print("\n{}{}", output, output.ends_with('\n') ? "" : "\n");
    return word.exit;
}

int unit_list(const Context& context, const UnitFilter& filter)
{
    std::string query = filter.unhealthy_only ? "?health=1,3" : "";
    if (!filter.state.empty()) query += (query.empty() ? "?state=" : "&state=") + encode(filter.state);
    const auto list = Api{context.target}.json("GET", "/api/v1/units" + query);
    if (!list) return report(list.error());
    if (context.json) {
        print_json(*list);
        return exit_ok;
    }
    Table table{{"unit", "health", "state", "since", "why"}};
    for (const auto& unit : list->value("units", json::array())) {
        const auto word = word_of(health_of(unit));
        auto why = text(unit, "reason");
        const auto ack = acknowledgement(unit);
        if (!ack.empty()) why = fmt::format("{} ({})", why, ack);
        table.row({{text(unit, "id")},
                   {word.plain, word.colour},
                   {text(unit, "state")},
                   {short_time(text(unit, "since"))},
                   {why}});
    }
    if (table.size() == 0)
        fmt::print("No units{}.\n", query.empty() ? "" : " match");
    else
        fmt::print("{}", table.render(context.style));
    return exit_ok;
}

int unit_history(const Context& context, const std::string& unit, int limit)
{
    const auto rows = Api{context.target}.json(
        "GET", fmt::format("/api/v1/units/{}/history?limit={}", encode(unit), limit));
    if (!rows) return report(rows.error());
    if (context.json) {
        print_json(*rows);
        return exit_ok;
    }
    Table table{{"time", "from", "to", "times", "result", "why"}};
    for (const auto& row : rows->value("transitions", json::array())) {
        table.row({{short_time(text(row, "at"))},
                   {text(row, "from")},
                   {text(row, "to"), word_of(number(row, "to_health")).colour},
                   {std::to_string(number(row, "count"))},
                   {text(row, "result")},
                   {text(row, "reason")}});
    }
    if (table.size() == 0)
        fmt::print("No transitions of {} are kept.\n", unit);
    else
        fmt::print("{}", table.render(context.style));
    return exit_ok;
}

int unit_ack(const Context& context, const std::string& unit, const std::string& duration,
             const std::string& reason)
{
    const json body{{"for", duration}, {"reason", reason}};
    const auto done =
        Api{context.target}.json("POST", "/api/v1/units/" + encode(unit) + "/ack", body_of(body));
    if (!done) return report(done.error());
    if (context.json)
        print_json(*done);
    else
        fmt::print("{} is acknowledged until {}.\n", unit, short_time(text(*done, "until")));
    warn_unless_durable(*done);
    return exit_ok;
}

int unit_unack(const Context& context, const std::string& unit)
{
    const auto done = Api{context.target}.json("DELETE", "/api/v1/units/" + encode(unit) + "/ack");
    if (!done) return report(done.error());
    fmt::print("{} is no longer acknowledged.\n", unit);
    warn_unless_durable(*done);
    return exit_ok;
}

}  // namespace opsd::cli
