#include "io/sandbox/task_reader.hpp"

#include "io/sandbox/beneath.hpp"
#include "io/sandbox/capabilities.hpp"
#include "io/sandbox/checkpoints.hpp"
#include "io/sandbox/passing.hpp"
#include "io/sandbox/reader_protocol.hpp"

#include <fmt/format.h>

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

namespace opsd::sandbox {
namespace {

constexpr int socket_of_daemon = STDIN_FILENO;
constexpr int ended = 0;
constexpr int failed = 1;
constexpr int wrong_usage = 64;  // EX_USAGE
/// Descriptors on their way to a daemon that gave up waiting count, too.
constexpr rlim_t max_descriptors = 64;

constexpr std::string_view permit =
    "the reader of task files has the right to read files of others, and something else refuses: a network "
    "file system, FUSE, SELinux or AppArmor; permit it there, or read over the agent's files API";

/// The one line that it says.
int give_up(std::string_view why)
{
    fmt::print(stderr, "<3>opsd task-reader: cannot go on: {}\n", why);
    return failed;
}

bool is_ours(int socket)
{
    int domain = 0;
    int type = 0;
    socklen_t size = sizeof domain;
    const bool known = ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0
                       && ::getsockopt(socket, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
    return known && domain == AF_UNIX && type == SOCK_SEQPACKET;
}

bool limit(int resource, rlim_t most)
{
    const rlimit both{most, most};
    return ::setrlimit(static_cast<__rlimit_resource>(resource), &both) == 0;
}

/// From here on it can open files for reading, and do nothing else to anybody.
Result<> shut_itself_in()
{
    const auto cannot = [](std::string_view what) {
        return fail(Errc::internal, fmt::format("{}: {}", what, std::generic_category().message(errno)));
    };
    if (::close_range(STDERR_FILENO + 1, ~0U, 0) != 0) return cannot("close what was inherited");
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return cannot("PR_SET_NO_NEW_PRIVS");
    const auto kept = keep_only_reading();
    if (!kept) return fail(kept.error());
    // The daemon reads task files until it has stopped, and systemd signals all processes of the unit at
    // once: this one ends when the daemon has.
    for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE})
        std::signal(signal, SIG_IGN);
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return cannot("PR_SET_PDEATHSIG");
    if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return cannot("PR_SET_DUMPABLE");
    if (!limit(RLIMIT_CORE, 0) || !limit(RLIMIT_NPROC, 0) || !limit(RLIMIT_NOFILE, max_descriptors))
        return cannot("limit itself");
    return {};
}

bool answer(int socket, const std::string& folder, const Request& request)
{
    const bool checkpoint = request.kind == Request::Kind::checkpoint;
    auto opened = open_beneath(checkpoint ? checkpoints_beside(folder) : folder, request.path, permit);
    if (!opened) return send(socket, to_packet(Reply{request.id, std::move(opened).error()}));
    if (send(socket, to_packet(Reply{request.id, {}}), opened->get())) return true;
    if (errno != ETOOMANYREFS) return false;
    return send(socket, to_packet(Reply{request.id,
                                        Error{Errc::unavailable, "cannot open a file of a task: too many "
                                                                 "descriptors are on their way to opsd"}}));
}

}  // namespace

int answer_requests(int socket)
{
    std::string folder;
    Packet packet;
    for (;;) {
        const auto received = receive(socket, packet, max_packet);
        if (received == Received::closed) return ended;
        if (received == Received::failed) return give_up(std::generic_category().message(errno));
        const auto request = received == Received::packet && !packet.descriptor ? parse_request(packet.bytes)
                                                                                : std::optional<Request>{};
        if (!request) return give_up("a request is malformed");
        const bool first = folder.empty();
        if (first != (request->kind == Request::Kind::folder))
            return give_up(first ? "a file is asked for before the folder is known"
                                 : "the folder is fixed, and another one was sent");
        if (first)
            folder = request->path;
        else if (!answer(socket, folder, *request))
            return errno == EPIPE || errno == ECONNRESET ? ended
                                                         : give_up(std::generic_category().message(errno));
    }
}

int run_task_reader()
{
    if (!is_ours(socket_of_daemon)) {
        fmt::print(stderr, "opsd: task-reader is a part of the daemon, which starts it itself\n");
        return wrong_usage;
    }
    const auto shut = shut_itself_in();
    if (!shut) return give_up(shut.error().message);
    return answer_requests(socket_of_daemon);
}

}  // namespace opsd::sandbox
