// This node's board as a document. The reader is in document_reader.cpp.

#include "core/unit_text.hpp"
#include "modules/cluster/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace opsd::cluster {
namespace {

/// What the DC/OS program has always said.
constexpr std::string_view diagnostics_version = "0.4.0";

bool same(const Acknowledgement* a, const Acknowledgement* b)
{
    return a == nullptr || b == nullptr ? a == b : *a == *b;
}

/// Would the document show the same of both?
bool shows_same(const UnitState& a, const UnitState& b)
{
    const auto ack = [](const UnitState& unit) { return unit.acknowledged ? &*unit.acknowledged : nullptr; };
    return a.health == b.health && a.state == b.state && a.reason == b.reason && a.since == b.since
           && a.restarts_in_window == b.restarts_in_window && a.journal == b.journal && a.name == b.name
           && a.description == b.description && same(ack(a), ack(b));
}

}  // namespace

DocumentWriter::DocumentWriter(std::string node_id, std::string instance, std::string opsd_version)
  : node_id_{std::move(node_id)}
  , instance_{std::move(instance)}
  , opsd_version_{std::move(opsd_version)}
{}

bool DocumentWriter::update(const NodeHealth& health, const NodeIdentity& identity)
{
    const auto next = version_ + 1;
    const bool all =
        version_ == 0 || systemd_readable_ != health.systemd_readable
        || (!health.systemd_readable && reason_ != health.reason);  // every unit is shown otherwise
    // A state that came and went leaves nothing but a transition, which others must hear of.
    bool changed = all || health_ != health.health || reason_ != health.reason || identity_ != identity
                   || last_transition_ != health.last_transition;
    for (auto at = units_.begin(); at != units_.end();) {
        const auto by_id = [](const auto& unit) -> const std::string& { return unit->id; };
        if (std::ranges::binary_search(health.units, at->first, {}, by_id)) {
            ++at;
            continue;
        }
        removed_.emplace_back(next, at->first);
        at = units_.erase(at);
        changed = true;
    }
    for (const auto& unit : health.units) {
        auto& part = units_[unit->id];
        const bool other = all || !part.unit || (part.unit != unit && !shows_same(*part.unit, *unit));
        part.unit = unit;
        if (!other) continue;
        part.changed = next;
        changed = true;
    }
    if (!changed) return false;
    while (removed_.size() > most_removed) {
        oldest_base_ = removed_.front().first;
        removed_.pop_front();
    }
    version_ = next;
    identity_ = identity;
    health_ = health.health;
    reason_ = health.reason;
    systemd_readable_ = health.systemd_readable;
    last_transition_ = health.last_transition;
    cache_.clear();
    return true;
}

std::string DocumentWriter::etag() const { return fmt::format("\"{}.{}\"", instance_, version_); }

std::uint64_t DocumentWriter::base_of(std::string_view etag) const noexcept
{
    if (etag.starts_with("W/")) etag.remove_prefix(2);  // a proxy that compressed it
    const auto begins = etag.size() > instance_.size() + 3 && etag.front() == '"' && etag.back() == '"'
                        && etag.substr(1, instance_.size()) == instance_ && etag[instance_.size() + 1] == '.';
    if (!begins) return 0;
    const auto digits = etag.substr(instance_.size() + 2, etag.size() - instance_.size() - 3);
    std::uint64_t base = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), base);
    const bool fits = error == std::errc{} && end == digits.data() + digits.size() && base <= version_
                      && base >= oldest_base_;
    return fits ? base : 0;
}

std::string DocumentWriter::units_text(std::uint64_t base, bool with_journal) const
{
    std::string out;
    JsonText json{out};
    NodeHealth node;
    node.systemd_readable = systemd_readable_;
    node.reason = reason_;
    const auto node_reason = systemd_readable_ ? std::string_view{} : std::string_view{reason_};
    json.open('{').key("units").open('[');
    for (const auto& [id, part] : units_) {
        if (part.changed <= base) continue;
        const auto& unit = *part.unit;
        json.open('{').text("id", id).number("health", static_cast<int>(shown_health(unit, node)));
        json.text("output", output_of(unit, with_journal, node_reason)).text("description", unit.description);
        json.text("help", "").text("name", unit.name).text("state", unit.state);
        json.text("reason", shown_reason(unit, node)).text("since", rfc3339(unit.since));
        json.number("restarts_in_window", unit.restarts_in_window).key("acknowledged");
        append_acknowledgement(json, unit.acknowledged ? &*unit.acknowledged : nullptr);
        json.close('}');
    }
    json.close(']').text("hostname", identity_.hostname).text("ip", identity_.ip);
    json.text("dcos_version", identity_.dcos_version).text("node_role", identity_.role);
    json.text("mesos_id", identity_.mesos_id).text("dcos_diagnostics_version", diagnostics_version);
    json.key("node").open('{').text("id", node_id_).text("instance", instance_);
    json.number("version", static_cast<std::int64_t>(version_))
        .number("base", static_cast<std::int64_t>(base));
    json.key("removed").open('[');
    for (const auto& [version, id] : removed_) {
        if (base > 0 && version > base && !units_.contains(id)) json.text(id);
    }
    json.close(']').text("opsd_version", opsd_version_).number("health", static_cast<int>(health_));
    json.text("reason", reason_).boolean("systemd_readable", systemd_readable_);
    return out;
}

std::string DocumentWriter::render(std::uint64_t base, bool with_journal, WallTime now,
                                   std::int64_t last_transition)
{
    const auto fits = [&](const Cached& c) { return c.base == base && c.with_journal == with_journal; };
    auto cached = std::ranges::find_if(cache_, fits);
    if (cached == cache_.end()) {
        if (cache_.size() >= most_cached) cache_.erase(cache_.begin());
        cache_.push_back(
            {.base = base, .with_journal = with_journal, .text = units_text(base, with_journal)});
        cached = cache_.end() - 1;
    }
    return fmt::format("{},\"time\":\"{}\",\"last_transition\":{}}}}}\n", cached->text, rfc3339(now),
                       last_transition);
}

}  // namespace opsd::cluster
