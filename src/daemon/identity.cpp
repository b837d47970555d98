#include "daemon/identity.hpp"

#include "io/process/process.hpp"

#include <boost/asio/ip/address.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

namespace opsd::daemon {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

std::string system_hostname()
{
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string{name.data()} : std::string{};
}

std::string detected_role(const std::string& root)
{
    static constexpr std::pair<const char*, const char*> files[] = {
        {"master", "master"}, {"slave_public", "agent_public"}, {"slave", "agent"}};
    for (const auto& [file, role] : files) {
        std::error_code ec;
        if (fs::exists(root + "/etc/mesosphere/roles/" + file, ec)) return role;
    }
    return {};
}

Task<std::string> run_ip_detect(const NodeOptions& options, const Log& log)
{
    ProcessSpec spec{options.ip_detect};
    spec.timeout = options.ip_detect_timeout;
    spec.max_output = 4096;
    const auto result = co_await run_process(std::move(spec));
    if (!result) {
        log.warning("cannot find this node's address: {}; trying again", result.error().message);
        co_return std::string{};
    }
    auto text = result->output;
    text.erase(text.find_last_not_of(" \r\n\t") + 1);
    error_code ec;
    const auto address = asio::ip::make_address(text, ec);
    if (result->exit_code != 0 || ec) {
        log.warning(
            "cannot use what {} printed as this node's address: exit status {}, output \"{}\"; trying again",
            options.ip_detect.front(), result->exit_code, text.substr(0, 200));
        co_return std::string{};
    }
    co_return address.to_string();
}

}  // namespace

NodeIdentity identity_at_start(const NodeOptions& options, const std::string& root)
{
    NodeIdentity identity;
    identity.hostname = options.hostname.empty() ? system_hostname() : options.hostname;
    identity.ip = options.ip;
    identity.role = options.role == "auto" ? detected_role(root) : options.role;
    identity.mesos_id = options.mesos_id;
    identity.dcos_version = options.dcos_version;
    if (identity.dcos_version.empty()) {
        if (const char* version = std::getenv("DCOS_VERSION")) identity.dcos_version = version;
    }
    return identity;
}

std::string address_of_default_route()
{
    // Connecting a datagram socket chooses the source address and sends nothing. 192.0.2.1 is TEST-NET-1.
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return {};
    sockaddr_in far{};
    far.sin_family = AF_INET;
    far.sin_port = htons(9);
    far.sin_addr.s_addr = htonl(0xC0000201);
    sockaddr_in own{};
    socklen_t size = sizeof own;
    std::array<char, INET_ADDRSTRLEN> text{};
    const bool known = ::connect(fd, reinterpret_cast<const sockaddr*>(&far), sizeof far) == 0
                       && ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) == 0
                       && ::inet_ntop(AF_INET, &own.sin_addr, text.data(), text.size()) != nullptr;
    ::close(fd);
    return known ? std::string{text.data()} : std::string{};
}

std::string agent_id(const std::string& work_dir)
{
    std::error_code ec;
    const auto target = fs::read_symlink(work_dir + "/meta/slaves/latest", ec);
    return ec ? std::string{} : target.filename().string();
}

Task<> keep_identity(NodeOptions options, Board& board, Clock& clock, Log log)
{
    auto identity = identity_at_start(options);
    if (identity.ip.empty() && options.ip_detect.empty()) identity.ip = address_of_default_route();
    const bool is_agent = identity.role == "agent" || identity.role == "agent_public";
    if (identity.mesos_id.empty() && is_agent) identity.mesos_id = agent_id(options.mesos_work_dir);
    board.identity.publish(identity, clock.now());

    constexpr std::chrono::milliseconds longest = 15s;  // an agent may come back under another Mesos id
    std::chrono::milliseconds pause = 1s;
    for (;;) {
        auto now = identity;
        if (options.ip.empty() && !options.ip_detect.empty() && now.ip.empty())
            now.ip = co_await run_ip_detect(options, log);
        if (options.ip.empty() && options.ip_detect.empty()) now.ip = address_of_default_route();
        if (options.mesos_id.empty() && is_agent) now.mesos_id = agent_id(options.mesos_work_dir);
        // All masters show the id of the leader (spec health 5.1).
        if (options.mesos_id.empty() && now.role == "master" && board.mesos_id.get())
            now.mesos_id = board.mesos_id.get()->value;
        if (now != identity) {
            identity = now;
            log.info("this node is {} {} {}", identity.hostname, identity.ip, identity.mesos_id);
            board.identity.publish(identity, clock.now());
        }
        co_await clock.sleep_for(pause);
        pause = std::min(pause * 2, longest);
    }
}

}  // namespace opsd::daemon
