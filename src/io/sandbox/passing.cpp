#include "io/sandbox/passing.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace opsd::sandbox {
namespace {

/// Room for more descriptors than one: those that come uninvited are taken to be closed.
constexpr std::size_t room = 8;

/// All that came along are closed unless there is exactly one.
UniqueFd take(msghdr& message, std::size_t& count)
{
    UniqueFd only;
    for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        for (std::size_t at = 0; CMSG_LEN(at + sizeof(int)) <= part->cmsg_len; at += sizeof(int)) {
            int descriptor = -1;
            std::memcpy(&descriptor, CMSG_DATA(part) + at, sizeof descriptor);
            only = UniqueFd{descriptor};
            ++count;
        }
    }
    return count == 1 ? std::move(only) : UniqueFd{};
}

}  // namespace

Received receive(int socket, Packet& packet, std::size_t most)
{
    packet.bytes.assign(most, '\0');
    alignas(cmsghdr) char control[CMSG_SPACE(room * sizeof(int))];
    iovec bytes{packet.bytes.data(), most};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t size = -1;
    do {
        size = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    } while (size < 0 && errno == EINTR);
    if (size < 0) return errno == ECONNRESET ? Received::closed : Received::failed;
    std::size_t count = 0;
    packet.descriptor = take(message, count);
    packet.bytes.resize(static_cast<std::size_t>(size));
    if (count > 1 || (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) return Received::bad;
    // An empty packet reads as the end: neither side sends one.
    return size == 0 ? Received::closed : Received::packet;
}

bool send(int socket, std::string_view bytes, int descriptor)
{
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))]{};
    iovec out{const_cast<char*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &out;
    message.msg_iovlen = 1;
    if (descriptor >= 0) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        auto* part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(sizeof descriptor);
        std::memcpy(CMSG_DATA(part), &descriptor, sizeof descriptor);
    }
    ssize_t size = -1;
    do {
        size = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    } while (size < 0 && errno == EINTR);
    return size >= 0;
}

}  // namespace opsd::sandbox
