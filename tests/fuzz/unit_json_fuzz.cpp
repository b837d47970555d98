// Whatever bytes a unit's name, description, status and journal lines hold, the answers about it are JSON.

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
    return 0;
}
