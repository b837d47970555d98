#include "core/gzip.hpp"

#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include <limits>
#include <memory>

namespace opsd {

namespace {

/// By ISA-L: as small as zlib's level 1 makes it, for much less work.
std::string pack_fast(std::string_view plain)
{
    constexpr std::size_t stored_block = 65'535;  // what cannot be packed is stored, with 5 bytes for a block
    const auto bound = plain.size() + 5 * (plain.size() / stored_block + 1) + 64;
    if (bound > std::numeric_limits<std::uint32_t>::max()) return {};
    const auto work = std::make_unique_for_overwrite<std::uint8_t[]>(ISAL_DEF_LVL1_DEFAULT);
    isal_zstream stream{};
    isal_deflate_stateless_init(&stream);
    stream.level = 1;
    stream.level_buf = work.get();
    stream.level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    stream.gzip_flag = IGZIP_GZIP;
    stream.end_of_stream = 1;
    // The library's type is not const; it never writes to its input.
    stream.next_in = reinterpret_cast<std::uint8_t*>(const_cast<char*>(plain.data()));
    stream.avail_in = static_cast<std::uint32_t>(plain.size());
    std::string packed;
    packed.resize_and_overwrite(bound, [&stream](char* to, std::size_t size) -> std::size_t {
        stream.next_out = reinterpret_cast<std::uint8_t*>(to);
        stream.avail_out = static_cast<std::uint32_t>(size);
        return isal_deflate_stateless(&stream) == COMP_OK ? stream.total_out : 0;
    });
    packed.shrink_to_fit();
    return packed;
}

}  // namespace

std::string gzip(std::string_view plain, int level)
{
    if (level == gzip_fast) return pack_fast(plain);
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
