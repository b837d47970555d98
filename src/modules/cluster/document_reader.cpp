// Foreign bytes to a NodeDocument. The writer is in document_writer.cpp.

#include "modules/cluster/document.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace opsd::cluster {
namespace {

using Json = nlohmann::json;

std::unexpected<Error> unreadable(std::string_view why)
{
    return fail(Errc::protocol, fmt::format("cannot read the node's answer: {}", why));
}

/// At most `limit` bytes, not ending within a character; says so when something is missing.
std::string cut(std::string text, std::size_t limit, std::string_view note)
{
    if (text.size() <= limit) return text;
    auto end = limit;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U)
        --end;
    text.resize(end);
    return text.append(note);
}

const Json* member(const Json& object, const char* name)
{
    const auto at = object.find(name);
    return at == object.end() ? nullptr : &*at;
}

/// Missing, null or of another type: "".
std::string text_of(const Json& object, const char* name, std::size_t limit)
{
    const auto* value = member(object, name);
    if (value == nullptr || !value->is_string()) return {};
    return cut(value->get<std::string>(), limit, "");
}

std::int64_t number_of(const Json& object, const char* name)
{
    const auto* value = member(object, name);
    return value != nullptr && value->is_number_integer() ? value->get<std::int64_t>() : 0;
}

std::uint64_t count_of(const Json& object, const char* name)
{
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_of(object, name)));
}

/// 0 and 1 are what they say; everything else is not known to be well.
Health health_of(const Json& object)
{
    const auto* value = member(object, "health");
    if (value == nullptr || !value->is_number_integer()) return Health::unknown;
    const auto number = value->get<std::int64_t>();
    if (number == 0) return Health::healthy;
    return number == 1 ? Health::unhealthy : Health::unknown;
}

WallTime time_of(const Json& object, const char* name)
{
    const auto time = parse_rfc3339(text_of(object, name, 64));
    return time ? *time : WallTime{};
}

std::shared_ptr<const Acknowledgement> acknowledgement_of(const Json& unit, std::size_t limit)
{
    const auto* value = member(unit, "acknowledged");
    if (value == nullptr || !value->is_object()) return nullptr;
    return std::make_shared<const Acknowledgement>(Acknowledgement{.by = text_of(*value, "by", limit),
                                                                   .reason = text_of(*value, "reason", limit),
                                                                   .at = time_of(*value, "at"),
                                                                   .until = time_of(*value, "until")});
}

constexpr std::size_t longest_id = 512;  // systemd allows 255

Result<MemberUnit> unit_of(const Json& json, std::size_t index, TextPool& pool, const DocumentLimits& limits)
{
    if (!json.is_object()) return unreadable(fmt::format("units[{}] is no object", index));
    const auto* id = member(json, "id");
    if (id == nullptr || !id->is_string() || id->get_ref<const std::string&>().empty())
        return unreadable(fmt::format("units[{}] has no id", index));
    if (id->get_ref<const std::string&>().size() > longest_id)
        return unreadable(fmt::format("the id of units[{}] is longer than {} bytes", index, longest_id));
    MemberUnit unit;
    unit.label = pool.label({.id = id->get<std::string>(),
                             .name = text_of(json, "name", limits.text_bytes),
                             .description = text_of(json, "description", limits.text_bytes)});
    unit.verdict = pool.verdict({.health = health_of(json),
                                 .state = text_of(json, "state", limits.text_bytes),
                                 .reason = text_of(json, "reason", limits.text_bytes)});
    unit.since = time_of(json, "since");
    unit.restarts_in_window =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(count_of(json, "restarts_in_window"), UINT32_MAX));
    const auto* output = member(json, "output");
    if (output != nullptr && output->is_string() && !output->get_ref<const std::string&>().empty())
        unit.output = std::make_shared<const std::string>(
            cut(output->get<std::string>(), limits.output_bytes, "\n[cut here: the node sent more]\n"));
    unit.acknowledged = acknowledgement_of(json, limits.text_bytes);
    return unit;
}

Result<std::vector<MemberUnit>> units_of(const Json& root, TextPool& pool, const DocumentLimits& limits)
{
    std::vector<MemberUnit> units;
    const auto* list = member(root, "units");
    if (list == nullptr) return unreadable("it has no field \"units\"");
    if (list->is_null()) return units;  // the DC/OS program, when it could not read systemd
    if (!list->is_array()) return unreadable("\"units\" is no list");
    if (list->size() > limits.units)
        return unreadable(fmt::format("it has {} units, at most {} are read", list->size(), limits.units));
    units.reserve(list->size());
    for (std::size_t i = 0; i < list->size(); ++i) {
        auto unit = unit_of((*list)[i], i, pool, limits);
        if (!unit) return fail(std::move(unit).error());
        units.push_back(std::move(*unit));
    }
    const auto by_id = [](const MemberUnit& unit) -> const std::string& { return unit.label->id; };
    std::ranges::sort(units, {}, by_id);
    const auto twice = std::ranges::adjacent_find(units, {}, by_id);
    if (twice != units.end()) return unreadable(fmt::format("it has the unit {} twice", twice->label->id));
    return units;
}

/// What a program that says nothing of its own health shows by its units.
void judge_by_units(NodeDocument& document)
{
    document.systemd_readable = !document.units.empty();
    if (document.units.empty()) {
        document.reason = "the node lists no units: what it runs is not known";
        return;
    }
    HealthCounts counts;
    for (const auto& unit : document.units)
        counts.add(unit.verdict->health);
    document.health = counts.rolled_up();
    if (counts.unhealthy > 0)
        document.reason = fmt::format("{} of {} units unhealthy", counts.unhealthy, counts.total());
}

Result<> read_node(const Json& node, NodeDocument& document, const DocumentLimits& limits)
{
    document.node_id = text_of(node, "id", 128);
    document.instance = text_of(node, "instance", 128);
    document.version = count_of(node, "version");
    document.base = count_of(node, "base");
    document.opsd_version = text_of(node, "opsd_version", 128);
    document.health = health_of(node);
    document.reason = text_of(node, "reason", limits.text_bytes);
    const auto* readable = member(node, "systemd_readable");
    document.systemd_readable = readable != nullptr && readable->is_boolean() && readable->get<bool>();
    document.time = time_of(node, "time");
    document.last_transition = std::max<std::int64_t>(0, number_of(node, "last_transition"));
    if (document.instance.empty() || document.version == 0)
        return unreadable("\"node\" has no instance or no version");
    const auto* removed = member(node, "removed");
    if (removed == nullptr || !removed->is_array()) return {};
    if (removed->size() > limits.units) return unreadable("\"removed\" is too long");
    for (const auto& id : *removed) {
        if (!id.is_string()) return unreadable("\"removed\" has something that is no id");
        document.removed.push_back(cut(id.get<std::string>(), longest_id, ""));
    }
    return {};
}

}  // namespace

Result<NodeDocument> read_document(std::string_view json, TextPool& pool, const DocumentLimits& limits)
{
    const auto root = Json::parse(json, nullptr, false);
    if (root.is_discarded()) return unreadable("it is no JSON");
    if (!root.is_object()) return unreadable("it is no JSON object");
    NodeDocument document;
    auto units = units_of(root, pool, limits);
    if (!units) return fail(std::move(units).error());
    document.units = std::move(*units);
    document.identity = {.hostname = text_of(root, "hostname", 256),
                         .ip = text_of(root, "ip", 64),
                         .role = text_of(root, "node_role", 32),
                         .mesos_id = text_of(root, "mesos_id", 128),
                         .dcos_version = text_of(root, "dcos_version", 64)};
    const auto* node = member(root, "node");
    if (node == nullptr || !node->is_object()) {
        judge_by_units(document);
        return document;
    }
    auto read = read_node(*node, document, limits);
    if (!read) return fail(std::move(read).error());
    return document;
}

}  // namespace opsd::cluster
