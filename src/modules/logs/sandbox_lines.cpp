#include "modules/logs/sandbox_lines.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace opsd::logs {
namespace {

// Enough to tell one file from another one that is as long: log lines begin with times and counters.
constexpr std::size_t tail_size = 64;

template <class Number>
std::optional<Number> number(std::string_view text)
{
    Number value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Where to cut so that no UTF-8 character is torn, if that is possible.
std::size_t character_end(std::string_view text, std::size_t wanted)
{
    std::size_t cut = wanted;
    for (int back = 0; back < 3 && cut > 0; ++back, --cut) {
        if ((static_cast<unsigned char>(text[cut]) & 0xc0U) != 0x80) return cut;
    }
    return cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0U) != 0x80 ? cut : wanted;
}

/// More bytes than the first `known` ones, unless the file ends before: a source may give less than it was
/// asked for, and that is no end of the file.
Task<Result<std::string>> read_past(ByteSource& source, std::uint64_t offset, std::uint64_t length,
                                    std::size_t known)
{
    std::string bytes;
    do {
        auto more = co_await source.read(offset + bytes.size(), length - bytes.size());
        if (!more) co_return fail(std::move(more).error());
        if (more->empty()) break;
        bytes += more->substr(0, length - bytes.size());
    } while (bytes.size() <= known && bytes.size() < length);
    co_return bytes;
}

}  // namespace

Result<LineQuery> parse_line_query(const std::string* cursor, const std::string* skip,
                                   const std::string* limit, const std::string* last_event_id)
{
    LineQuery query;
    const auto refuse = [](std::string_view what, std::string_view must_be) {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot read the file: {} must be {}", what, must_be));
    };
    if (last_event_id != nullptr && !last_event_id->empty()) {
        const auto offset = number<std::uint64_t>(*last_event_id);
        if (!offset) return refuse("Last-Event-ID", "a byte offset that an earlier answer gave");
        query.from = LineQuery::From::offset;
        query.offset = *offset;
        query.resumed = true;
        return query;
    }
    if (skip != nullptr && !skip->empty()) {
        const auto lines = number<std::int64_t>(*skip);
        if (!lines) return refuse("skip", "a number of lines, negative to go back");
        query.skip = *lines;
    }
    if (limit != nullptr && !limit->empty()) {
        const auto lines = number<std::uint64_t>(*limit);
        if (!lines) return refuse("limit", "a number of lines");
        query.limit = *lines;
    }
    const bool placed = cursor != nullptr && !cursor->empty();
    if (placed ? *cursor == "END" : query.skip < 0) {
        query.from = LineQuery::From::end;
    } else if (placed && *cursor != "BEG") {
        const auto offset = number<std::uint64_t>(*cursor);
        if (!offset) return refuse("cursor", "BEG, END or a byte offset");
        query.from = LineQuery::From::offset;
        query.offset = *offset;
    }
    return query;
}

// --- LineSplitter

LineSplitter::LineSplitter(std::uint64_t offset, std::size_t longest)
  : at_{offset}
  , longest_{std::max<std::size_t>(longest, 1)}
{}

bool LineSplitter::tell(std::string_view text, bool newline, bool continues, const OnPiece& on_piece)
{
    const auto offset = at_;
    at_ += text.size() + (newline ? 1 : 0);
    const bool continued = std::exchange(continued_, continues);
    if (text.empty() && !continued) return true;
    return on_piece(
        {.text = text, .offset = offset, .after = at_, .continued = continued, .continues = continues});
}

// Takes one piece's worth of bytes away. At least one byte stays for the next piece, so that only the end of
// a line that was flushed is empty; one byte more than fits shows where a character ends.
bool LineSplitter::cut(std::string_view& part, const OnPiece& on_piece)
{
    if (held_.empty()) {
        const auto text = part.substr(0, character_end(part, longest_));
        part.remove_prefix(text.size());
        return tell(text, false, true, on_piece);
    }
    const auto room = longest_ + 1 - held_.size();
    held_ += part.substr(0, room);
    part.remove_prefix(room);
    const auto text = held_.substr(0, character_end(held_, longest_));
    held_.erase(0, text.size());
    return tell(text, false, true, on_piece);
}

bool LineSplitter::feed(std::string_view bytes, const OnPiece& on_piece)
{
    while (!bytes.empty()) {
        const auto newline = bytes.find('\n');
        const bool whole = newline != std::string_view::npos;
        auto part = bytes.substr(0, newline);
        bytes.remove_prefix(part.size() + (whole ? 1 : 0));
        while (held_.size() + part.size() > longest_) {
            if (!cut(part, on_piece)) return false;
        }
        if (!whole) {
            held_ += part;
            return true;
        }
        if (held_.empty()) {
            if (!tell(part, true, false, on_piece)) return false;
            continue;
        }
        const auto text = std::exchange(held_, {}).append(part);
        if (!tell(text, true, false, on_piece)) return false;
    }
    return true;
}

bool LineSplitter::flush(bool continues, const OnPiece& on_piece)
{
    if (held_.empty() && continues) return true;
    const auto text = std::exchange(held_, {});
    return tell(text, false, continues, on_piece);
}

// --- BackwardLines

bool BackwardLines::feed(std::string_view bytes)
{
    while (missing_ > 0 && !bytes.empty()) {
        const auto newline = bytes.rfind('\n');
        const auto from = newline == std::string_view::npos ? 0 : newline + 1;
        in_line_ = in_line_ || from < bytes.size();
        begin_ -= bytes.size() - from;
        bytes = bytes.substr(0, from);
        if (newline == std::string_view::npos) break;
        if (in_line_ && --missing_ == 0) start_ = begin_;
        in_line_ = false;
        bytes.remove_suffix(1);
        --begin_;
    }
    return missing_ == 0 || begin_ == 0;
}

// --- LineReader

LineReader::LineReader(ByteSource& source, LineLimits limits, ByteSource* previous)
  : source_{source}
  , previous_{previous}
  , limits_{limits}
  , splitter_{0, limits.longest}
{
    limits_.block = std::max(limits_.block, 2 * tail_size);
}

Task<Result<>> LineReader::start(LineQuery query)
{
    auto size = co_await source_.size();
    if (!size) co_return fail(std::move(size).error());
    size_ = *size;
    shrunk_ = query.resumed && query.offset > size_;
    auto begin = query.from == LineQuery::From::begin ? 0 : size_;
    if (query.from == LineQuery::From::offset) begin = shrunk_ ? 0 : std::min(query.offset, size_);
    if (query.skip < 0) {
        auto found = co_await find_back(begin, 0 - static_cast<std::uint64_t>(query.skip));
        if (!found) co_return fail(std::move(found).error());
        begin = *found;
    } else {
        skip_ = static_cast<std::uint64_t>(query.skip);
    }
    if (query.limit > 0) left_ = query.limit;
    splitter_ = LineSplitter{begin, limits_.longest};
    co_return Result<>{};
}

Task<Result<std::uint64_t>> LineReader::find_back(std::uint64_t end, std::uint64_t count)
{
    // No line but a last one without newline is shorter than two bytes: there cannot be more.
    if (count > end / 2 + 1) co_return std::uint64_t{0};
    BackwardLines lines{end, count};
    for (bool enough = end == 0; !enough;) {
        if (end - lines.begin() >= limits_.farthest_back) {
            co_return fail(
                Errc::invalid_argument,
                fmt::format("cannot go {} lines back: they begin more than {} MiB before; give the "
                            "cursor as a byte offset",
                            count, limits_.farthest_back >> 20U));
        }
        const auto length = std::min<std::uint64_t>(limits_.block, lines.begin());
        const auto from = lines.begin() - length;
        std::string block;
        while (block.size() < length) {
            auto more = co_await source_.read(from + block.size(), length - block.size());
            if (!more) co_return fail(std::move(more).error());
            if (more->empty())
                co_return fail(Errc::unavailable,
                               "cannot read the file: it became shorter meanwhile; ask again");
            block += *more;
        }
        enough = lines.feed(block);
    }
    co_return lines.start();
}

// What the caller skips and limits is counted in whole lines.
bool LineReader::count(const Piece& piece, const OnPiece& on_piece)
{
    if (left_ == 0) return false;
    if (skip_ > 0) {
        if (!piece.continues) --skip_;
        return true;
    }
    const bool more = on_piece(piece);
    if (left_ && !piece.continues) --*left_;
    return more && left_ != 0;
}

void LineReader::remember(std::string_view bytes)
{
    if (bytes.size() > tail_size) bytes.remove_prefix(bytes.size() - tail_size);
    tail_ += bytes;
    if (tail_.size() > tail_size) tail_.erase(0, tail_.size() - tail_size);
}

// False: the file is another one. `verify`: the bytes before the new ones must be those that were read.
Task<Result<bool>> LineReader::read_block(bool verify, const OnPiece& on_piece)
{
    const std::string known = verify ? tail_ : std::string{};
    const auto from = splitter_.position() - known.size();
    const auto wanted = std::min<std::uint64_t>(limits_.block, size_ - from);
    const auto bytes = co_await read_past(source_, from, wanted, known.size());
    if (!bytes) co_return fail(std::move(bytes).error());
    const auto old = std::string_view{*bytes}.substr(0, known.size());
    if (!known.starts_with(old)) co_return false;
    const auto news = std::string_view{*bytes}.substr(old.size());
    if (news.empty()) {
        size_ = std::min(size_, splitter_.position());  // cut meanwhile: this is its end
        co_return true;
    }
    feed(news, on_piece);
    co_return true;
}

void LineReader::feed(std::string_view news, const OnPiece& on_piece)
{
    remember(news);
    const OnPiece counted = [this, &on_piece](const Piece& piece) { return count(piece, on_piece); };
    if (!splitter_.feed(news, counted)) left_ = 0;
}

Task<Result<LineReader::Step>> LineReader::next(const OnPiece& on_piece)
{
    if (left_ == 0) co_return Step::done;
    if (splitter_.position() < size_) {
        auto same = co_await read_block(false, on_piece);
        if (!same) co_return fail(std::move(same).error());
    }
    if (left_ == 0) co_return Step::done;
    if (splitter_.position() < size_) co_return Step::read;
    const OnPiece counted = [this, &on_piece](const Piece& piece) { return count(piece, on_piece); };
    splitter_.flush(false, counted);
    co_return Step::at_end;
}

// The file is not the one that was read. That one may be there under its other name: it has the same last
// bytes at the same place.
Task<LineReader::Step> LineReader::leave_file(const OnPiece& on_piece)
{
    if (previous_ != nullptr && !tail_.empty()) {
        const auto known = tail_;
        const auto bytes =
            co_await read_past(*previous_, splitter_.position() - known.size(), limits_.block, known.size());
        in_previous_ = bytes && bytes->starts_with(known);
        if (in_previous_ && bytes->size() > known.size()) {
            feed(std::string_view{*bytes}.substr(known.size()), on_piece);
            co_return Step::read;
        }
    }
    in_previous_ = false;
    co_return begin_anew(on_piece);
}

Task<LineReader::Step> LineReader::read_previous(const OnPiece& on_piece)
{
    const auto bytes = co_await previous_->read(splitter_.position(), limits_.block);
    if (bytes && !bytes->empty()) {
        feed(*bytes, on_piece);
        co_return Step::read;
    }
    in_previous_ = false;
    co_return begin_anew(on_piece);
}

// What is held of the old file is all that will ever come of that line.
LineReader::Step LineReader::begin_anew(const OnPiece& on_piece)
{
    const OnPiece counted = [this, &on_piece](const Piece& piece) { return count(piece, on_piece); };
    splitter_.flush(false, counted);
    splitter_ = LineSplitter{0, limits_.longest};
    tail_.clear();
    held_since_.reset();
    return Step::rotated;
}

Task<Result<LineReader::Step>> LineReader::follow(Monotonic now, const OnPiece& on_piece)
{
    if (left_ == 0) co_return Step::done;
    if (std::exchange(shrunk_, false)) co_return Step::rotated;
    if (in_previous_) co_return co_await read_previous(on_piece);
    const bool asked = splitter_.position() >= size_;
    if (asked) {
        auto size = co_await source_.size();
        if (!size) co_return fail(std::move(size).error());
        size_ = *size;
        if (size_ < splitter_.position()) co_return co_await leave_file(on_piece);
    }
    if (splitter_.position() < size_) {
        const auto before = splitter_.position();
        auto same = co_await read_block(asked, on_piece);
        if (!same) co_return fail(std::move(same).error());
        if (!*same) co_return co_await leave_file(on_piece);
        if (left_ == 0) co_return Step::done;
        // A file that has a size but gives nothing must not be asked in a hurry.
        if (splitter_.position() == before) co_return Step::at_end;
        held_since_ = now;
        co_return Step::read;
    }
    if (splitter_.holds() && held_since_ && now - *held_since_ >= limits_.partial_after) {
        const OnPiece counted = [this, &on_piece](const Piece& piece) { return count(piece, on_piece); };
        if (!splitter_.flush(true, counted)) left_ = 0;
    }
    co_return Step::at_end;
}

}  // namespace opsd::logs
