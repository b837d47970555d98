#include "io/systemd/journal_tap.hpp"

#include <cerrno>

namespace opsd::systemd {
namespace {

constexpr std::size_t piece = 64 * 1024;
constexpr std::size_t most_at_once = 1024 * 1024;  // then it is the turn of others
constexpr SliceLimits defaults;
// Longer than that between two looks, and files may have come and gone that were never read.
constexpr std::chrono::seconds stood_still{2};

void append(TapText& to, TapText more)
{
    to.text += more.text;
    to.entries += more.entries;
    to.position = std::move(more.position);
}

}  // namespace

JournalTap::JournalTap(const std::string& directory, MatchGroups matches, std::unique_ptr<EntryWriter> writer,
                       std::string position)
  : handle_{directory}
  , matches_{std::move(matches)}
  , writer_{std::move(writer)}
  , position_{std::move(position)}
{}

int JournalTap::fd() const { return handle_.get() == nullptr ? -1 : sd_journal_get_fd(handle_.get()); }

int JournalTap::refresh()
{
    int r = handle_.ready();
    // Whoever follows reads on from his own place, where it is seen whether entries are missing.
    stale_ = stale_ || (handle_.changed() && generation_ != 0 && Clock::now() - looked_at_ > stood_still);
    if (r >= 0 && stale_) r = -ESTALE;
    if (r >= 0 && generation_ != handle_.generation()) {
        sd_journal_set_data_threshold(handle_.get(), defaults.field_bytes);
        r = add_matches(handle_.get(), matches_);
        if (r >= 0) r = seek(position_);
        if (r >= 0) generation_ = handle_.generation();
        looked_at_ = Clock::now();
    }
    if (r < 0) handle_.close();
    return r;
}

int JournalTap::seek(const std::string& position)
{
    sought_ = position;
    if (position.empty()) return sd_journal_seek_head(handle_.get());
    return sd_journal_seek_cursor(handle_.get(), position.c_str());
}

/// To the next entry that was not seen, and copies it; damaged ones are passed over.
int JournalTap::next(bool& found)
{
    found = false;
    for (;;) {
        int r = sd_journal_next(handle_.get());
        if (r <= 0) return r;
        r = buffer_.read(handle_.get(), defaults);
        if (r == -EBADMSG || r == -EIO || r == -ENODATA) continue;
        if (r < 0) return r;
        // The wall clock may have led to what was before (journal_reading.cpp: seek_entry).
        if (!sought_.empty() && surely_before(buffer_.cursor(), sought_)) continue;
        const bool seen = !sought_.empty() && same_entry(sought_, buffer_.cursor());
        sought_.clear();
        if (seen) continue;
        found = true;
        return 0;
    }
}

void JournalTap::write(TapText& to)
{
    if (writer_->write(buffer_.entry(), to.text)) ++to.entries;
    to.position = buffer_.cursor();
}

int JournalTap::read_news(const std::function<void(TapText)>& take, bool& more)
{
    std::size_t all = 0;
    TapText text;
    int r = 0;
    for (more = true; all < most_at_once;) {
        r = next(more);
        if (r < 0 || !more) break;
        write(text);
        position_ = text.position;
        if (text.text.size() < piece) continue;
        all += text.text.size();
        take(std::exchange(text, {}));
    }
    if (text.entries > 0) take(std::move(text));
    if (!more) looked_at_ = Clock::now();
    if (r < 0) handle_.close();
    return r;
}

int JournalTap::join(const std::string& position, JoinLimits limits, Joining& joining)
{
    if (same_entry(position, position_)) return 0;
    int r = seek(position);
    bool found = r >= 0;
    TapText read;  // since `position`
    std::size_t count = 0;
    while (r >= 0 && found) {
        r = next(found);
        if (r < 0 || !found) break;
        if (count++ < limits.entries) write(read);
        if (count > limits.entries || joining.newcomer.text.size() + read.text.size() > limits.bytes) {
            joining = {.newcomer = {}, .all = {}, .too_far = true};
            return seek(position_);
        }
        // All of it up to the place where the others are is for the newcomer; what is behind that, for all.
        // The place may be an entry that the matches never show: then the last one before it is looked for.
        const bool seen = same_entry(read.position, position_) || surely_before(read.position, position_);
        if (seen) append(joining.newcomer, std::exchange(read, {}));
    }
    if (r < 0) {
        handle_.close();  // and back to the position by refresh()
        generation_ = 0;
        return r;
    }
    joining.all = std::move(read);
    if (!joining.all.position.empty()) position_ = joining.all.position;
    return 0;
}

}  // namespace opsd::systemd
