// What can go wrong on the bus, in sentences.

#include "io/systemd/bus.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace opsd::systemd {
namespace {

struct Named {
    std::string_view name;
    Errc code;
    std::string_view advice;
};

constexpr std::string_view ask_policy = "; the bus policy or polkit refuses this to the user opsd runs as, "
                                        "see /etc/dbus-1/system.d and polkit's rules";
constexpr std::string_view ask_dbus = "; is dbus running and systemd answering on it?";

constexpr auto replies = std::to_array<Named>({
    {"org.freedesktop.DBus.Error.AccessDenied", Errc::denied, ask_policy},
    {"org.freedesktop.DBus.Error.AuthFailed", Errc::denied, ask_policy},
    {"org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", Errc::denied, ask_policy},
    {"org.freedesktop.DBus.Error.Timeout", Errc::timeout, ""},
    {"org.freedesktop.DBus.Error.TimedOut", Errc::timeout, ""},
    {"org.freedesktop.DBus.Error.NoReply", Errc::unavailable, ask_dbus},
    {"org.freedesktop.DBus.Error.Disconnected", Errc::unavailable, ask_dbus},
    {"org.freedesktop.DBus.Error.NoServer", Errc::unavailable, ask_dbus},
    {"org.freedesktop.DBus.Error.ServiceUnknown", Errc::unavailable, ask_dbus},
    {"org.freedesktop.DBus.Error.NameHasNoOwner", Errc::unavailable, ask_dbus},
    {"org.freedesktop.DBus.Error.LimitsExceeded", Errc::unavailable, "; lower the number of calls in flight"},
    {"org.freedesktop.DBus.Error.UnknownObject", Errc::not_found, ""},
    {"org.freedesktop.systemd1.NoSuchUnit", Errc::not_found, ""},
    {"org.freedesktop.DBus.Error.FileNotFound", Errc::not_found, ""},
    {"org.freedesktop.DBus.Error.InvalidArgs", Errc::invalid_argument, ""},
    {"org.freedesktop.DBus.Error.NoMemory", Errc::unavailable, "; systemd is out of memory, try again later"},
});

}  // namespace

Error Cause::when_asked_to(std::string_view what) const
{
    return {code, fmt::format("cannot {}: {}", what, text)};
}

Cause cause_of_errno(int error, std::string_view peer)
{
    switch (error) {
    case ENOENT:
    case ECONNREFUSED:
    case EAGAIN:
        return {Errc::unavailable,
                fmt::format("nothing answers for {} ({}); is it running?", peer, std::strerror(error))};
    case ENOTCONN:
    case ECONNRESET:
    case EPIPE:
    case ESHUTDOWN:
        return {Errc::unavailable, fmt::format("{} closed the connection; is it running?", peer)};
    case ETIMEDOUT:
        return {Errc::timeout,
                fmt::format("{} accepted the connection but does not answer; is it hanging?", peer)};
    case EACCES:
    case EPERM:
        return {Errc::denied,
                fmt::format("{} does not let this user in; run opsd as root or as a static system "
                            "user that the bus can look up",
                            peer)};
    case EBADMSG:
    case EPROTO:
    case EINVAL:
        return {Errc::protocol, fmt::format("{} sent what is not D-Bus ({})", peer, std::strerror(error))};
    case ENOBUFS:
        return {Errc::unavailable,
                fmt::format("too much is waiting to be sent to {}; try again later", peer)};
    default:
        return {Errc::internal,
                fmt::format("{}: {}; see opsd's limits on files and memory", peer, std::strerror(error))};
    }
}

Cause cause_of_reply(std::string_view name, std::string_view message)
{
    const auto known = std::ranges::find(replies, name, &Named::name);
    const auto text = message.empty() ? std::string{name} : fmt::format("{} ({})", message, name);
    if (known != replies.end()) return {known->code, text + std::string{known->advice}};
    return {Errc::protocol, text};
}

}  // namespace opsd::systemd
