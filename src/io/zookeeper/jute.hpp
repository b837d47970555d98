#pragma once
// ZooKeeper's encoding, without I/O: big-endian integers, strings and vectors with a length in front, and
// frames of a length and a record. Nothing the other side sends is believed before it was counted.

#include "opsd/result.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::zookeeper::jute {

/// Builds one frame.
class Writer {
public:
    Writer() : bytes_(4, '\0') {}
    Writer& i32(std::int32_t value);
    Writer& i64(std::int64_t value);
    Writer& boolean(bool value);
    /// A string or a buffer: the length, then the bytes.
    Writer& string(std::string_view value);
    Writer& strings(std::span<const std::string> values);
    /// What another Writer encoded, as it is.
    Writer& raw(std::string_view encoded);
    /// Without the length in front: for raw().
    [[nodiscard]] std::string record() &&;
    [[nodiscard]] std::string frame() &&;

private:
    std::string bytes_;
};

/// Reads one record. After the first thing that does not fit everything reads as zero or empty, and ok() is
/// false: read all fields, then ask once. Bytes beyond the last field are left alone: newer servers append.
class Reader {
public:
    explicit Reader(std::string_view record) : rest_{record} {}
    std::int32_t i32();
    std::int64_t i64();
    bool boolean();
    /// A null string reads as nothing; it is not an empty one.
    std::optional<std::string_view> maybe_string();
    std::string_view string() { return maybe_string().value_or(std::string_view{}); }
    /// How many items follow (0 for a null vector); `smallest` bytes at least for each, else the record lies.
    std::size_t count(std::size_t smallest);
    std::vector<std::string> strings();
    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

private:
    std::string_view take(std::size_t size);
    std::uint64_t big_endian(std::size_t size);

    std::string_view rest_;
    bool ok_ = true;
};

/// Cuts a byte stream into frames. Holds at most one frame and what one read brought beyond it.
class Frames {
public:
    /// `max`: the longest frame in bytes.
    explicit Frames(std::size_t max) : max_{max} {}
    void feed(std::string_view bytes);
    /// The next whole record, valid until the next call; nothing while it is incomplete. Errc::protocol for a
    /// length that no server sends; the stream is useless then.
    Result<std::optional<std::string_view>> next();

private:
    std::size_t max_;
    std::size_t begin_ = 0;  // of what next() has not handed out
    std::string bytes_;
};

}  // namespace opsd::zookeeper::jute
