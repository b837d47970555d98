#include "modules/health/render.hpp"

#include "core/json_text.hpp"
#include "core/transition_text.hpp"
#include "core/unit_text.hpp"

#include <fmt/format.h>

#include <utility>

namespace opsd::health {
namespace {

/// Old clients compare it; it is what the DC/OS program has always said.
constexpr std::string_view diagnostics_version = "0.4.0";

int number(Health health) { return static_cast<int>(health); }

void append_facts(JsonText& json, const UnitFacts& f)
{
    json.open('{');
    json.text("load_state", f.load_state).text("active_state", f.active_state).text("sub_state", f.sub_state);
    json.text("unit_file_state", f.unit_file_state).text("type", f.type).text("result", f.result);
    json.number("exec_main_code", f.main_code).number("exec_main_status", f.main_status);
    json.number("main_pid", f.main_pid).number("n_restarts", f.restarts).text("status_text", f.status_text);
    json.boolean("condition_result", f.condition_result).boolean("assert_result", f.assert_result);
    json.key("triggered_by").open('[');
    for (const auto& name : f.triggered_by)
        json.text(name);
    json.close(']');
    json.text("job", f.job_type)
        .text("invocation_id", f.invocation_id)
        .text("fragment_path", f.fragment_path);
    json.text("load_error", f.load_error).boolean("details_read", f.details).close('}');
}

void append_state(JsonText& json, const UnitState& unit, const NodeHealth& node)
{
    json.text("id", unit.id).text("name", unit.name).text("description", unit.description);
    json.number("health", number(shown_health(unit, node))).text("state", unit.state);
    json.text("reason", shown_reason(unit, node));
    json.text("since", rfc3339(unit.since)).number("restarts_in_window", unit.restarts_in_window);
    json.key("acknowledged");
    append_acknowledgement(json, unit.acknowledged ? &*unit.acknowledged : nullptr);
}

}  // namespace

void append_dcos_unit(std::string& out, const UnitState& unit, bool with_journal,
                      std::string_view node_reason)
{
    const auto health = node_reason.empty() ? unit.health : Health::unknown;
    JsonText json{out};
    json.open('{').text("id", unit.id).number("health", number(health));
    json.text("output", output_of(unit, with_journal, node_reason)).text("description", unit.description);
    json.text("help", "").text("name", unit.name).close('}');
}

void append_unit(std::string& out, const UnitState& unit, const NodeHealth& node)
{
    JsonText json{out};
    json.open('{');
    append_state(json, unit, node);
    json.close('}');
}

std::string unit_json(const UnitState& unit, const NodeHealth& node, bool with_journal)
{
    std::string out;
    JsonText json{out};
    json.open('{');
    append_state(json, unit, node);
    json.key("aliases").open('[');
    for (const auto& alias : unit.aliases)
        json.text(alias);
    json.close(']');
    const auto reason = node.systemd_readable ? std::string_view{} : std::string_view{node.reason};
    json.text("output", output_of(unit, with_journal, reason))
        .boolean("output_complete", unit.journal_complete);
    json.key("properties");
    append_facts(json, *unit.facts);
    json.close('}');
    out += '\n';
    return out;
}

std::string node_json(const NodeHealth& node, std::optional<std::chrono::milliseconds> age)
{
    std::array<std::int64_t, 4> counts{};
    for (const auto& unit : node.units)
        ++counts.at(static_cast<std::size_t>(number(shown_health(*unit, node))));
    std::string out;
    JsonText json{out};
    json.open('{').number("health", number(node.health)).text("reason", node.reason);
    json.key("counts").open('{').number("healthy", counts[0]).number("unhealthy", counts[1]);
    json.number("unknown", counts[3]).close('}');
    json.boolean("systemd_readable", node.systemd_readable);
    json.key("read_at");
    if (node.read_at == WallTime{})
        json.null();
    else
        json.text(rfc3339(node.read_at));
    json.key("age_seconds");
    if (age)
        json.raw(fmt::format("{:.3f}", static_cast<double>(age->count()) / 1000));
    else
        json.null();
    json.close('}');
    out += '\n';
    return out;
}

void append_transition(std::string& out, const Transition& t)
{
    JsonText json{out};
    json.open('{');
    append_transition_members(json, t);
    json.close('}');
}

std::string acknowledgement_json(const std::optional<Acknowledgement>& ack, std::string_view note)
{
    std::string out;
    JsonText json{out};
    if (ack) {
        json.open('{');
        append_acknowledgement_members(json, *ack);
        json.boolean("durable", note.empty());
        if (!note.empty()) json.text("note", note);
        json.close('}');
    } else {
        json.null();
    }
    out += '\n';
    return out;
}

// --- /system/health/v1

std::shared_ptr<const http::Content> DcosAnswer::get(const Latest<NodeHealth>& health,
                                                     const Latest<NodeIdentity>& identity, bool with_journal,
                                                     bool gzip)
{
    auto& variant = variants_.at(with_journal ? 1 : 0);
    const auto& node = health.get();
    if (!variant.body || variant.health_version != health.version()
        || variant.identity_version != identity.version()) {
        NodeHealth unread;  // old clients know no answer but 200
        unread.reason = "systemd has not been read yet";
        render(variant, node ? node->value : unread, identity.get() ? identity.get()->value : NodeIdentity{},
               with_journal);
        variant.health_version = health.version();
        variant.identity_version = identity.version();
        variant.contents = {};
    }
    auto& content = variant.contents.at(gzip ? 1 : 0);
    if (!content) content = http::make_content(*variant.body, "application/json", gzip);
    return content;
}

void DcosAnswer::render(Variant& variant, const NodeHealth& node, const NodeIdentity& who, bool with_journal)
{
    const auto reason = node.systemd_readable ? std::string{} : node.reason;
    if (std::exchange(variant.node_reason, reason) != reason) variant.fragments.clear();
    auto old = std::exchange(variant.fragments, {});
    variant.fragments.reserve(node.units.size());
    std::string out;
    out.reserve(variant.body ? variant.body->size() + 1024 : 256 * (node.units.size() + 1));
    JsonText json{out};
    json.open('{').key("units").open('[');
    for (const auto& unit : node.units) {
        auto& fragment = variant.fragments[unit.get()];
        if (auto known = old.find(unit.get()); known != old.end()) {
            fragment = std::move(known->second);
        } else {
            fragment.unit = unit;
            append_dcos_unit(fragment.text, *unit, with_journal, reason);
        }
        json.raw(fragment.text);
    }
    if ((node.units.empty() && node.health != Health::healthy) || !node.incomplete.empty()) {
        // Never a list that an old client reads as healthy: systemd itself stands for what is not known.
        UnitState systemd;
        systemd.id = systemd.name = "init.scope";
        systemd.description = "System and Service Manager";
        systemd.state = "unknown";
        systemd.reason = node.units.empty() ? node.reason : node.incomplete;
        std::string text;
        append_dcos_unit(text, systemd, false, {});
        json.raw(text);
    }
    json.close(']').text("hostname", who.hostname).text("ip", who.ip).text("dcos_version", who.dcos_version);
    json.text("node_role", who.role).text("mesos_id", who.mesos_id);
    json.text("dcos_diagnostics_version", diagnostics_version).close('}');
    out += '\n';
    variant.body = std::make_shared<const std::string>(std::move(out));
}

}  // namespace opsd::health
