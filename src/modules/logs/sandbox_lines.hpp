#pragma once
// The lines of a task's file: where a window of them begins, and one line after the other from there.
//
// What comes in
//   A file that can be asked for its size and for bytes at a place, and what a caller wants of it: a cursor
//   (BEG, END or a byte offset), lines to skip forward or back, how many.
//
// What goes out
//   Lines with the offsets where they begin and end, in pieces when they are longer than one may hold.
//
// What it promises
//   - Empty lines do not count and are not told. A cursor inside a line counts from that byte.
//   - Together the pieces are the lines of the file, byte by byte; a last line without newline is one too.
//   - Lines from the end are found by reading blocks from the end: ten of 1 GB cost two reads.
//   - A follower notices that the file was cut or exchanged, also when it is already longer than before, and
//     first reads to its end what the file was, when that has been kept under another name.
//   - Never more than one block and one piece are held.

#include "opsd/async.hpp"
#include "opsd/clock.hpp"
#include "opsd/result.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::logs {

/// A file that is read over a wire. It may grow, shrink and be exchanged between two calls.
class ByteSource {
public:
    virtual ~ByteSource() = default;
    virtual Task<Result<std::uint64_t>> size() = 0;
    /// At most `length` bytes; fewer as it pleases, none at the end and beyond.
    virtual Task<Result<std::string>> read(std::uint64_t offset, std::size_t length) = 0;
};

/// What is wanted of a file.
struct LineQuery {
    enum class From { begin, end, offset };
    From from = From::begin;
    std::uint64_t offset = 0;
    std::int64_t skip = 0;    ///< lines; negative: back from there
    std::uint64_t limit = 0;  ///< lines; 0: all
    bool resumed = false;     ///< `offset` is one that an earlier answer gave as its last
};

/// The parameters of a request; null: not given. With a Last-Event-ID the others are not looked at. Without a
/// cursor a negative skip counts from the end. Errc::invalid_argument with a sentence.
Result<LineQuery> parse_line_query(const std::string* cursor, const std::string* skip,
                                   const std::string* limit, const std::string* last_event_id);

struct LineLimits {
    std::size_t block = 64U * 1024;     ///< bytes read at once; an agent gives no more than 64 KiB
    std::size_t longest = 256U * 1024;  ///< of a piece; longer lines come in several
    /// How far back lines are looked for: what lies farther is found faster by its offset.
    std::uint64_t farthest_back = 1ULL << 30U;
    /// A last line without newline that does not grow for so long is told as far as it is (a prompt).
    std::chrono::milliseconds partial_after{2'000};
};

/// A line or a part of one. The text lives as long as the call.
struct Piece {
    std::string_view text;
    std::uint64_t offset = 0;  ///< of its first byte
    std::uint64_t after = 0;   ///< behind it and its newline: where to go on
    bool continued = false;    ///< its line began in the piece before
    bool continues = false;    ///< its line goes on in the next piece
};
/// False: enough.
using OnPiece = std::function<bool(const Piece&)>;

/// Cuts bytes that come in any portions into lines. The empty end of a line that was told in part is told.
class LineSplitter {
public:
    LineSplitter(std::uint64_t offset, std::size_t longest);

    /// False: `on_piece` had enough; what follows must not be fed.
    bool feed(std::string_view bytes, const OnPiece& on_piece);
    /// Tells what is held of a line without newline. `continues`: the line is not known to be over.
    bool flush(bool continues, const OnPiece& on_piece);
    [[nodiscard]] bool holds() const noexcept { return !held_.empty(); }
    /// Of the next byte to feed.
    [[nodiscard]] std::uint64_t position() const noexcept { return at_ + held_.size(); }

private:
    bool tell(std::string_view text, bool newline, bool continues, const OnPiece& on_piece);
    bool cut(std::string_view& part, const OnPiece& on_piece);

    std::uint64_t at_;  // of the first byte that was not told
    std::size_t longest_;
    std::string held_;  // the beginning of a line, at most longest_ bytes
    bool continued_ = false;
};

/// Counts lines backwards.
class BackwardLines {
public:
    /// `end`: where the bytes to come end. `count`: lines, at least 1.
    BackwardLines(std::uint64_t end, std::uint64_t count) : begin_{end}, missing_{count} {}

    /// The bytes before those that were fed last. True: no more are needed.
    bool feed(std::string_view bytes);
    /// Where the line begins; 0 when there are fewer.
    [[nodiscard]] std::uint64_t start() const noexcept { return missing_ == 0 ? start_ : 0; }
    /// Where the bytes that were fed begin.
    [[nodiscard]] std::uint64_t begin() const noexcept { return begin_; }

private:
    std::uint64_t begin_;
    std::uint64_t missing_;
    std::uint64_t start_ = 0;
    bool in_line_ = false;
};

/// Reads a window of a file once, or follows it. Loop thread only; one call at a time.
class LineReader {
public:
    /// What a step found.
    enum class Step {
        read,     ///< bytes
        at_end,   ///< nothing new; wait before the next step
        rotated,  ///< the file is another one or was cut: what follows is its beginning
        done,     ///< the limit was reached
    };

    /// The sources outlive it. `previous`: where the file goes when it is exchanged ("stdout.1"); null:
    /// nowhere.
    LineReader(ByteSource& source, LineLimits limits, ByteSource* previous = nullptr);

    /// Finds the place. Errors: those of the source; invalid_argument when it lies too far back.
    Task<Result<>> start(LineQuery query);
    /// Reads one block of what was there at the start; at its end a line without newline is one.
    Task<Result<Step>> next(const OnPiece& on_piece);
    /// Reads one block of what is there now.
    Task<Result<Step>> follow(Monotonic now, const OnPiece& on_piece);
    /// Where the next byte is read.
    [[nodiscard]] std::uint64_t position() const noexcept { return splitter_.position(); }

private:
    Task<Result<std::uint64_t>> find_back(std::uint64_t end, std::uint64_t count);
    Task<Result<bool>> read_block(bool verify, const OnPiece& on_piece);
    bool count(const Piece& piece, const OnPiece& on_piece);
    void remember(std::string_view bytes);
    void feed(std::string_view news, const OnPiece& on_piece);
    Task<Step> leave_file(const OnPiece& on_piece);
    Task<Step> read_previous(const OnPiece& on_piece);
    Step begin_anew(const OnPiece& on_piece);

    ByteSource& source_;
    ByteSource* previous_;
    LineLimits limits_;
    LineSplitter splitter_;
    std::uint64_t size_ = 0;  // of the file when it was asked last
    std::uint64_t skip_ = 0;  // lines
    std::optional<std::uint64_t> left_;
    bool in_previous_ = false;  // what the file was is read to its end
    bool shrunk_ = false;       // it was shorter than the place where somebody left off
    std::string tail_;          // the last bytes before position()
    std::optional<Monotonic> held_since_;
};

}  // namespace opsd::logs
