// What another node answers, and what a master holds of it afterwards.

#include "modules/cluster/table.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool promise)
{
    if (!promise) std::abort();
}

using namespace opsd;

/// The roll-up equals what the members say.
void check_roll_up(const cluster::Table& table)
{
    const auto now = table.cluster(true);
    HealthCounts nodes;
    std::map<std::string, HealthCounts> units;
    for (const auto& member : now.members) {
        nodes.add(member->health);
        for (const auto& unit : member->units)
            units[unit.label->id].add(member->current(unit));
    }
    require(nodes == now.nodes && units.size() == now.units.size());
    for (const auto& roll : now.units)
        require(roll.nodes == units[roll.label->id]);
}

}  // namespace

/// The input is a list of answers, one a line, of two members in turn.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace std::chrono_literals;
    std::string_view input{reinterpret_cast<const char*>(data), size};
    cluster::Table table{{}};
    WallTime now{1h};
    table.named("static", {{.host = "10.0.0.1"}, {.host = "10.0.0.2"}}, 1050, now);
    const cluster::DocumentLimits limits{.units = 64, .output_bytes = 256, .text_bytes = 64};
    for (int turn = 0; turn < 16 && !input.empty(); ++turn) {
        const auto line = input.substr(0, input.find('\n'));
        input.remove_prefix(std::min(line.size() + 1, input.size()));
        now += 1s;
        const std::string address = turn % 2 == 0 ? "10.0.0.1" : "10.0.0.2";
        auto document = cluster::read_document(line, table.pool(), limits);
        if (!document) {
            require(document.error().code == Errc::protocol
                    && document.error().message.starts_with("cannot"));
            (void)table.failed(address, document.error().message, now);
        } else {
            require(document->units.size() <= limits.units);
            require(document->health != Health::healthy || document->systemd_readable
                    || !document->instance.empty());
            (void)table.answered(address, std::move(*document), now, 0ms);
        }
        check_roll_up(table);
    }
    return 0;
}
