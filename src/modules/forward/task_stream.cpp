#include "modules/forward/task_stream.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace opsd::forward {
namespace {

using pipeline::Fingerprint;
using pipeline::fingerprint_of;
using Rest = pipeline::Pieces::Rest;

constexpr std::size_t block_bytes = std::size_t{64} * 1024;
constexpr unsigned looks_at_the_end = 2;  // of a file that was renamed, or whose task has ended
constexpr std::size_t most_losses = 8;

}  // namespace

TaskStream::TaskStream(TaskFolder& folder, const TailRules& rules, std::string path, std::string name)
  : folder_{folder}
  , rules_{rules}
  , path_{std::move(path)}
  , name_{std::move(name)}
{}

TaskStream::~TaskStream() { *rules_.queued -= counted_; }

void TaskStream::close()
{
    current_ = {};
    chain_.clear();
    count_queued();
}

Result<> TaskStream::room_for(std::size_t files) const
{
    const auto others = *rules_.queued - counted_;
    if (others == 0 || others + files <= rules_.most_queued) return {};
    return fail(
        Errc::unavailable,
        fmt::format("cannot open the files that come after {} yet: {} files of others are open and not "
                    "read, forward.tasks.max_queued allows {}; it goes on when they are",
                    full_path(name_), others, rules_.most_queued));
}

void TaskStream::count_queued()
{
    // The last one will have the stream's place among those that are followed.
    const auto queued = chain_.empty() ? 0 : chain_.size() - 1;
    *rules_.queued = *rules_.queued - counted_ + queued;
    counted_ = queued;
}

std::string TaskStream::full_path(std::string_view name) const { return fmt::format("{}/{}", path_, name); }

/// To the next file.
void TaskStream::go_on()
{
    if (!current_.file) {
        before_.reset();
        copied_ = false;
    } else if (at_.fingerprint.bytes > 0) {
        before_ = at_;
        copied_ = told(current_.identity) && current_.identity == chain_.front().identity;
    }
    current_ = std::move(chain_.front());
    chain_.pop_front();
    const auto generation = at_.generation + 1;
    at_ = {};
    at_.device = current_.identity.device;
    at_.inode = current_.identity.inode;
    at_.generation = generation;
    size_ = 0;
    changed_ = 0;
    quiet_ = 0;
    stuck_ = false;
    waits_since_.reset();
}

void TaskStream::lost(std::string_view what)
{
    if (losses_.size() < most_losses)
        losses_.push_back(
            fmt::format("cannot read the rest of {} from byte {} on: {}; some lines of it are lost",
                        full_path(name_), at_.offset, what));
}

std::vector<std::string> TaskStream::take_losses() { return std::exchange(losses_, {}); }

bool TaskStream::flush_due(Monotonic now) const
{
    const bool no_more = current_.final || ((!chain_.empty() || last_) && quiet_ >= looks_at_the_end);
    if (no_more || !waits_since_) return no_more;
    return rest_ == Rest::partial ? now - *waits_since_ >= rules_.partial_timeout
                                  : now - grew_at_ >= rules_.multiline_timeout;
}

bool TaskStream::ready(Monotonic now) const
{
    if (!current_.file || finished_ || halted_) return false;
    if (size_ > at_.offset) return !stuck_ || flush_due(now);
    return ((last_ && !blind_) || !chain_.empty()) && flush_due(now);
}

Result<std::optional<StreamBlock>> TaskStream::read(Monotonic now)
{
    if (size_ <= at_.offset) {
        if (!flush_due(now)) return std::nullopt;
        if (!chain_.empty()) {
            go_on();
            count_queued();
            look(now, last_);
        } else if (last_ && !blind_) {
            finished_ = true;
        }
        return std::nullopt;
    }
    const auto left = size_ - at_.offset;
    for (const auto most : {block_bytes, std::max(block_bytes, pipeline::block_for(rules_.join))}) {
        StreamBlock block;
        block.from = at_;
        const auto asked = static_cast<std::size_t>(std::min<std::uint64_t>(left, most));
        auto bytes = current_.file->read(at_.offset, asked);
        if (!bytes) return fail(std::move(bytes).error());
        block.bytes = std::make_unique<const std::string>(std::move(*bytes));
        const auto size = block.bytes->size();
        const auto valid = still(now);
        if (!valid) return fail(valid.error());
        if (!*valid) return std::nullopt;
        const bool all = at_.offset + size >= size_;
        if (size == 0) {
            size_ = at_.offset;  // it will be looked at again
            return std::nullopt;
        }
        auto pieces = pipeline::cut(*block.bytes, rules_.join, false);
        // Not what came after whole records: it has not waited yet.
        if (pieces.used == 0 && all && flush_due(now))
            pieces = pipeline::cut(*block.bytes, rules_.join, true);
        if (pieces.used == 0 && size < asked) return fail_beyond(size);
        if (pieces.used == 0 && !all) continue;
        rest_ = pieces.rest;
        if (pieces.used > 0) waits_since_.reset();
        stuck_ = all && rest_ != Rest::nothing;
        if (stuck_ && !waits_since_) waits_since_ = now;
        if (pieces.used == 0) return std::nullopt;
        block.pieces = std::move(pieces.pieces);
        advance(pieces.used, *block.bytes);
        return block;
    }
    stuck_ = true;
    return std::nullopt;
}

/// Less came than there should be, and no record in it: it is not asked for again and again.
Result<std::optional<StreamBlock>> TaskStream::fail_beyond(std::size_t bytes)
{
    const auto more = current_.file->read(at_.offset + bytes, 1);
    if (!more) return fail(more.error());
    size_ = at_.offset + bytes;  // it will be looked at again
    return std::nullopt;
}

/// Whether what was just read is of the file as it was looked at: it may have been truncated since, and be as
/// long again.
Result<bool> TaskStream::still(Monotonic now)
{
    if (current_.final) return true;
    const auto facts = current_.file->look();
    if (!facts) return fail(facts.error());
    if (facts->changed == changed_ && facts->size == size_) return true;
    const auto* file = current_.file.get();
    const auto generation = at_.generation;
    look(now, last_);
    return !halted_ && current_.file.get() == file && at_.generation == generation;
}

void TaskStream::advance(std::size_t bytes, std::string_view block)
{
    const auto before = at_.offset;
    at_.offset += bytes;
    if (at_.fingerprint.bytes == Fingerprint::most) return;
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(at_.offset, Fingerprint::most));
    if (before == 0) {
        at_.fingerprint = fingerprint_of(block.substr(0, wanted));
        return;
    }
    const auto first = current_.file->read(0, wanted);
    if (first && first->size() == wanted) at_.fingerprint = fingerprint_of(*first);
}

void TaskStream::give_back(const StreamBlock& block, std::size_t used)
{
    if (used == block.pieces.size()) return;
    at_ = block.from;
    stuck_ = false;
    waits_since_.reset();
    if (used > 0) advance(block.pieces[used - 1].end, *block.bytes);
}

std::uint64_t TaskStream::behind() const
{
    auto bytes = size_ > at_.offset ? size_ - at_.offset : 0;
    for (const auto& part : chain_) {
        const auto facts = part.file->look();
        bytes += facts ? facts->size : 0;
    }
    return bytes;
}

}  // namespace opsd::forward
