#pragma once
// Real ZooKeeper servers on loopback ports, and a client that changes their tree: raw bytes on a blocking
// socket.

#include "temp_dir.hpp"
#include "zookeeper_wire.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace opsd::test {

/// A descriptor that closes itself.
class Socket {
public:
    Socket() : fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)} {}
    ~Socket() { ::close(fd_); }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] int fd() const { return fd_; }
    [[nodiscard]] bool connect(std::uint16_t port) const
    {
        const timeval limit{.tv_sec = 5, .tv_usec = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        const auto address = loopback(port);
        return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    }
    void send(const std::string& bytes) const { ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
    /// As many bytes as asked for; fewer at the end.
    [[nodiscard]] std::string receive(std::size_t size) const
    {
        std::string bytes(size, '\0');
        const auto count = ::recv(fd_, bytes.data(), size, MSG_WAITALL);
        bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
        return bytes;
    }
    static sockaddr_in loopback(std::uint16_t port)
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }

private:
    int fd_;
};

/// Ports that were free a moment ago, each different.
inline std::vector<std::uint16_t> free_ports(std::size_t count)
{
    std::vector<Socket> sockets(count);
    std::vector<std::uint16_t> ports;
    for (const auto& socket : sockets) {
        auto address = Socket::loopback(0);
        socklen_t size = sizeof address;
        ::bind(socket.fd(), reinterpret_cast<const sockaddr*>(&address), size);
        ::getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&address), &size);
        ports.push_back(ntohs(address.sin_port));
    }
    return ports;
}

/// Why no server can be run here; "" when it can.
inline std::string no_zookeeper_because()
{
    std::string missing;
    for (const auto* file : {"/usr/bin/java", "/usr/share/java/zookeeper.jar"}) {
        if (!std::filesystem::exists(file)) missing += std::string{" "} + file;
    }
    if (missing.empty()) return {};
    return "NOT TESTED AGAINST A REAL ZOOKEEPER: missing" + missing
           + " (packaging/dependencies.sh installs them)";
}

/// One server; stopped with the object. Its data stays when it is started again.
class ZooKeeper {
public:
    struct Options {
        std::uint16_t port = 0;
        std::uint16_t tls_port = 0;         ///< 0: none
        std::string pem;                    ///< key and certificate for TLS
        int id = 0;                         ///< of an ensemble
        std::vector<std::string> ensemble;  ///< "127.0.0.1:2888:3888" each
    };
    explicit ZooKeeper(Options options) : options_{std::move(options)} { configure(); }
    ~ZooKeeper() { kill(); }
    ZooKeeper(const ZooKeeper&) = delete;
    ZooKeeper& operator=(const ZooKeeper&) = delete;

    void start()
    {
        const std::string jars = "/usr/share/java/";
        std::string path = jars + "zookeeper.jar";
        for (const auto* jar : {"slf4j-simple", "commons-cli", "netty-codec", "netty-resolver"})
            path += ":" + jars + jar + ".jar";
        std::vector<std::string> command{"/usr/bin/java",           "-Xmx96m", "-XX:+UseSerialGC",
                                         "-XX:TieredStopAtLevel=1", "-cp",     path};
        if (options_.tls_port != 0) {
            command.emplace_back(
                "-Dzookeeper.serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory");
        }
        command.emplace_back("org.apache.zookeeper.server.quorum.QuorumPeerMain");
        command.push_back(folder_ / "zoo.cfg");
        std::vector<char*> arguments;
        for (auto& word : command)
            arguments.push_back(word.data());
        arguments.push_back(nullptr);
        const auto log = folder_ / "log";
        const auto parent = ::getpid();
        pid_ = ::fork();
        if (pid_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // it must not outlive a test that crashes
        const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        ::dup2(out, 1);
        ::dup2(out, 2);
        if (::getppid() == parent) ::execv(arguments[0], arguments.data());
        ::_exit(127);
    }
    /// At once, as a power cut would.
    void kill() { end(SIGKILL); }
    void pause() const { ::kill(pid_, SIGSTOP); }
    void resume() const { ::kill(pid_, SIGCONT); }

    /// The answer to a four-letter word; "" while nobody answers.
    [[nodiscard]] std::string word(const std::string& four_letters) const
    {
        const Socket socket;
        if (!socket.connect(options_.port)) return {};
        socket.send(four_letters);
        return socket.receive(1'024);
    }
    [[nodiscard]] bool serves() const { return word("srvr").find("Mode: ") != std::string::npos; }
    [[nodiscard]] bool leads() const { return word("srvr").find("Mode: leader") != std::string::npos; }
    /// Waits until it serves; throws with the end of its log.
    void wait_until_it_serves() const
    {
        for (int i = 0; i < 750; ++i) {
            if (serves()) return;
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        std::ifstream log{folder_ / "log"};
        const std::string text{std::istreambuf_iterator<char>{log}, {}};
        throw std::runtime_error{"ZooKeeper did not start: "
                                 + text.substr(text.size() - std::min<std::size_t>(text.size(), 2'000))};
    }
    [[nodiscard]] std::uint16_t port() const { return options_.port; }
    [[nodiscard]] std::uint16_t tls_port() const { return options_.tls_port; }
    [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(options_.port); }

private:
    void configure() const
    {
        const auto data = folder_ / "data";
        std::filesystem::create_directory(data);
        std::ofstream{data + "/myid"} << options_.id << "\n";
        std::ofstream file{folder_ / "zoo.cfg"};
        file << "tickTime=100\ninitLimit=100\nsyncLimit=15\ndataDir=" << data
             << "\nclientPort=" << options_.port
             << "\nclientPortAddress=127.0.0.1\nadmin.enableServer=false\n4lw.commands.whitelist=srvr\n"
                "maxClientCnxns=0\nsnapshot.trust.empty=true\n";
        if (options_.tls_port != 0) {
            file << "secureClientPort=" << options_.tls_port << "\nsecureClientPortAddress=127.0.0.1\n"
                 << "ssl.keyStore.location=" << options_.pem
                 << "\nssl.keyStore.type=PEM\nssl.clientAuth=none\n";
        }
        for (std::size_t i = 0; i < options_.ensemble.size(); ++i)
            file << "server." << i + 1 << "=" << options_.ensemble[i] << "\n";
    }
    void end(int signal)
    {
        if (pid_ <= 0) return;
        ::kill(pid_, signal);
        ::kill(pid_, SIGCONT);
        ::waitpid(pid_, nullptr, 0);
        pid_ = -1;
    }

    Options options_;
    TempDir folder_;
    pid_t pid_ = -1;
};

/// Somebody else who changes the tree.
class Editor {
public:
    explicit Editor(std::uint16_t port, const std::string& credentials = {})
    {
        if (!socket_.connect(port)) throw std::runtime_error{"no ZooKeeper to edit"};
        socket_.send(wire::frame(wire::i32(0) + wire::i64(0) + wire::i32(30'000) + wire::i64(0)
                                 + wire::text(std::string(16, '\0')) + std::string(1, '\0')));
        static_cast<void>(take_frame());
        if (credentials.empty()) return;
        socket_.send(wire::frame(wire::i32(-4) + wire::i32(100) + wire::i32(0) + wire::text("digest")
                                 + wire::text(credentials)));
        static_cast<void>(take_frame());
    }
    /// `scheme` "world": for anyone; "auth": for whoever has the credentials.
    void create(const std::string& path, const std::string& data, const std::string& scheme = "world")
    {
        constexpr std::int32_t everything = 31;
        const auto who = scheme == "world" ? "anyone" : "";
        request(1, wire::text(path) + wire::text(data) + wire::i32(1) + wire::i32(everything)
                       + wire::text(scheme) + wire::text(who) + wire::i32(0));
    }
    void set(const std::string& path, const std::string& data)
    {
        request(5, wire::text(path) + wire::text(data) + wire::i32(-1));
    }
    void remove(const std::string& path) { request(2, wire::text(path) + wire::i32(-1)); }

private:
    void request(std::int32_t op, const std::string& record)
    {
        socket_.send(wire::frame(wire::i32(++xid_) + wire::i32(op) + record));
        const auto reply = take_frame();
        if (reply.size() < 16 || reply.substr(12, 4) != wire::i32(0))
            throw std::runtime_error{"ZooKeeper refused an edit, operation " + std::to_string(op)};
    }
    [[nodiscard]] std::string take_frame() const
    {
        const auto head = socket_.receive(4);
        std::size_t size = 0;
        for (const char c : head)
            size = size << 8U | static_cast<unsigned char>(c);
        return socket_.receive(size);
    }

    Socket socket_;
    std::int32_t xid_ = 0;
};

}  // namespace opsd::test
