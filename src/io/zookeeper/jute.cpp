#include "io/zookeeper/jute.hpp"

#include <fmt/core.h>

namespace opsd::zookeeper::jute {
namespace {

constexpr std::size_t length_size = 4;

void append(std::string& to, std::uint64_t value, std::size_t size)
{
    for (std::size_t i = size; i-- > 0;)
        to.push_back(static_cast<char>(value >> (8 * i)));
}

std::uint64_t from_big_endian(std::string_view bytes)
{
    std::uint64_t value = 0;
    for (const char c : bytes)
        value = value << 8U | static_cast<unsigned char>(c);
    return value;
}

}  // namespace

Writer& Writer::i32(std::int32_t value)
{
    append(bytes_, static_cast<std::uint32_t>(value), 4);
    return *this;
}

Writer& Writer::i64(std::int64_t value)
{
    append(bytes_, static_cast<std::uint64_t>(value), 8);
    return *this;
}

Writer& Writer::boolean(bool value)
{
    bytes_.push_back(value ? '\1' : '\0');
    return *this;
}

Writer& Writer::string(std::string_view value)
{
    i32(static_cast<std::int32_t>(value.size()));
    return raw(value);
}

Writer& Writer::strings(std::span<const std::string> values)
{
    i32(static_cast<std::int32_t>(values.size()));
    for (const auto& value : values)
        string(value);
    return *this;
}

Writer& Writer::raw(std::string_view encoded)
{
    bytes_.append(encoded);
    return *this;
}

std::string Writer::record() && { return bytes_.substr(length_size); }

std::string Writer::frame() &&
{
    std::string length;
    append(length, bytes_.size() - length_size, length_size);
    bytes_.replace(0, length_size, length);
    return std::move(bytes_);
}

std::string_view Reader::take(std::size_t size)
{
    ok_ = ok_ && size <= rest_.size();
    if (!ok_) return {};
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
}

std::uint64_t Reader::big_endian(std::size_t size) { return from_big_endian(take(size)); }

std::int32_t Reader::i32() { return static_cast<std::int32_t>(big_endian(4)); }
std::int64_t Reader::i64() { return static_cast<std::int64_t>(big_endian(8)); }
bool Reader::boolean() { return big_endian(1) != 0; }

std::optional<std::string_view> Reader::maybe_string()
{
    const auto size = i32();
    ok_ = ok_ && size >= -1;
    if (!ok_ || size == -1) return std::nullopt;
    const auto bytes = take(static_cast<std::size_t>(size));
    if (!ok_) return std::nullopt;
    return bytes;
}

std::size_t Reader::count(std::size_t smallest)
{
    const auto items = i32();
    if (items == -1) return 0;
    ok_ = ok_ && items >= 0 && static_cast<std::size_t>(items) <= rest_.size() / smallest;
    return ok_ ? static_cast<std::size_t>(items) : 0;
}

std::vector<std::string> Reader::strings()
{
    std::vector<std::string> all;
    const auto items = count(length_size);
    all.reserve(items);
    for (std::size_t i = 0; i < items && ok_; ++i)
        all.emplace_back(string());
    return all;
}

void Frames::feed(std::string_view bytes)
{
    bytes_.erase(0, begin_);
    begin_ = 0;
    bytes_.append(bytes);
}

Result<std::optional<std::string_view>> Frames::next()
{
    const auto rest = std::string_view{bytes_}.substr(begin_);
    if (rest.size() < length_size) return std::nullopt;
    const auto size = from_big_endian(rest.substr(0, length_size));
    if (size > INT32_MAX) {
        return fail(Errc::protocol, fmt::format("cannot take a packet of {} bytes: it is no ZooKeeper that "
                                                "speaks here, or a TLS port without TLS",
                                                static_cast<std::int32_t>(size)));
    }
    if (size > max_) {
        return fail(
            Errc::protocol,
            fmt::format("cannot take a packet of {} bytes: more than max_packet, {} bytes", size, max_));
    }
    if (rest.size() < length_size + size) return std::nullopt;
    begin_ += length_size + size;
    return rest.substr(length_size, size);
}

}  // namespace opsd::zookeeper::jute
