// Many members in one process, for the figures of a node that watches them: each has its own loopback
// address, 38 units of which one is bad, and holds its answers as opsd does. A share of them is silent
// (accepts and never answers), deaf (does not even accept), flaps, or speaks as the DC/OS program does.
//
//   member_stub --port 1051 --members 1000 [--units 38] [--silent 0.1] [--deaf 0] [--flapping 0] [--flap-ms
//   1000]
//               [--dcos 0] [--list]
//
// --list prints the addresses and ends. Everything else: one line "ready" on standard output, then it serves
// until it is killed.

#include <fmt/format.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Settings {
    std::uint16_t port = 1051;
    std::size_t members = 1000;
    std::size_t units = 38;
    double silent = 0;
    double deaf = 0;
    double flapping = 0;
    double dcos = 0;
    int flap_ms = 1000;
    bool list = false;
};

std::uint32_t address_of(std::size_t index)
{
    const auto i = static_cast<std::uint32_t>(index);
    return (127U << 24U) | ((16U + i / 62'500U) << 16U) | ((i / 250U % 250U) << 8U) | (i % 250U + 1U);
}

std::string text_of(std::uint32_t address)
{
    return fmt::format("{}.{}.{}.{}", address >> 24U, address >> 16U & 255U, address >> 8U & 255U,
                       address & 255U);
}

std::string now_text()
{
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    std::tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1'000'000);
}

enum class Kind { well, silent, deaf, flapping, dcos };

struct Change {
    std::string at;
    bool failed = false;
};

struct Member {
    Kind kind = Kind::well;
    std::uint64_t version = 1;
    bool failed = false;  // the unit that flaps
    std::string since = "2026-01-01T00:00:00.000Z";
    std::vector<Change> changes;  // version - 2 is the index
    std::set<int> waiting;        // connections
};

struct Connection {
    std::size_t member = 0;
    std::string in;
    std::string out;
    bool waits = false;
    bool partial = false;
    Clock::time_point until;
};

class Stub {
public:
    explicit Stub(Settings settings) : settings_{settings}, members_(settings.members)
    {
        // Spread over the list, the same ones each time.
        const auto mark = [this](double share, Kind kind, std::size_t offset) {
            if (share <= 0) return;
            for (std::size_t i = 0; i < members_.size(); ++i) {
                const auto x = i + offset;
                const bool hit = static_cast<std::size_t>(static_cast<double>(x + 1) * share)
                                 > static_cast<std::size_t>(static_cast<double>(x) * share);
                if (hit && members_[i].kind == Kind::well) members_[i].kind = kind;
            }
        };
        mark(settings.silent, Kind::silent, 0);
        mark(settings.deaf, Kind::deaf, 3);
        mark(settings.flapping, Kind::flapping, 5);
        mark(settings.dcos, Kind::dcos, 7);
        for (std::size_t i = 2; i < settings.units; ++i)
            healthy_ += unit(fmt::format("dcos-unit-{:02}.service", i), 0, "running", "it runs", "", i) + ",";
        bad_ = unit("dcos-unit-00.service", 1, "failed", "it exited with status 1",
                    "it exited with status 1\\nNov 27 10:00:00 node unit[4711]: cannot open the door\\n", 0);
    }

    int run()
    {
        poll_ = ::epoll_create1(EPOLL_CLOEXEC);
        listener_ = listen_on(INADDR_ANY, 4096);
        if (listener_ < 0) return 1;
        watch(listener_, EPOLLIN, EPOLL_CTL_ADD);
        for (std::size_t i = 0; i < members_.size(); ++i)
            if (members_[i].kind == Kind::deaf && listen_on(address_of(i), 0) < 0) return 1;
        std::puts("ready");
        std::fflush(stdout);
        auto next_flap = Clock::now() + std::chrono::milliseconds{settings_.flap_ms};
        for (;;) {
            std::array<epoll_event, 512> events{};
            const int count = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), 50);
            for (int i = 0; i < count; ++i)
                handle(events.at(static_cast<std::size_t>(i)));
            const auto now = Clock::now();
            while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
                const int fd = deadlines_.begin()->second;
                deadlines_.erase(deadlines_.begin());
                give_up(fd, now);
            }
            if (settings_.flapping > 0 && now >= next_flap) {
                flap();
                next_flap += std::chrono::milliseconds{settings_.flap_ms};
            }
        }
    }

private:
    static std::string unit(const std::string& id, int health, std::string_view state,
                            std::string_view reason, std::string_view output, std::size_t n,
                            std::string_view since = "2026-01-01T00:00:00.000Z")
    {
        return fmt::format(
            R"({{"id":"{}","health":{},"output":"{}","description":"Unit number {} of a node","help":"",)"
            R"("name":"Unit {}","state":"{}","reason":"{}","since":"{}","restarts_in_window":0,)"
            R"("acknowledged":null}})",
            id, health, output, n, n, state, reason, since);
    }

    int listen_on(std::uint32_t address, int backlog) const
    {
        const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        const int yes = 1;
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
        ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &yes, sizeof yes);
        sockaddr_in where{};
        where.sin_family = AF_INET;
        where.sin_port = htons(settings_.port);
        where.sin_addr.s_addr = htonl(address);
        if (::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0
            || ::listen(fd, backlog) != 0) {
            std::perror("member_stub: cannot listen");
            return -1;
        }
        return fd;
    }

    void watch(int fd, std::uint32_t events, int how) const
    {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        ::epoll_ctl(poll_, how, fd, &event);
    }

    void handle(const epoll_event& event)
    {
        if (event.data.fd == listener_) return accept_all();
        const auto at = connections_.find(event.data.fd);
        if (at == connections_.end()) return;
        if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) return drop(event.data.fd);
        if ((event.events & EPOLLIN) != 0 && !read(event.data.fd, at->second)) return;
        if ((event.events & EPOLLOUT) != 0) flush(event.data.fd, at->second);
    }

    void accept_all()
    {
        for (;;) {
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (fd < 0) return;
            sockaddr_in own{};
            socklen_t size = sizeof own;
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size);
            const auto address = ntohl(own.sin_addr.s_addr);
            const auto index = ((address >> 16U & 255U) - 16U) * 62'500U + (address >> 8U & 255U) * 250U
                               + (address & 255U) - 1U;
            if (index >= members_.size()) {
                ::close(fd);
                continue;
            }
            const int yes = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            connections_[fd].member = index;
            watch(fd, EPOLLIN, EPOLL_CTL_ADD);
        }
    }

    bool read(int fd, Connection& connection)
    {
        std::array<char, 4096> chunk{};
        const auto count = ::recv(fd, chunk.data(), chunk.size(), 0);
        if (count == 0 || (count < 0 && errno != EAGAIN)) {
            drop(fd);
            return false;
        }
        if (count > 0) connection.in.append(chunk.data(), static_cast<std::size_t>(count));
        if (members_[connection.member].kind == Kind::silent) {
            connection.in.clear();
            return true;
        }
        for (auto end = connection.in.find("\r\n\r\n"); end != std::string::npos && !connection.waits;
             end = connection.in.find("\r\n\r\n")) {
            const auto head = connection.in.substr(0, end + 2);
            connection.in.erase(0, end + 4);
            serve(fd, connection, head);
        }
        return true;
    }

    static std::string header(const std::string& head, std::string_view name)
    {
        const auto at = head.find(name);
        if (at == std::string::npos) return {};
        const auto begin = at + name.size();
        return head.substr(begin, head.find("\r\n", begin) - begin);
    }

    [[nodiscard]] std::string etag(std::size_t index) const
    {
        return fmt::format("\"stub{:06}.{}\"", index, members_[index].version);
    }

    void serve(int fd, Connection& connection, const std::string& head)
    {
        const auto& member = members_[connection.member];
        const auto target = head.substr(4, head.find(' ', 4) - 4);
        if (target.starts_with("/system/health/v1"))
            return answer(fd, connection, document(connection.member, 0), "");
        if (member.kind == Kind::dcos)
            return respond(fd, connection, "404 Not Found", "", "404 page not found\n");
        if (target.starts_with("/api/v1/node/history")) {
            const auto after = target.find("after=");
            return respond(
                fd, connection, "200 OK", "",
                history(connection.member, std::strtoull(target.c_str() + after + 6, nullptr, 10)));
        }
        const auto held = header(head, "If-None-Match: ");
        connection.partial = target.ends_with("?partial");
        const auto prefer = header(head, "Prefer: wait=");
        const bool current = held == etag(connection.member);
        if (current && !prefer.empty()) {
            connection.waits = true;
            connection.until = Clock::now() + std::chrono::seconds{std::strtol(prefer.c_str(), nullptr, 10)};
            deadlines_.emplace(connection.until, fd);
            members_[connection.member].waiting.insert(fd);
            return;
        }
        const auto applied = prefer.empty() ? "" : "Preference-Applied: wait\r\n";
        if (current) return respond(fd, connection, "304 Not Modified", applied, "");
        std::uint64_t base = 0;
        const auto dot = held.rfind('.');
        if (connection.partial && dot != std::string::npos
            && held.starts_with(fmt::format("\"stub{:06}.", connection.member)))
            base = std::strtoull(held.c_str() + dot + 1, nullptr, 10);
        answer(fd, connection, document(connection.member, base), applied);
    }

    void answer(int fd, Connection& connection, const std::string& body, std::string_view more)
    {
        respond(fd, connection, "200 OK", more, body);
    }

    void respond(int fd, Connection& connection, std::string_view status, std::string_view more,
                 std::string_view body)
    {
        connection.out += fmt::format("HTTP/1.1 {}\r\nContent-Type: application/json\r\nETag: {}\r\n{}",
                                      status, etag(connection.member), more);
        if (!status.starts_with("304")) connection.out += fmt::format("Content-Length: {}\r\n", body.size());
        connection.out += "\r\n";
        connection.out += body;
        flush(fd, connection);
    }

    void flush(int fd, Connection& connection)
    {
        while (!connection.out.empty()) {
            const auto count = ::send(fd, connection.out.data(), connection.out.size(), MSG_NOSIGNAL);
            if (count < 0) {
                if (errno == EAGAIN) return watch(fd, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
                return;  // its end is noticed by the next event
            }
            connection.out.erase(0, static_cast<std::size_t>(count));
        }
        if (connection.out.capacity() > 1024) connection.out.shrink_to_fit();
        watch(fd, EPOLLIN, EPOLL_CTL_MOD);
    }

    [[nodiscard]] std::string document(std::size_t index, std::uint64_t base) const
    {
        const auto& member = members_[index];
        std::string out = R"({"units":[)";
        if (base == 0) out += bad_ + "," + healthy_;
        out += member.failed
                   ? unit("dcos-unit-01.service", 1, "failed", "it flaps", "it flaps", 1, member.since)
                   : unit("dcos-unit-01.service", 0, "running", "it runs", "", 1, member.since);
        const auto ip = text_of(address_of(index));
        out += fmt::format(R"(],"hostname":"node-{:05}","ip":"{}","dcos_version":"","node_role":"agent",)"
                           R"("mesos_id":"stub-S{}","dcos_diagnostics_version":"0.4.0")",
                           index, ip, index);
        if (member.kind == Kind::dcos) return out + "}\n";
        out += fmt::format(
            R"(,"node":{{"id":"machine-{:06}","instance":"stub{:06}","version":{},"base":{},)"
            R"("removed":[],"opsd_version":"0.1.0","health":1,"reason":"dcos-unit-00.service failed",)"
            R"("systemd_readable":true,"time":"{}","last_transition":{}}}}})"
            "\n",
            index, index, member.version, base, now_text(), member.changes.size());
        return out;
    }

    [[nodiscard]] std::string history(std::size_t index, std::uint64_t after) const
    {
        const auto& changes = members_[index].changes;
        std::string out = R"({"transitions":[)";
        auto id = after;
        for (; id < changes.size() && id < after + 500; ++id) {
            const auto& change = changes[id];
            const auto from = change.failed ? "running" : "failed";
            const auto to = change.failed ? "failed" : "running";
            out +=
                fmt::format(R"({}{{"id":{},"unit":"dcos-unit-01.service","at":"{}","last_at":"{}","count":1,)"
                            R"("from":"{}","to":"{}","from_health":{},"to_health":{},"reason":"it flaps"}})",
                            id == after ? "" : ",", id + 1, change.at, change.at, from, to,
                            change.failed ? 0 : 1, change.failed ? 1 : 0);
        }
        return out + fmt::format(R"(],"last_id":{},"more":{}}})", id, id < changes.size());
    }

    void end_wait(int fd, Connection& connection)
    {
        connection.waits = false;
        members_[connection.member].waiting.erase(fd);
        const auto [begin, end] = deadlines_.equal_range(connection.until);
        for (auto at = begin; at != end; ++at) {
            if (at->second != fd) continue;
            deadlines_.erase(at);
            break;
        }
    }

    void give_up(int fd, Clock::time_point now)
    {
        const auto at = connections_.find(fd);
        if (at == connections_.end() || !at->second.waits || at->second.until > now) return;
        at->second.waits = false;
        members_[at->second.member].waiting.erase(fd);
        respond(fd, at->second, "304 Not Modified", "Preference-Applied: wait\r\n", "");
    }

    void flap()
    {
        for (std::size_t i = 0; i < members_.size(); ++i) {
            auto& member = members_[i];
            if (member.kind != Kind::flapping) continue;
            const auto old = member.version++;
            member.failed = !member.failed;
            member.since = now_text();
            member.changes.push_back({member.since, member.failed});
            const auto waiting = member.waiting;
            for (const int fd : waiting) {
                auto& connection = connections_.at(fd);
                end_wait(fd, connection);
                answer(fd, connection, document(i, connection.partial ? old : 0),
                       "Preference-Applied: wait\r\n");
            }
        }
    }

    void drop(int fd)
    {
        const auto at = connections_.find(fd);
        if (at->second.waits) end_wait(fd, at->second);
        connections_.erase(at);
        ::close(fd);
    }

    Settings settings_;
    std::vector<Member> members_;
    std::string healthy_;
    std::string bad_;
    int poll_ = -1;
    int listener_ = -1;
    std::unordered_map<int, Connection> connections_;
    std::multimap<Clock::time_point, int> deadlines_;
};

Settings parse(int count, char** words)
{
    Settings s;
    for (int i = 1; i < count; ++i) {
        const std::string_view name = words[i];
        if (name == "--list") {
            s.list = true;
            continue;
        }
        const char* value = i + 1 < count ? words[++i] : "0";
        if (name == "--port") s.port = static_cast<std::uint16_t>(std::atoi(value));
        if (name == "--members") s.members = static_cast<std::size_t>(std::atoi(value));
        if (name == "--units") s.units = static_cast<std::size_t>(std::atoi(value));
        if (name == "--silent") s.silent = std::atof(value);
        if (name == "--deaf") s.deaf = std::atof(value);
        if (name == "--flapping") s.flapping = std::atof(value);
        if (name == "--flap-ms") s.flap_ms = std::atoi(value);
        if (name == "--dcos") s.dcos = std::atof(value);
    }
    return s;
}

}  // namespace

int main(int count, char** words)
{
    const auto settings = parse(count, words);
    if (settings.list) {
        for (std::size_t i = 0; i < settings.members; ++i)
            std::puts(text_of(address_of(i)).c_str());
        return 0;
    }
    return Stub{settings}.run();
}
