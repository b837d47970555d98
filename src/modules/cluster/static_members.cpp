#include "modules/cluster/static_members.hpp"

#include "io/net/socket.hpp"

#include <fmt/format.h>

#include <charconv>

namespace opsd::cluster {
namespace {

std::unexpected<Error> refuse(const std::string& entry)
{
    return fail(
        Errc::invalid_argument,
        fmt::format("cannot use cluster.members: \"{}\" is no address; write 10.0.0.2, 10.0.0.2:1051 or "
                    "[fd00::2]:1051",
                    entry));
}

Result<FoundMember> parse_member(const std::string& entry)
{
    FoundMember member;
    member.host = entry;
    std::string_view port;
    const auto colon = entry.rfind(':');
    if (entry.starts_with('[')) {
        const auto end = entry.find(']');
        if (end == std::string::npos) return refuse(entry);
        member.host = entry.substr(1, end - 1);
        if (end + 1 < entry.size() && entry[end + 1] != ':') return refuse(entry);
        if (end + 1 < entry.size()) port = std::string_view{entry}.substr(end + 2);
        if (end + 2 == entry.size()) return refuse(entry);
    } else if (colon != std::string::npos && entry.find(':') == colon) {
        member.host = entry.substr(0, colon);
        port = std::string_view{entry}.substr(colon + 1);
        if (port.empty()) return refuse(entry);
    }
    if (!port.empty()) {
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), member.port);
        if (error != std::errc{} || end != port.data() + port.size() || member.port == 0)
            return refuse(entry);
    }
    const auto endpoint = net::ip_endpoint(member.host, 1);
    if (!endpoint) return refuse(entry);
    return member;
}

class StaticMembers final : public Source {
public:
    StaticMembers(std::vector<FoundMember> members, const Executor& executor)
      : members_{std::move(members)}
      , end_{executor, never}
    {}
    [[nodiscard]] std::string name() const override { return "static"; }
    Task<> run(SourceCallbacks report) override
    {
        report.found(name(), members_);
        for (;;)
            co_await wait_event(end_);
    }

private:
    std::vector<FoundMember> members_;
    asio::steady_timer end_;
};

}  // namespace

Result<std::vector<FoundMember>> parse_members(const std::vector<std::string>& addresses)
{
    std::vector<FoundMember> members;
    for (const auto& address : addresses) {
        auto member = parse_member(address);
        if (!member) return fail(std::move(member).error());
        members.push_back(std::move(*member));
    }
    return members;
}

std::unique_ptr<Source> static_members(std::vector<FoundMember> members, const Executor& executor)
{
    return std::make_unique<StaticMembers>(std::move(members), executor);
}

}  // namespace opsd::cluster
