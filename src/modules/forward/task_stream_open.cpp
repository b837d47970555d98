// Where a stream begins: at a saved place, at the start of everything, at the end.

#include "modules/forward/task_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::forward {

using pipeline::FilePosition;
using pipeline::Fingerprint;
using pipeline::fingerprint_of;

namespace {

constexpr std::size_t tail_bytes = std::size_t{64} * 1024;  // in which the last newline is looked for

sandbox::FileIdentity identity_in(const FilePosition& position) { return {position.device, position.inode}; }

}  // namespace

Result<> TaskStream::open(const std::optional<FilePosition>& saved, Begin begin, Monotonic now)
{
    chain_.clear();
    count_queued();
    before_.reset();
    known_.reset();
    finished_ = stuck_ = copied_ = alone_ = gone_ = halted_ = blind_ = false;
    trouble_.clear();
    auto newest = live();
    if (!newest && newest.error().code != Errc::not_found) return fail(std::move(newest).error());
    name_checked_ = now;
    Result<> opened;
    if (saved && saved->inode != 0) {
        opened = open_saved(newest ? std::optional{std::move(*newest)} : std::nullopt, *saved);
    } else if (newest && begin == Begin::end && !saved) {
        opened = open_end(std::move(*newest));
    } else {
        auto older = siblings();
        if (!older) return fail(std::move(older).error());
        auto& parts = *older;
        if (!newest && parts.empty()) return fail(std::move(newest).error());
        if (auto room = room_for(parts.size()); !room) return room;
        open_all(newest ? std::optional{std::move(*newest)} : std::nullopt, std::move(parts), saved);
    }
    if (!opened) return opened;
    if (!known_ && at_.offset == 0) {  // so that a new one is told from these
        const auto older = siblings();
        if (!older) return fail(older.error());
    }
    grew_at_ = now;
    look(now, last_);
    return {};
}

/// From the oldest on. The one that has the name now is the generation that was saved, those before it count
/// back.
void TaskStream::open_all(std::optional<Part>&& live, Parts&& rest, const std::optional<FilePosition>& saved)
{
    std::erase_if(rest, [&](const Part& part) {
        return live && told(live->identity) && part.identity == live->identity;
    });
    const auto count = rest.size();
    append_chain(std::move(rest), count, std::move(live));
    const auto generation = saved ? saved->generation : count;
    current_ = std::move(chain_.front());
    chain_.pop_front();
    at_ = {};
    at_.device = current_.identity.device;
    at_.inode = current_.identity.inode;
    at_.generation = generation > count ? generation - count : 0;
}

/// After its last whole line: the rest of one that is being written belongs to its beginning.
Result<> TaskStream::open_end(Part&& live)
{
    const auto facts = live.file->look();
    if (!facts) return fail(facts.error());
    const auto tail = std::min<std::uint64_t>(facts->size, tail_bytes);
    const auto bytes = live.file->read(facts->size - tail, static_cast<std::size_t>(tail));
    if (!bytes) return fail(bytes.error());
    const auto newline = bytes->rfind('\n');
    at_ = {};
    at_.device = live.identity.device;
    at_.inode = live.identity.inode;
    at_.offset = newline != std::string::npos ? facts->size - tail + newline + 1
                 : tail == facts->size        ? 0
                                              : facts->size;
    const auto first =
        live.file->read(0, static_cast<std::size_t>(std::min<std::uint64_t>(at_.offset, Fingerprint::most)));
    if (!first) return fail(first.error());
    at_.fingerprint = fingerprint_of(*first);
    current_ = std::move(live);
    const auto older = siblings();
    if (!older) return fail(older.error());
    at_.generation = older->size();
    return {};
}

Result<> TaskStream::open_saved(std::optional<Part>&& live, const FilePosition& saved)
{
    at_ = saved;
    const auto wanted = identity_in(saved);
    const auto is_it = [&](const Part& part) {
        const auto facts = part.file->look();
        return facts && begins_as(part, facts->size, at_);
    };
    // Through the agent files have no identity.
    if (live && (live->identity == wanted || !told(live->identity) || !told(wanted))) {
        const bool same = is_it(*live);
        current_ = std::move(*live);
        current_.identity = wanted;
        return same ? Result<>{} : truncated();
    }
    auto older = siblings();
    if (!older) return fail(std::move(older).error());
    auto& parts = *older;
    const auto found =
        std::ranges::find_if(parts, [&](const Part& part) { return part.identity == wanted && is_it(part); });
    const auto newer = static_cast<std::size_t>(found - parts.begin());
    if (auto room = room_for(newer); !room) return room;
    if (found == parts.end()) {
        if (parts.empty() && !live) return fail(Errc::not_found, "cannot find " + full_path(name_));
        lost("it was rotated away while nobody read it");
    } else {
        current_ = std::move(*found);
        current_.final = false;
    }
    const bool gone = found == parts.end();
    append_chain(std::move(parts), newer, std::move(live));
    if (gone) go_on();
    return {};
}

}  // namespace opsd::forward
