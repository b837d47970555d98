#include "modules/cluster/render.hpp"

#include "core/unit_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace opsd::cluster {
namespace {

int number(Health health) { return static_cast<int>(health); }

void append_time(JsonText& json, std::string_view name, WallTime time)
{
    if (time == WallTime{})
        json.key(name).null();
    else
        json.text(name, rfc3339(time));
}

}  // namespace

std::string local_time(WallTime time)
{
    const auto seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    ::localtime_r(&seconds, &parts);
    std::array<char, 64> text{};
    // The names of days and months are English: opsd never sets a locale.
    const auto size = std::strftime(text.data(), text.size(), "%a %b %e %H:%M:%S %Y", &parts);
    return {text.data(), size};
}

std::string_view output_for(const MemberUnit& unit, bool with_journal) noexcept
{
    if (!unit.output) return {};
    const std::string_view all = *unit.output;
    return with_journal ? all : all.substr(0, std::min(all.find('\n'), all.size() - 1) + 1);
}

std::string help_for(const Member& member, std::string_view unit)
{
    const auto& who = member.identity;
    const auto host = who.hostname.empty() ? member.address : who.hostname;
    const auto mesos = who.mesos_id.empty() ? std::string{} : fmt::format(" (Mesos id {})", who.mesos_id);
    return fmt::format("on {}{}: opsd explain {}", host, mesos, unit);
}

void append_unit(JsonText& json, const UnitLabel& label, Health health)
{
    json.open('{').text("id", label.id).text("name", label.name).number("health", number(health));
    json.text("description", label.description).close('}');
}

void append_node(JsonText& json, const Member& member, Health health)
{
    json.open('{').text("host_ip", member.address).number("health", number(health));
    json.text("role", member.identity.role).close('}');
}

void append_unit_node(JsonText& json, const Member& member, const MemberUnit& unit, Health health,
                      bool with_journal)
{
    json.open('{').text("host_ip", member.address).number("health", number(health));
    json.text("role", member.identity.role).text("output", output_for(unit, with_journal));
    json.text("help", help_for(member, unit.label->id)).close('}');
}

void append_node_unit(JsonText& json, const Member& member, const MemberUnit& unit, bool with_journal)
{
    json.open('{').text("id", unit.label->id).number("health", number(member.current(unit)));
    json.text("output", output_for(unit, with_journal)).text("description", unit.label->description);
    json.text("help", help_for(member, unit.label->id)).text("name", unit.label->name).close('}');
}

void append_counts(JsonText& json, const HealthCounts& counts)
{
    json.open('{').number("healthy", counts.healthy).number("unhealthy", counts.unhealthy);
    json.number("unknown", counts.unknown).close('}');
}

HealthCounts unit_counts(const Member& member) noexcept
{
    HealthCounts counts;
    for (const auto& unit : member.units)
        counts.add(member.current(unit));
    return counts;
}

void append_member(JsonText& json, const Member& member)
{
    const auto& who = member.identity;
    json.open('{').text("address", member.address).text("hostname", who.hostname).text("role", who.role);
    json.text("mesos_id", who.mesos_id).text("node_id", member.node_id);
    json.text("opsd_version", member.opsd_version).text("dcos_version", who.dcos_version);
    json.number("health", number(member.health)).text("reason", member.reason);
    json.text("freshness", to_string(member.freshness)).text("why", member.why);
    append_time(json, "answered_at", member.answered_at);
    append_time(json, "changed_at", member.changed_at);
    json.number("clock_offset_ms", member.clock_offset.count());
    json.boolean("systemd_readable", member.systemd_readable);
    json.boolean("self", member.self).boolean("leader", member.leader).key("units");
    append_counts(json, unit_counts(member));
    json.key("known_from").open('[');
    for (const auto& source : member.sources) {
        json.open('{').text("source", source.name).boolean("current", source.current);
        append_time(json, "first", source.first);
        append_time(json, "last", source.last);
        json.close('}');
    }
    json.close(']').key("replaced");
    if (member.previous_node_id.empty()) {
        json.null();
    } else {
        json.open('{').text("previous_node_id", member.previous_node_id);
        append_time(json, "at", member.replaced_at);
        json.close('}');
    }
    json.key("acknowledged");
    append_acknowledgement(json, member.acknowledged.get());
    json.close('}');
}

void append_member_unit(JsonText& json, const Member& member, const MemberUnit& unit, bool with_journal)
{
    json.open('{').text("id", unit.label->id).text("name", unit.label->name);
    json.text("description", unit.label->description).number("health", number(member.current(unit)));
    json.text("state", unit.verdict->state);
    const bool current = member.freshness == Freshness::fresh;
    json.text("reason", current ? unit.verdict->reason
                                : fmt::format("{} (last known: {}, {})", member.why, unit.verdict->state,
                                              unit.verdict->reason));
    json.number("last_known_health", number(unit.verdict->health));
    append_time(json, "since", unit.since);
    json.number("restarts_in_window", unit.restarts_in_window).text("output", output_for(unit, with_journal));
    json.key("acknowledged");
    append_acknowledgement(json, unit.acknowledged.get());
    json.close('}');
}

}  // namespace opsd::cluster
