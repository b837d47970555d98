#include "modules/cluster/report.hpp"

#include "modules/cluster/render.hpp"

#include <utility>

namespace opsd::cluster {
namespace {

constexpr std::size_t piece = 64 * 1024;

int number(Health health) { return static_cast<int>(health); }

}  // namespace

ReportWriter::ReportWriter(std::shared_ptr<const Snapshot<Cluster>> snapshot, ReportOptions options)
  : snapshot_{std::move(snapshot)}
  , options_{options}
{}

bool ReportWriter::next(std::string& out)
{
    const auto until = out.size() + piece;
    if (!begun_) out += "{\"Units\":{";
    begun_ = true;
    while (out.size() < until && part_ != Part::done) {
        switch (part_) {
        case Part::units:
            write_units(out);
            break;
        case Part::nodes:
            write_nodes(out);
            break;
        case Part::end:
            out += "},\"UpdatedTime\":\"" + rfc3339(snapshot_->at) + "\"}\n";
            part_ = Part::done;
            break;
        case Part::done:
            break;
        }
    }
    return part_ != Part::done;
}

/// A unit with the nodes that have it, some nodes at a time.
void ReportWriter::write_units(std::string& out)
{
    const auto& cluster = snapshot_->value;
    if (unit_ == cluster.units.size()) {
        out += "},\"Nodes\":{";
        part_ = Part::nodes;
        member_ = 0;
        comma_ = false;
        return;
    }
    const auto& roll = cluster.units[unit_];
    if (!unit_begun_) {
        if (unit_ > 0) out += ',';
        append_quoted(out, roll.label->id);
        out += ":{\"UnitName\":";
        append_quoted(out, roll.label->id);
        out += ",\"Nodes\":[";
        unit_begun_ = true;
        member_ = 0;
        comma_ = false;
        newest_ = {};
    }
    for (const auto until = out.size() + piece; member_ < cluster.members.size() && out.size() < until;
         ++member_) {
        const auto& member = *cluster.members[member_];
        const auto* unit = member.find(roll.label->id);
        if (unit == nullptr) continue;
        if (comma_) out += ',';
        comma_ = true;
        newest_ = std::max(newest_, member.changed_at);
        append_node(out, member, member.current(*unit), Depth::in_unit);
    }
    if (member_ < cluster.members.size()) return;
    out += "],";
    std::string rest;
    JsonText json{rest};
    json.number("Health", number(roll.nodes.rolled_up())).text("Title", roll.label->description);
    json.text("Timestamp", rfc3339(newest_)).text("PrettyName", roll.label->name).close('}');
    out += rest;
    unit_begun_ = false;
    ++unit_;
}

void ReportWriter::write_nodes(std::string& out)
{
    const auto& members = snapshot_->value.members;
    if (member_ == members.size()) {
        part_ = Part::end;
        return;
    }
    const auto& member = *members[member_++];
    if (comma_) out += ',';
    comma_ = true;
    append_quoted(out, member.address);
    out += ':';
    append_node(out, member, member.health, Depth::top);
}

void ReportWriter::append_node(std::string& out, const Member& member, Health health, Depth depth)
{
    const auto& who = member.identity;
    JsonText json{out};
    json.open('{').boolean("Leader", member.leader).text("Role", who.role).text("IP", member.address);
    json.text("Host", who.hostname).number("Health", number(health)).key("Output");
    const bool has_outputs = depth == Depth::top || options_.full;
    if (has_outputs && !member.units.empty()) {
        std::string outputs;
        append_outputs(outputs, member);
        json.raw(outputs);
    } else {
        json.null();
    }
    if (depth == Depth::top && !member.units.empty()) {
        json.key("Units").open('[');
        for (const auto& unit : member.units) {
            std::string text;
            append_unit_of(text, member, unit);
            json.raw(text);
        }
        json.close(']');
    }
    json.text("MesosID", who.mesos_id).close('}');
}

void ReportWriter::append_outputs(std::string& out, const Member& member)
{
    JsonText json{out};
    json.open('{');
    for (const auto& unit : member.units) {
        const auto text = output_for(unit, options_.with_journal);
        if (options_.full || !text.empty()) json.text(unit.label->id, text);
    }
    json.close('}');
}

void ReportWriter::append_unit_of(std::string& out, const Member& member, const MemberUnit& unit)
{
    JsonText json{out};
    json.open('{').text("UnitName", unit.label->id);
    if (options_.full) {
        std::string node;
        append_node(node, member, member.current(unit), Depth::in_unit);
        json.key("Nodes").open('[').raw(node).close(']');
    }
    json.number("Health", number(member.current(unit))).text("Title", unit.label->description);
    json.text("Timestamp", rfc3339(member.changed_at)).text("PrettyName", unit.label->name).close('}');
}

namespace {

std::size_t estimated_size(const Cluster& cluster, const ReportOptions& options)
{
    std::size_t units = 0;
    std::size_t outputs = 0;
    for (const auto& member : cluster.members) {
        std::size_t own = 0;
        for (const auto& unit : member->units)
            own += output_for(unit, options.with_journal).size()
                   + (options.full ? unit.label->id.size() + 6 : 0);
        outputs += own * (options.full ? 2 * member->units.size() + 1 : 1);
        units += member->units.size();
    }
    return 400 * units + outputs + 300 * cluster.members.size();
}

}  // namespace

std::size_t ReportSizes::of(const Snapshot<Cluster>& snapshot, const ReportOptions& options)
{
    if (std::exchange(version_, snapshot.version) != snapshot.version) sizes_ = {};
    auto& size = sizes_[(options.with_journal ? 1U : 0U) + (options.full ? 2U : 0U)];
    if (!size) size = estimated_size(snapshot.value, options);
    return *size;
}

}  // namespace opsd::cluster
