#pragma once
// ZooKeeper's bytes written by hand, without the code that is tested.

#include <cstdint>
#include <string>
#include <string_view>

namespace opsd::test::wire {

/// "00 00 00 2d ff" as bytes; spaces are for the reader.
inline std::string hex(std::string_view text)
{
    std::string bytes;
    std::string digits;
    for (const char c : text) {
        if (c == ' ' || c == '\n') continue;
        digits.push_back(c);
        if (digits.size() < 2) continue;
        bytes.push_back(static_cast<char>(std::stoi(digits, nullptr, 16)));
        digits.clear();
    }
    return bytes;
}

inline std::string be(std::uint64_t value, int size)
{
    std::string bytes;
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<char>(value >> shift & 0xffU));
    return bytes;
}
inline std::string i32(std::int32_t value) { return be(static_cast<std::uint32_t>(value), 4); }
inline std::string i64(std::int64_t value) { return be(static_cast<std::uint64_t>(value), 8); }
inline std::string text(std::string_view value)
{
    return i32(static_cast<std::int32_t>(value.size())) + std::string{value};
}
inline std::string frame(const std::string& record)
{
    return i32(static_cast<std::int32_t>(record.size())) + record;
}

/// The server's answer to a connection.
inline std::string session(std::int64_t id, std::int32_t timeout_ms,
                           std::string_view password = "0123456789abcdef")
{
    return frame(i32(0) + i32(timeout_ms) + i64(id) + text(password) + std::string(1, '\0'));
}
inline std::string expired() { return session(0, 0, std::string(16, '\0')); }
inline std::string reply(std::int32_t xid, std::int64_t zxid, std::int32_t error,
                         const std::string& record = {})
{
    return frame(i32(xid) + i64(zxid) + i32(error) + record);
}
inline std::string event(std::int32_t type, std::string_view path)
{
    return reply(-1, -1, 0, i32(type) + i32(3) + text(path));
}
/// A node's status: created and changed in transaction 5, version 2, 3 bytes of data, 4 children.
inline std::string stat()
{
    return i64(5) + i64(6) + i64(1'700'000'000'000) + i64(1'700'000'000'001) + i32(2) + i32(7) + i32(1)
           + i64(0) + i32(3) + i32(4) + i64(9);
}

}  // namespace opsd::test::wire
