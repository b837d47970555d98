#include "modules/cluster/member_text.hpp"

#include "core/cells.hpp"
#include "core/json_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace opsd::cluster {
namespace {

using Json = nlohmann::json;

void append_ack(JsonText& json, const Acknowledgement* ack)
{
    json.key("ack");
    if (ack == nullptr) {
        json.null();
        return;
    }
    json.open('{').text("by", ack->by).text("reason", ack->reason);
    json.number("at", micros(ack->at)).number("until", micros(ack->until)).close('}');
}

std::string text_of(const Json& object, const char* name)
{
    const auto at = object.find(name);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string{};
}

std::int64_t number_of(const Json& object, const char* name)
{
    const auto at = object.find(name);
    return at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
}

bool flag_of(const Json& object, const char* name)
{
    const auto at = object.find(name);
    return at != object.end() && at->is_boolean() && at->get<bool>();
}

WallTime time_of(const Json& object, const char* name)
{
    return WallTime{std::chrono::microseconds{number_of(object, name)}};
}

Health health_of(const Json& object)
{
    const auto at = object.find("health");
    const auto number = at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : 3;
    if (number == 0) return Health::healthy;
    return number == 1 ? Health::unhealthy : Health::unknown;
}

std::shared_ptr<const Acknowledgement> ack_of(const Json& object)
{
    const auto at = object.find("ack");
    if (at == object.end() || !at->is_object()) return nullptr;
    return std::make_shared<const Acknowledgement>(Acknowledgement{.by = text_of(*at, "by"),
                                                                   .reason = text_of(*at, "reason"),
                                                                   .at = time_of(*at, "at"),
                                                                   .until = time_of(*at, "until")});
}

const Json* list_of(const Json& object, const char* name)
{
    const auto at = object.find(name);
    return at != object.end() && at->is_array() ? &*at : nullptr;
}

MemberUnit unit_of(const Json& row, TextPool& pool)
{
    MemberUnit unit;
    unit.label = pool.label({text_of(row, "id"), text_of(row, "name"), text_of(row, "description")});
    unit.verdict = pool.verdict({health_of(row), text_of(row, "state"), text_of(row, "reason")});
    unit.since = time_of(row, "since");
    unit.restarts_in_window =
        static_cast<std::uint32_t>(std::clamp<std::int64_t>(number_of(row, "restarts"), 0, 1'000'000'000));
    unit.acknowledged = ack_of(row);
    return unit;
}

}  // namespace

std::string member_text(const Member& member)
{
    const auto& who = member.identity;
    std::string out;
    JsonText json{out};
    json.open('{').text("address", member.address).text("hostname", who.hostname).text("ip", who.ip);
    json.text("role", who.role).text("mesos_id", who.mesos_id).text("dcos_version", who.dcos_version);
    json.text("node_id", member.node_id).text("opsd_version", member.opsd_version);
    json.number("answered_at", micros(member.answered_at)).number("changed_at", micros(member.changed_at));
    json.number("clock_offset", member.clock_offset.count());
    json.boolean("systemd_readable", member.systemd_readable);
    json.boolean("fresh", member.freshness == Freshness::fresh);
    json.text("previous_node_id", member.previous_node_id).number("replaced_at", micros(member.replaced_at));
    append_ack(json, member.acknowledged.get());
    json.key("sources").open('[');
    for (const auto& source : member.sources) {
        json.open('{').text("name", source.name).number("first", micros(source.first));
        json.number("last", micros(source.last)).boolean("current", source.current).close('}');
    }
    json.close(']').key("units").open('[');
    for (const auto& unit : member.units) {
        json.open('{').text("id", unit.label->id).text("name", unit.label->name);
        json.text("description", unit.label->description);
        json.number("health", static_cast<int>(unit.verdict->health)).text("state", unit.verdict->state);
        json.text("reason", unit.verdict->reason).number("since", micros(unit.since));
        json.number("restarts", unit.restarts_in_window);
        append_ack(json, unit.acknowledged.get());
        json.close('}');
    }
    json.close(']').close('}');
    return out;
}

Result<Member> read_member(std::string_view text, TextPool& pool)
{
    const auto json = Json::parse(text, nullptr, false);
    if (!json.is_object() || text_of(json, "address").empty())
        return fail(Errc::protocol,
                    "cannot read a member from the store: it is not in the form that this opsd "
                    "writes");
    Member member;
    member.address = text_of(json, "address");
    member.identity = {.hostname = text_of(json, "hostname"),
                       .ip = text_of(json, "ip"),
                       .role = text_of(json, "role"),
                       .mesos_id = text_of(json, "mesos_id"),
                       .dcos_version = text_of(json, "dcos_version")};
    member.node_id = text_of(json, "node_id");
    member.opsd_version = text_of(json, "opsd_version");
    member.answered_at = time_of(json, "answered_at");
    member.changed_at = time_of(json, "changed_at");
    member.clock_offset = std::chrono::milliseconds{number_of(json, "clock_offset")};
    member.freshness = flag_of(json, "fresh") ? Freshness::fresh : Freshness::stale;
    member.systemd_readable = flag_of(json, "systemd_readable");
    member.previous_node_id = text_of(json, "previous_node_id");
    member.replaced_at = time_of(json, "replaced_at");
    member.acknowledged = ack_of(json);
    if (const auto* sources = list_of(json, "sources")) {
        for (const auto& row : *sources)
            if (row.is_object())
                member.sources.push_back({.name = text_of(row, "name"),
                                          .first = time_of(row, "first"),
                                          .last = time_of(row, "last"),
                                          .current = flag_of(row, "current")});
    }
    if (const auto* units = list_of(json, "units")) {
        for (const auto& row : *units)
            if (row.is_object()) member.units.push_back(unit_of(row, pool));
    }
    const auto by_id = [](const MemberUnit& unit) -> const std::string& { return unit.label->id; };
    std::ranges::sort(member.units, {}, by_id);
    return member;
}

}  // namespace opsd::cluster
