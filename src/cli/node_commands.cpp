// `opsd node ...`, `opsd unit nodes` and `opsd health --cluster`: the cluster as a master sees it.

#include "cli/cli.hpp"
#include "cli/commands.hpp"
#include "cli/health_words.hpp"
#include "cli/json_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace opsd::cli {

using nlohmann::json;

namespace {

/// "mesos, static (not any more)"
std::string sources_of(const json& node)
{
    std::string all;
    for (const auto& source : node.value("known_from", json::array())) {
        all += (all.empty() ? "" : ", ") + text(source, "source");
        if (!source.value("current", false)) all += " (not any more)";
    }
    return all;
}

std::string counts_of(const json& object, const char* name)
{
    const auto counts = object.value(name, json::object());
    return fmt::format("{}/{}/{}", number(counts, "healthy"), number(counts, "unhealthy"),
                       number(counts, "unknown"));
}

/// Why a node is as it is, with the work that is planned on it.
std::string why_of(const json& node)
{
    auto why = text(node, "freshness") == "fresh" ? text(node, "reason") : text(node, "why");
    const auto ack = acknowledgement(node);
    if (!ack.empty()) why = why.empty() ? ack : fmt::format("{} ({})", why, ack);
    return why;
}

}  // namespace

int cluster_health(const Context& context)
{
    const Api api{context.target};
    const auto cluster = api.json("GET", "/api/v1/cluster");
    if (!cluster) return plugin_unknown(cluster.error());
    const auto word = word_of(health_of(*cluster));
    if (context.json) {
        print_json(*cluster);
        return word.exit;
    }
    if (!cluster->value("watching", false)) {
        return plugin_unknown({Errc::unavailable,
                               "this node watches no cluster: set cluster.sources, or ask a master (--url)"});
    }
    const auto nodes = cluster->value("nodes", json::object());
    const auto healthy = number(nodes, "healthy");
    const auto unhealthy = number(nodes, "unhealthy");
    const auto unknown = number(nodes, "unknown");
    const auto reason = one_line(text(*cluster, "reason"));
    fmt::print("{} - {} | healthy={} unhealthy={};;0 unknown={};;0\n", word.nagios,
               reason.empty() ? fmt::format("all {} nodes healthy", healthy) : reason, healthy, unhealthy,
               unknown);
    if (word.exit == exit_ok) return word.exit;
    const auto bad = api.json("GET", "/api/v1/nodes?health=1,3");
    if (!bad) return word.exit;  // the verdict stands; its details could not be had
    for (const auto& node : bad->value("nodes", json::array())) {
        fmt::print("{} {}: {}: {}\n", text(node, "address"), text(node, "hostname"),
                   word_of(health_of(node)).plain, why_of(node));
    }
    return word.exit;
}

int node_list(const Context& context, bool unhealthy_only)
{
    const auto list =
        Api{context.target}.json("GET", unhealthy_only ? "/api/v1/nodes?health=1,3" : "/api/v1/nodes");
    if (!list) return report(list.error());
    if (context.json) {
        print_json(*list);
        return exit_ok;
    }
    Table table{{"address", "hostname", "role", "health", "units ok/bad/?", "picture", "why"}};
    for (const auto& node : list->value("nodes", json::array())) {
        const auto word = word_of(health_of(node));
        const auto freshness = text(node, "freshness");
        table.row({{text(node, "address")},
                   {text(node, "hostname")},
                   {text(node, "role") + (node.value("leader", false) ? " (leader)" : "")},
                   {word.plain, word.colour},
                   {counts_of(node, "units")},
                   {freshness, freshness == "fresh" ? Colour::none : Colour::yellow},
                   {why_of(node)}});
    }
    if (table.size() == 0)
        fmt::print("No nodes{}.\n", unhealthy_only ? " match" : " are known");
    else
        fmt::print("{}", table.render(context.style));
    return exit_ok;
}

int node_show(const Context& context, const std::string& node)
{
    const Api api{context.target};
    const auto found = api.json("GET", "/api/v1/nodes/" + encode(node));
    if (!found) return plugin_unknown(found.error());
    const auto word = word_of(health_of(*found));
    if (context.json) {
        print_json(*found);
        return word.exit;
    }
    const auto why = why_of(*found);
    fmt::print("{} - {} {} is {}{}\n", word.nagios, text(*found, "address"), text(*found, "hostname"),
               word.plain, why.empty() ? "" : ": " + one_line(why));
    const auto field = [](const char* name, const std::string& value) {
        if (!value.empty()) fmt::print("{:>14}  {}\n", name, value);
    };
    for (const auto* name : {"role", "mesos_id", "node_id", "opsd_version", "dcos_version", "freshness"})
        field(name, text(*found, name));
    field("answered", short_time(text(*found, "answered_at")));
    field("clock offset", fmt::format("{} ms", number(*found, "clock_offset_ms")));
    field("known from", sources_of(*found));
    const auto replaced = found->find("replaced");
    if (replaced != found->end() && replaced->is_object())
        field("replaced", "another machine has this address since " + short_time(text(*replaced, "at")));
    field("acknowledged", acknowledgement(*found));
    const auto units = api.json("GET", "/api/v1/nodes/" + encode(node) + "/units");
    if (!units) return word.exit;
    Table table{{"unit", "health", "state", "since", "why"}};
    for (const auto& unit : units->value("units", json::array())) {
        const auto its = word_of(health_of(unit));
        if (its.exit == exit_ok) continue;
        table.row({{text(unit, "id")},
                   {its.plain, its.colour},
                   {text(unit, "state")},
                   {short_time(text(unit, "since"))},
                   {text(unit, "reason")}});
    }
    if (table.size() > 0) fmt::print("\n{}", table.render(context.style));
    return word.exit;
}

int node_forget(const Context& context, const std::string& node)
{
    const auto done = Api{context.target}.json("DELETE", "/api/v1/nodes/" + encode(node));
    if (!done) return report(done.error());
    fmt::print("{} is forgotten. A source that names it again brings it back.\n", node);
    return exit_ok;
}

int node_ack(const Context& context, const std::string& node, const std::string& duration,
             const std::string& reason)
{
    const json body{{"for", duration}, {"reason", reason}};
    const auto done =
        Api{context.target}.json("POST", "/api/v1/nodes/" + encode(node) + "/ack", body_of(body));
    if (!done) return report(done.error());
    if (context.json)
        print_json(*done);
    else
        fmt::print("{} is acknowledged until {}.\n", node, short_time(text(*done, "until")));
    return exit_ok;
}

int node_unack(const Context& context, const std::string& node)
{
    const auto done = Api{context.target}.json("DELETE", "/api/v1/nodes/" + encode(node) + "/ack");
    if (!done) return report(done.error());
    fmt::print("{} is no longer acknowledged.\n", node);
    return exit_ok;
}

int unit_nodes(const Context& context, const std::string& unit)
{
    const auto found = Api{context.target}.json("GET", "/api/v1/cluster/units/" + encode(unit));
    if (!found) return report(found.error());
    if (context.json) {
        print_json(*found);
        return exit_ok;
    }
    Table table{{"address", "hostname", "role", "health", "state", "since", "why"}};
    for (const auto& node : found->value("nodes", json::array())) {
        const auto its = node.value("unit", json::object());
        const auto word = word_of(health_of(its));
        table.row({{text(node, "address")},
                   {text(node, "hostname")},
                   {text(node, "role")},
                   {word.plain, word.colour},
                   {text(its, "state")},
                   {short_time(text(its, "since"))},
                   {text(its, "reason")}});
    }
    fmt::print("{}", table.render(context.style));
    return exit_ok;
}

}  // namespace opsd::cli
