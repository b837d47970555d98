#include "modules/health/evidence.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::health {
namespace {

constexpr Monotonic first_pause = std::chrono::seconds{5};
constexpr Monotonic longest_pause = std::chrono::minutes{1};
constexpr Monotonic retry_pause = std::chrono::seconds{30};

}  // namespace

bool EvidencePlan::want(const EvidenceWish& wish, Monotonic now)
{
    auto [it, fresh] = units_.try_emplace(wish.unit);
    auto& unit = it->second;
    if (!fresh && unit.key == wish.key) return false;
    unit.key = wish.key;
    unit.invocation_id = wish.invocation_id;
    if (fresh) {
        unit.due = unit.wanted_at = now;
        unit.order = ++orders_;
        return true;
    }
    if (unit.stage == Stage::idle) {
        // A further series: one reading, when its lines have settled and the pause is over.
        unit.stage = Stage::again;
        unit.due = std::max(now + settle_, unit.series_began + unit.pause);
        unit.pause = std::min(unit.pause * 2, longest_pause);
        unit.order = ++orders_;
        return true;
    }
    // The newer lines need their time too, but a flapper must not push the reading away for ever.
    if (unit.stage == Stage::again)
        unit.due = std::max(unit.due, std::min(now + settle_, unit.series_began + 2 * settle_));
    return false;
}

void EvidencePlan::forget(const std::string& unit) { units_.erase(unit); }

std::optional<EvidencePlan::Job> EvidencePlan::next(Monotonic now)
{
    auto newest = units_.end();
    for (auto it = units_.begin(); it != units_.end(); ++it) {
        const auto& wish = it->second;
        if (wish.stage == Stage::idle || wish.due > now) continue;
        if (newest == units_.end() || wish.order > newest->second.order) newest = it;
    }
    if (newest == units_.end()) return std::nullopt;
    const auto& [unit, wish] = *newest;
    return Job{unit, wish.key, wish.invocation_id, wish.order, wish.stage == Stage::again};
}

void EvidencePlan::done(const Job& job, Monotonic now, bool read)
{
    const auto it = units_.find(job.unit);
    if (it == units_.end()) return;
    auto& wish = it->second;
    if (wish.order != job.order) return;  // forgotten and wanted anew meanwhile
    if (!job.last) {
        wish.stage = Stage::again;
        // From the failure on, not from the end of this reading: a slow one must not delay completion.
        wish.due = std::max(now, wish.wanted_at + settle_);
        wish.pause = first_pause;
        wish.series_began = now;
        return;
    }
    wish.series_began = now;
    if (!read) {
        wish.due = now + retry_pause;
        return;
    }
    if (wish.pause == Monotonic{}) wish.pause = first_pause;
    wish.stage = Stage::idle;
    if (wish.key == job.key) return;
    // It changed while it was read: the newer key is a series of its own.
    const EvidenceWish newer{job.unit, std::exchange(wish.key, job.key), wish.invocation_id};
    want(newer, now);
}

std::optional<Monotonic> EvidencePlan::next_due() const
{
    std::optional<Monotonic> first;
    for (const auto& [unit, wish] : units_) {
        if (wish.stage != Stage::idle && (!first || wish.due < *first)) first = wish.due;
    }
    return first;
}

std::string journal_text(std::span<const systemd::JournalLine> lines)
{
    std::string text;
    for (const auto& line : lines) {
        text += rfc3339(line.at);
        text += ' ';
        text += line.identifier.empty() ? "?" : line.identifier;
        if (line.pid != 0) text += fmt::format("[{}]", line.pid);
        text += ": ";
        text += line.message;
        text += '\n';
    }
    return text;
}

}  // namespace opsd::health
