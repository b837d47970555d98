// Whatever bytes a unit's name, description, status and journal lines hold, the answers about it are JSON.

#include "modules/health/explain/render.hpp"
#include "modules/health/render.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <cstdlib>

namespace {

void must_parse(const std::string& text)
{
    if (!nlohmann::json::accept(text)) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace opsd;
    const std::string bytes{reinterpret_cast<const char*>(data), size};
    const auto part = [&](std::size_t n) { return bytes.substr(std::min(size, n * size / 4), size / 4 + 1); };
    auto facts = std::make_shared<UnitFacts>();
    facts->status_text = part(1);
    facts->triggered_by = {part(2), part(3)};
    UnitState unit;
    unit.id = part(0);
    unit.name = part(1);
    unit.description = bytes;
    unit.health = Health::unhealthy;
    unit.state = "failed";
    unit.reason = part(2);
    unit.journal = bytes;
    unit.aliases = {part(3)};
    unit.acknowledged = Acknowledgement{part(0), part(1), {}, {}};
    unit.facts = facts;
    NodeHealth node;
    node.systemd_readable = size % 2 == 0;
    node.reason = part(3);
    must_parse(health::unit_json(unit, node, true));
    must_parse(health::node_json(node, std::nullopt));
    std::string text;
    health::append_dcos_unit(text, unit, true, node.systemd_readable ? "" : node.reason);
    must_parse(text);
    Transition transition;
    transition.unit = part(0);
    transition.reason = bytes;
    text.clear();
    health::append_transition(text, transition);
    must_parse(text);
    health::explain::Facts seen;
    seen.state = unit;
    seen.state.state = "failed";
    seen.details.facts = *facts;
    seen.details.facts.id = part(0);
    seen.details.facts.load_state = "loaded";
    seen.details.facts.active_state = "failed";
    seen.details.facts.result = part(1);
    seen.details.facts.main_code = 1;
    seen.details.facts.main_status = size == 0 ? 203 : data[0];
    seen.details.commands.push_back({.setting = "ExecStart", .path = part(2), .arguments = {part(3)}});
    systemd::JournalLine line;
    line.pid = 7;
    line.identifier = part(2);
    line.message = bytes;
    seen.journal = {line};
    must_parse(health::explain::explanation_json(health::explain::explain(seen), part(3), {}));
    return 0;
}
