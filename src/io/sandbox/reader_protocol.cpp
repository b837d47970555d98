#include "io/sandbox/reader_protocol.hpp"

#include "io/sandbox/beneath.hpp"
#include "io/sandbox/checkpoints.hpp"

#include <climits>
#include <cstring>

namespace opsd::sandbox {
namespace {

constexpr std::size_t id_bytes = sizeof(std::uint64_t);
constexpr unsigned last_code = static_cast<unsigned>(Errc::internal);

void append_id(std::string& packet, std::uint64_t id)
{
    char bytes[id_bytes];
    std::memcpy(bytes, &id, id_bytes);
    packet.append(bytes, id_bytes);
}

std::uint64_t id_at(std::string_view packet, std::size_t at)
{
    std::uint64_t id = 0;
    std::memcpy(&id, packet.data() + at, id_bytes);
    return id;
}

bool good_folder(std::string_view path)
{
    return path.starts_with('/') && path.size() < PATH_MAX && path.find('\0') == std::string_view::npos;
}

}  // namespace

std::string to_packet(const Request& request)
{
    std::string packet{static_cast<char>(request.kind)};
    append_id(packet, request.id);
    return packet + request.path;
}

std::string to_packet(const Reply& reply)
{
    std::string packet;
    append_id(packet, reply.id);
    packet.push_back(reply.error ? static_cast<char>(1 + static_cast<unsigned>(reply.error->code)) : '\0');
    if (reply.error) packet.append(reply.error->message, 0, max_sentence);
    return packet;
}

std::optional<Request> parse_request(std::string_view packet)
{
    if (packet.size() < 1 + id_bytes || packet.size() > max_packet) return {};
    Request request{Request::Kind{packet[0]}, id_at(packet, 1), std::string{packet.substr(1 + id_bytes)}};
    switch (request.kind) {
    case Request::Kind::folder:
        if (!good_folder(request.path)) return {};
        return request;
    case Request::Kind::open:
        if (!request.path.empty() && !well_formed(request.path)) return {};
        return request;
    case Request::Kind::checkpoint:
        if (!well_formed(request.path) || !is_checkpoint(request.path)) return {};
        return request;
    }
    return {};
}

std::optional<Reply> parse_reply(std::string_view packet)
{
    if (packet.size() < id_bytes + 1 || packet.size() > max_packet) return {};
    const auto code = static_cast<unsigned char>(packet[id_bytes]);
    const auto sentence = packet.substr(id_bytes + 1);
    if (code > 1 + last_code || (code == 0) != sentence.empty()) return {};
    Reply reply{id_at(packet, 0), {}};
    if (code != 0) reply.error = Error{static_cast<Errc>(code - 1), std::string{sentence}};
    return reply;
}

}  // namespace opsd::sandbox
