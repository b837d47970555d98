#include "io/systemd/journal_reading.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <utility>

namespace opsd::systemd {
namespace {

/// The entry, not the reading, is at fault.
bool is_damage(int error) noexcept { return error == -EBADMSG || error == -EIO || error == -ENODATA; }

constexpr std::size_t usual_entry = std::size_t{256} * 1024;

struct Free {
    void operator()(char* p) const noexcept { std::free(p); }
};

/// The newest entry of all.
int read_tail(sd_journal* journal, std::string& cursor)
{
    cursor.clear();
    sd_journal_flush_matches(journal);
    int r = sd_journal_seek_tail(journal);
    if (r >= 0) r = sd_journal_previous(journal);
    return r > 0 ? read_cursor(journal, cursor) : r;
}

std::optional<std::int64_t> realtime_of(sd_journal* journal)
{
    std::uint64_t usec = 0;
    if (sd_journal_get_realtime_usec(journal, &usec) < 0) return std::nullopt;
    return static_cast<std::int64_t>(usec);
}

/// Takes "<key>=" and a number in hexadecimal digits, as journald writes it, off the front.
std::optional<std::int64_t> take_number(std::string_view& rest, std::string_view key)
{
    constexpr std::size_t most_digits = 14;  // of a time that sd-journal takes
    if (!rest.starts_with(key)) return std::nullopt;
    std::int64_t value = 0;
    auto i = key.size();
    for (; i < rest.size() && rest[i] != ';'; ++i) {
        const char c = rest[i];
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else
            return std::nullopt;
        if (i == key.size() + most_digits) return std::nullopt;
    }
    rest.remove_prefix(i);
    return value;
}

/// The times of an entry, which its cursor says, too: asking for them costs more than this. False: ask.
bool times_in(std::string_view cursor, std::int64_t& monotonic, std::int64_t& realtime)
{
    constexpr std::size_t earliest = 73;  // behind two ids of 32 digits and a number
    if (cursor.size() < earliest) return false;
    auto rest = cursor.substr(std::min(cursor.find(";m=", earliest), cursor.size()));
    const auto since_boot = take_number(rest, ";m=");
    const auto since_epoch = take_number(rest, ";t=");
    if (!since_boot || !since_epoch || *since_epoch == 0) return false;
    monotonic = *since_boot;
    realtime = *since_epoch;
    return true;
}

std::uint64_t unsigned_of(std::int64_t value)
{
    return static_cast<std::uint64_t>(std::max<std::int64_t>(value, 0));
}

/// To the entry of that cursor or, when it is gone, to the next: 1, and its cursor. 0: there is none.
/// A file without anything later since the boot is entered by the wall clock (systemd 252), which may have
/// been set back: what was before the cursor is passed over then, or readers would go round in circles.
int seek_entry(sd_journal* journal, const std::string& cursor, std::string& found)
{
    int r = sd_journal_seek_cursor(journal, cursor.c_str());
    while (r >= 0 && (r = sd_journal_next(journal)) > 0) {
        const int read = read_cursor(journal, found);
        if (read < 0) return read;
        if (same_entry(found, cursor) || !surely_before(found, cursor)) return 1;
    }
    found.clear();
    return r;
}

}  // namespace

int read_cursor(sd_journal* journal, std::string& cursor)
{
    char* raw = nullptr;
    const int r = sd_journal_get_cursor(journal, &raw);
    const std::unique_ptr<char, Free> text{raw};
    if (r < 0) return r;
    cursor = raw;
    return 0;
}

/// Different fields of one group are alternatives, too: sd-journal takes those for conditions unless told.
int add_matches(sd_journal* journal, const MatchGroups& groups)
{
    sd_journal_flush_matches(journal);
    int r = 0;
    for (const auto& group : groups) {
        for (const auto& match : group) {
            if (r >= 0) r = sd_journal_add_disjunction(journal);
            if (r >= 0) r = sd_journal_add_match(journal, match.data(), match.size());
        }
        if (r >= 0) r = sd_journal_add_conjunction(journal);
    }
    return r;
}

int EntryBuffer::read(sd_journal* journal, const SliceLimits& limits)
{
    int r = read_cursor(journal, cursor_);
    if (r >= 0 && !times_in(cursor_, monotonic_, realtime_)) r = read_times(journal);
    return r < 0 ? r : copy_fields(journal, limits);
}

int EntryBuffer::read_times(sd_journal* journal)
{
    std::uint64_t usec = 0;
    int r = sd_journal_get_realtime_usec(journal, &usec);
    if (r < 0) return r;
    realtime_ = static_cast<std::int64_t>(usec);
    sd_id128_t boot{};
    r = sd_journal_get_monotonic_usec(journal, &usec, &boot);
    if (r < 0 && r != -ESTALE) return r;  // ESTALE: of another boot, and told all the same
    monotonic_ = static_cast<std::int64_t>(usec);
    return 0;
}

int EntryBuffer::copy_fields(sd_journal* journal, const SliceLimits& limits)
{
    if (bytes_.capacity() > usual_entry) bytes_ = {};  // one huge entry shall not cost its memory for good
    bytes_.clear();
    places_.clear();
    const void* data = nullptr;
    std::size_t size = 0;
    std::size_t left_out = 0;
    int r = 0;
    sd_journal_restart_data(journal);
    while ((r = sd_journal_enumerate_available_data(journal, &data, &size)) > 0) {
        size = std::min(size, limits.field_bytes);
        if (bytes_.size() + size > limits.entry_bytes) {
            ++left_out;
            continue;
        }
        places_.emplace_back(bytes_.size(), size);
        bytes_.append(static_cast<const char*>(data), size);
    }
    if (r < 0) return r;
    fields_.clear();
    for (const auto& [begin, length] : places_) {
        const std::string_view all{bytes_.data() + begin, length};
        const auto equals = all.find('=');
        if (equals == std::string_view::npos) continue;
        fields_.push_back({all.substr(0, equals), all.substr(equals + 1)});
    }
    left_out_ = std::to_string(left_out);
    if (left_out > 0) fields_.push_back({"OPSD_FIELDS_LEFT_OUT", left_out_});
    return 0;
}

JournalEntry EntryBuffer::entry() const { return {cursor_, realtime_, monotonic_, fields_}; }

/// What one slice may still cost.
class JournalReading::Budget {
public:
    explicit Budget(const SliceLimits& l) : limits{l}, until_{std::chrono::steady_clock::now() + l.longest} {}
    /// Counts one more entry. The clock costs a tenth of an entry: it is looked at now and then.
    [[nodiscard]] bool is_spent(std::size_t bytes)
    {
        ++looked_at_;
        if (bytes >= limits.bytes || looked_at_ >= limits.looked_at) return true;
        return looked_at_ % 16 == 0 && std::chrono::steady_clock::now() >= until_;
    }
    const SliceLimits& limits;

private:
    std::size_t looked_at_ = 0;
    std::chrono::steady_clock::time_point until_;
};

/// Takes back what a slice changed that did not succeed, or whose writer threw.
class JournalReading::Undo {
public:
    explicit Undo(State& state) : state_{state}, before_{state} {}
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    ~Undo()
    {
        if (!kept_) state_ = std::move(before_);
    }
    void keep() noexcept { kept_ = true; }

private:
    State& state_;
    State before_;
    bool kept_ = false;
};

JournalReading::JournalReading(JournalRange range, std::unique_ptr<EntryWriter> writer)
  : range_{std::move(range)}
  , writer_{std::move(writer)}
{
    if (range_.from == From::cursor) state_.position = range_.cursor;
    if (range_.skip < 0 && range_.skip_taken)
        state_.back_left = -range_.skip;
    else
        state_.skip_left = range_.skip;
}

int JournalReading::slice(JournalHandle& handle, const SliceLimits& limits, JournalSlice& out)
{
    Undo undo{state_};
    out.text.reserve(std::min(last_bytes_ + last_bytes_ / 16, limits.bytes + limits.bytes / 4));
    const int r = read_slice(handle.get(), limits, out);
    last_bytes_ = out.text.size();
    if (r >= 0) undo.keep();
    return r;
}

int JournalReading::read_slice(sd_journal* journal, const SliceLimits& limits, JournalSlice& out)
{
    sd_journal_set_data_threshold(journal, limits.field_bytes);
    // Taken first: when nothing that follows the position matches, all up to here was seen.
    std::string tail;
    int r = read_tail(journal, tail);
    std::string found;
    const bool noted = !state_.position.empty();
    if (r >= 0 && noted) r = note_loss(journal, out, found);
    auto at = At::before;
    // Without matches the handle stands there already. (Setting them would forget it.)
    const bool there = noted && state_.begun && range_.matches.empty() && !found.empty();
    if (r >= 0 && there) stand_on(found, at);
    if (r >= 0 && !there) r = add_matches(journal, range_.matches);
    if (r >= 0 && !there) r = state_.begun ? seek_position(journal, at) : begin(journal, tail, at);
    if (r < 0) return r;
    const bool first = !std::exchange(state_.begun, true);
    Budget budget{limits};
    r = go(journal, budget, first, out, at);
    if (r < 0 || state_.back_left > 0 || state_.skip_left != 0) return r;
    const auto before = state_.position;
    r = read_on(journal, budget, out, at);
    if (r < 0) return r;
    const bool nothing = state_.position == before && !state_.inclusive;
    if (out.ended && !out.complete && nothing && !tail.empty()) state_.position = tail;
    out.position = state_.position;
    return 0;
}

/// The first time: to where the range begins.
int JournalReading::begin(sd_journal* journal, const std::string& tail, At& at)
{
    switch (range_.from) {
    case From::head:
        return sd_journal_seek_head(journal);
    case From::tail:
        if (range_.skip < 0) return sd_journal_seek_tail(journal);
        state_.position = tail;  // from seek_tail() one would go forward to the last entry
        return seek_position(journal, at);
    case From::cursor:
        return seek_position(journal, at);
    case From::time:
        return sd_journal_seek_realtime_usec(journal, unsigned_of(range_.time));
    }
    return 0;
}

/// From there to the first entry that is to be read, as far as the slice goes.
int JournalReading::go(sd_journal* journal, Budget& budget, bool first, JournalSlice& out, At& at)
{
    if (state_.back_left > 0) return walk_back(journal, budget, first, out, at);
    if (state_.skip_left < 0) return go_back(journal, budget, first, out, at);
    return go_forward(journal, budget, out, at);
}

int JournalReading::seek_position(sd_journal* journal, At& at)
{
    at = At::before;
    if (state_.position.empty()) return sd_journal_seek_head(journal);
    std::string found;
    const int r = seek_entry(journal, state_.position, found);
    if (r <= 0) return r;
    stand_on(found, at);
    return 0;
}

/// The handle is on the entry of the position, or on the first that is left after it.
void JournalReading::stand_on(const std::string& found, At& at)
{
    const bool is_it = same_entry(found, state_.position);
    if (!is_it || state_.inclusive) at = At::current;
    state_.inclusive = false;
}

/// Sees without matches what follows the position: if that entry is gone, others are, too. `found`: where the
/// handle is now; "": at the end.
int JournalReading::note_loss(sd_journal* journal, JournalSlice& out, std::string& found) const
{
    const int r = seek_entry(journal, state_.position, found);
    if (r <= 0 || same_entry(found, state_.position)) return std::min(r, 0);
    const auto then = parse_cursor(state_.position);
    const auto now = parse_cursor(found);
    const bool comparable = then && now && then->sequence_id == now->sequence_id;
    if (!comparable)
        out.loss = JournalLoss{};
    else if (now->sequence > then->sequence + 1)
        out.loss = JournalLoss{now->sequence - then->sequence - 1};
    return 0;
}

/// Matching entries back from where the handle is. Having gone none at all from the end of a journal, it is
/// before whatever comes.
int JournalReading::go_back(sd_journal* journal, Budget& budget, bool first, JournalSlice& out, At& at)
{
    std::string current;
    const bool may_stand = !first || (range_.from == From::cursor && at == At::before);
    const bool stands = may_stand && !state_.position.empty() && read_cursor(journal, current) >= 0;
    if (stands) at = At::current;
    // On the entry of the cursor: it is the first that one goes back to. Later slices begin at one that was.
    if (stands && first) {
        ++state_.skip_left;
        --out.skipped;
    }
    while (state_.skip_left < 0) {
        const int r = sd_journal_previous(journal);
        if (r < 0) return r;
        if (r == 0) break;
        at = At::current;
        ++state_.skip_left;
        --out.skipped;
        if (state_.skip_left < 0 && budget.is_spent(0)) return read_cursor(journal, state_.position);
    }
    state_.skip_left = 0;
    if (at == At::before && range_.from == From::time)
        return sd_journal_seek_realtime_usec(journal, unsigned_of(range_.time));
    return 0;
}

int JournalReading::go_forward(sd_journal* journal, Budget& budget, JournalSlice& out, At& at)
{
    while (state_.skip_left > 0) {
        const int r = at == At::current ? 1 : sd_journal_next(journal);
        if (r < 0) return r;
        at = At::before;  // the one that it stands on is left out
        state_.skip_left = r == 0 ? 0 : state_.skip_left - 1;
        if (r == 0) return 0;
        ++out.skipped;
        if (state_.skip_left > 0 && budget.is_spent(0)) return read_cursor(journal, state_.position);
    }
    return 0;
}

/// Back over entries until enough of them are such as the writer takes.
int JournalReading::walk_back(sd_journal* journal, Budget& budget, bool first, JournalSlice& out, At& at)
{
    std::string ignored;
    std::string current;
    // The entry of the range's cursor is the first that one goes back to; one where a slice ended was looked
    // at.
    bool look =
        first && range_.from == From::cursor && at == At::before && read_cursor(journal, current) >= 0;
    for (;;) {
        if (!look) {
            const int r = sd_journal_previous(journal);
            if (r < 0) return r;
            if (r == 0) {
                state_.back_left = 0;
                state_.position.clear();
                at = At::before;
                return sd_journal_seek_head(journal);
            }
        }
        look = false;
        const auto realtime = realtime_of(journal);
        if (range_.since && realtime && *realtime < *range_.since) {
            state_.back_left = 0;
            at = At::before;
            return 0;
        }
        const int r = buffer_.read(journal, budget.limits);
        if (r < 0 && !is_damage(r)) return r;
        ignored.clear();
        const bool beyond = range_.until && realtime && *realtime > *range_.until;
        if (r >= 0 && !beyond && writer_->write(buffer_.entry(), ignored)) {
            --out.skipped;
            if (--state_.back_left == 0) {
                state_.position = buffer_.cursor();
                state_.inclusive = true;
                at = At::current;
                return 0;
            }
        }
        if (budget.is_spent(0)) return read_cursor(journal, state_.position);
    }
}

/// Forward, to the end or to a limit.
int JournalReading::read_on(sd_journal* journal, Budget& budget, JournalSlice& out, At at)
{
    bool passed = false;  // entries after the position, without noting where
    bool noted = false;   // the position is of this slice
    for (;;) {
        if (range_.limit && state_.read >= *range_.limit) {
            out.ended = out.complete = true;
            break;
        }
        if (at == At::before) {
            const int r = sd_journal_next(journal);
            if (r < 0) return r;
            if (r == 0) {
                out.ended = true;
                break;
            }
        }
        at = At::before;
        state_.inclusive = false;
        const bool bounded = range_.since || range_.until;
        const auto realtime = bounded ? realtime_of(journal) : std::nullopt;
        const bool beyond = realtime && range_.until && *realtime > *range_.until;
        const bool wanted =
            !bounded || (realtime && !beyond && (!range_.since || *realtime >= *range_.since));
        state_.beyond = state_.beyond || beyond;
        passed = !wanted;
        if (wanted) {
            const int r = take(journal, budget.limits, out);
            if (r < 0) return r;
            noted = noted || r > 0;
        }
        // Not before there is a position to read on from: the next slice would read the same again.
        if (budget.is_spent(out.text.size()) && (noted || passed)) break;
    }
    if (out.ended && state_.beyond) out.complete = true;
    return passed ? read_cursor(journal, state_.position) : 0;
}

/// The current entry. 1: the position is its cursor; 0: it has none that can be read.
int JournalReading::take(sd_journal* journal, const SliceLimits& limits, JournalSlice& out)
{
    const int r = buffer_.read(journal, limits);
    if (r < 0 && !is_damage(r)) return r;
    if (r < 0) {
        ++out.damaged;
        const int at = read_cursor(journal, state_.position);
        if (at < 0) return is_damage(at) ? 0 : at;
        return 1;
    }
    state_.position = buffer_.cursor();
    if (!writer_->write(buffer_.entry(), out.text)) return 1;
    ++out.entries;
    ++state_.read;
    return 1;
}

}  // namespace opsd::systemd
