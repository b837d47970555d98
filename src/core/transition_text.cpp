#include "core/transition_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace opsd {
namespace {

using Json = nlohmann::json;

constexpr std::size_t longest_text = 4 * 1024;

std::string text_of(const Json& object, const char* name)
{
    const auto at = object.find(name);
    if (at == object.end() || !at->is_string()) return {};
    auto text = at->get<std::string>();
    if (text.size() <= longest_text) return text;
    auto end = longest_text;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U)
        --end;
    text.resize(end);
    return text;
}

std::int64_t number_of(const Json& object, const char* name)
{
    const auto at = object.find(name);
    return at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
}

int small_of(const Json& object, const char* name)
{
    const auto number = number_of(object, name);
    return number >= -0x7fffffff && number <= 0x7fffffff ? static_cast<int>(number) : 0;
}

/// What is not said to be well is not well.
Health health_of(const Json& object, const char* name)
{
    const auto at = object.find(name);
    const auto number = at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : 3;
    if (number == 0) return Health::healthy;
    return number == 1 ? Health::unhealthy : Health::unknown;
}

WallTime time_of(const Json& object, const char* name)
{
    const auto time = parse_rfc3339(text_of(object, name));
    return time ? *time : WallTime{};
}

Transition transition_of(const Json& row)
{
    Transition t;
    t.id = number_of(row, "id");
    t.unit = text_of(row, "unit");
    t.at = time_of(row, "at");
    t.last_at = std::max(t.at, time_of(row, "last_at"));
    t.count = static_cast<std::uint32_t>(std::clamp<std::int64_t>(number_of(row, "count"), 1, 1'000'000'000));
    t.from = text_of(row, "from");
    t.to = text_of(row, "to");
    t.from_health = health_of(row, "from_health");
    t.to_health = health_of(row, "to_health");
    t.result = text_of(row, "result");
    t.main_code = small_of(row, "exec_main_code");
    t.main_status = small_of(row, "exec_main_status");
    t.invocation_id = text_of(row, "invocation_id");
    t.reason = text_of(row, "reason");
    return t;
}

std::unexpected<Error> unreadable(std::string_view why)
{
    return fail(Errc::protocol, fmt::format("cannot read the node's transitions: {}", why));
}

}  // namespace

void append_transition_members(JsonText& json, const Transition& t)
{
    json.number("id", t.id)
        .text("unit", t.unit)
        .text("at", rfc3339(t.at))
        .text("last_at", rfc3339(t.last_at));
    json.number("count", t.count).text("from", t.from).text("to", t.to);
    json.number("from_health", static_cast<int>(t.from_health));
    json.number("to_health", static_cast<int>(t.to_health));
    json.text("result", t.result)
        .number("exec_main_code", t.main_code)
        .number("exec_main_status", t.main_status);
    json.text("invocation_id", t.invocation_id).text("reason", t.reason);
}

void append_cluster_transition(std::string& out, const ClusterTransition& transition)
{
    auto row = transition.transition;
    row.id = transition.id;
    JsonText json{out};
    json.open('{');
    append_transition_members(json, row);
    json.text("address", transition.address).text("hostname", transition.hostname);
    json.text("seen_at", rfc3339(transition.seen_at));
    json.number("clock_offset_ms", transition.clock_offset.count()).close('}');
}

std::string page_json(const TransitionPage& page)
{
    std::string out;
    JsonText json{out};
    json.open('{').key("transitions").open('[');
    for (const auto& row : page.rows) {
        json.open('{');
        append_transition_members(json, row);
        json.close('}');
    }
    json.close(']').number("last_id", page.last_id).boolean("more", page.more).close('}');
    out += '\n';
    return out;
}

Result<TransitionPage> read_page(std::string_view text, std::size_t most)
{
    const auto json = Json::parse(text, nullptr, false);
    if (!json.is_object()) return unreadable("it is not a JSON object");
    const auto rows = json.find("transitions");
    if (rows == json.end() || !rows->is_array()) return unreadable("it has no list \"transitions\"");
    if (rows->size() > most)
        return unreadable(
            fmt::format("it has {} transitions, more than the {} asked for", rows->size(), most));
    TransitionPage page;
    std::int64_t last = 0;
    for (const auto& row : *rows) {
        if (!row.is_object()) return unreadable("a transition is not an object");
        auto transition = transition_of(row);
        if (transition.id <= last) return unreadable("its ids do not ascend");
        last = transition.id;
        if (!transition.unit.empty()) page.rows.push_back(std::move(transition));
    }
    page.last_id = std::max(last, number_of(json, "last_id"));
    const auto more = json.find("more");
    page.more = more != json.end() && more->is_boolean() && more->get<bool>() && !rows->empty();
    return page;
}

}  // namespace opsd
