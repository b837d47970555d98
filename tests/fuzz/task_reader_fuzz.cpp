// What the daemon and the reader of task files say to each other, if one of them were somebody else's by now.

#include "io/sandbox/reader_protocol.hpp"

#include <cstdint>
#include <cstdlib>

using namespace opsd::sandbox;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string_view packet{reinterpret_cast<const char*>(data), size};
    if (const auto request = parse_request(packet)) {
        // What gets through says one thing only, and its path is one that cannot lead up or be cut by the
        // kernel.
        if (to_packet(*request) != packet) std::abort();
        const auto& path = request->path;
        if (path.size() >= 4096 || path.find('\0') != std::string::npos) std::abort();
        const bool folder = request->kind == Request::Kind::folder;
        const auto around = "/" + path + "/";
        if (folder != path.starts_with('/')) std::abort();
        if (!folder && around.find("/../") != std::string::npos) std::abort();
    }
    if (const auto reply = parse_reply(packet)) {
        if (!reply->error || reply->error->message.size() <= max_sentence) {
            if (to_packet(*reply) != packet) std::abort();
        }
    }
    return 0;
}
