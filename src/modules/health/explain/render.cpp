#include "modules/health/explain/render.hpp"

#include "core/json_text.hpp"

namespace opsd::health::explain {
namespace {

void time_or_null(JsonText& json, std::string_view key, WallTime at)
{
    json.key(key);
    if (at == WallTime{})
        json.null();
    else
        json.text(rfc3339(at));
}

void append_worked(JsonText& json, const Worked& worked)
{
    json.key("worked");
    if (!worked.ever) {
        json.null();
        return;
    }
    json.open('{');
    time_or_null(json, "since", worked.since);
    time_or_null(json, "until", worked.until);
    json.text("known_from", worked.known_from).close('}');
}

void append_evidence(JsonText& json, const std::vector<Evidence>& evidence)
{
    json.key("evidence").open('[');
    for (const auto& one : evidence) {
        json.open('{').text("kind", one.kind).text("text", one.text);
        time_or_null(json, "at", one.at);
        json.key("data").open('{');
        for (const auto& [name, value] : one.data)
            json.text(name, value);
        json.close('}').close('}');
    }
    json.close(']');
}

void append_journal(JsonText& json, const Lines& lines)
{
    json.key("journal").open('[');
    for (const auto& line : lines) {
        json.open('{').text("at", rfc3339(line.at)).number("priority", line.priority);
        json.text("identifier", line.identifier).number("pid", line.pid).text("message", line.message);
        json.close('}');
    }
    json.close(']');
}

void append_changes(JsonText& json, const Explanation& answer)
{
    json.key("changed").open('[');
    for (const auto& one : answer.changed) {
        json.open('{').text("path", one.path).text("role", one.role).text("at", rfc3339(one.at));
        json.text("text", one.text).text("package", one.package);
        json.boolean("after_failure", one.after_failure).close('}');
    }
    json.close(']').key("packages").open('[');
    for (const auto& one : answer.packages) {
        json.open('{').text("at", rfc3339(one.at)).text("action", one.action).text("package", one.package);
        json.text("from", one.from).text("to", one.to).text("owns", one.owns).close('}');
    }
    json.close(']');
}

}  // namespace

std::string explanation_json(const Explanation& answer, std::string_view node, Duration took)
{
    std::string out;
    JsonText json{out};
    json.open('{').text("unit", answer.unit).text("node", node);
    json.number("health", static_cast<int>(answer.health)).text("state", answer.state);
    json.text("verdict", answer.verdict).text("cause", answer.cause);
    time_or_null(json, "since", answer.since);
    append_worked(json, answer.worked);
    append_evidence(json, answer.evidence);
    append_changes(json, answer);
    append_journal(json, answer.journal);
    json.key("next").open('[');
    for (const auto& command : answer.next)
        json.text(command);
    json.close(']').key("unknown").open('[');
    for (const auto& one : answer.unknown)
        json.open('{').text("what", one.what).text("why", one.why).close('}');
    json.close(']');
    time_or_null(json, "explained_at", answer.at);
    json.number("took_ms", took.count()).close('}');
    out += '\n';
    return out;
}

}  // namespace opsd::health::explain
