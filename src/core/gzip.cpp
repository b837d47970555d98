#include "core/gzip.hpp"

#include <zlib.h>

namespace opsd {

std::string gzip(std::string_view plain, int level)
{
    z_stream stream{};
    constexpr int gzip_window = 15 + 16;  // 32 KiB window, gzip header
    if (deflateInit2(&stream, level, Z_DEFLATED, gzip_window, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
    std::string packed(deflateBound(&stream, plain.size()), '\0');
    // zlib's type is not const; deflate never writes to its input.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<uInt>(plain.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    const bool whole = deflate(&stream, Z_FINISH) == Z_STREAM_END;
    packed.resize(whole ? stream.total_out : 0);
    deflateEnd(&stream);
    packed.shrink_to_fit();
    return packed;
}

Result<std::string> gunzip(std::string_view packed, std::size_t limit)
{
    z_stream stream{};
    constexpr int gzip_window = 15 + 16;
    if (inflateInit2(&stream, gzip_window) != Z_OK)
        return fail(Errc::internal, "cannot unpack: zlib refuses to begin");
    std::string plain(limit, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream.avail_in = static_cast<uInt>(packed.size());
    stream.next_out = reinterpret_cast<Bytef*>(plain.data());
    stream.avail_out = static_cast<uInt>(plain.size());
    const int ended = inflate(&stream, Z_FINISH);
    plain.resize(stream.total_out);
    inflateEnd(&stream);
    if (ended == Z_STREAM_END) return plain;
    if (stream.avail_out == 0)
        return fail(Errc::invalid_argument,
                    "cannot unpack: it is larger than " + std::to_string(limit) + " bytes");
    return fail(Errc::protocol, "cannot unpack: it is no gzip file, or only the beginning of one");
}

std::uint32_t crc32(std::string_view bytes) noexcept
{
    return static_cast<std::uint32_t>(
        ::crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace opsd
