#pragma once
// A private dbus-daemon and a scripted peer on it, for the tests of the bus.

#include "io/systemd/bus.hpp"

#include <gtest/gtest.h>

#include <systemd/sd-bus.h>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <functional>
#include <string>
#include <thread>

namespace opsd::test {

/// dbus-daemon with the limits of a session bus, on a socket of its own. Killed with the object.
class BusDaemon {
public:
    BusDaemon()
    {
        int out[2];
        EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(out[1], STDOUT_FILENO);
            ::dup2(::open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);  // it complains about limits
            ::execlp("dbus-daemon", "dbus-daemon", "--session", "--nofork", "--nopidfile",
                     "--print-address=1", "--address=unix:tmpdir=/tmp", nullptr);
            ::_exit(127);
        }
        ::close(out[1]);
        char c = 0;
        while (::read(out[0], &c, 1) == 1 && c != '\n')
            address_ += c;
        ::close(out[0]);
        EXPECT_FALSE(address_.empty()) << "dbus-daemon does not start; is the package dbus installed?";
    }
    ~BusDaemon() { stop(); }
    BusDaemon(const BusDaemon&) = delete;
    BusDaemon& operator=(const BusDaemon&) = delete;

    void stop()
    {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }
    [[nodiscard]] const std::string& address() const { return address_; }

private:
    pid_t pid_ = 0;
    std::string address_;
};

/// Another program on the bus, on a thread of its own. `on_message` sees every message; it runs on that
/// thread.
class Peer {
public:
    using OnMessage = std::function<void(sd_bus*, sd_bus_message*)>;

    /// `name` "" owns none.
    Peer(const std::string& address, const char* name, OnMessage on_message = {})
      : on_message_{std::move(on_message)}
    {
        sd_bus* raw = nullptr;
        sd_bus_new(&raw);
        bus_.reset(raw);
        sd_bus_set_address(raw, address.c_str());
        sd_bus_set_bus_client(raw, 1);
        EXPECT_GE(sd_bus_start(raw), 0);
        if (*name != '\0') EXPECT_GE(sd_bus_request_name(raw, name, 0), 0);
        sd_bus_add_filter(raw, nullptr, &Peer::on_filter, this);
        thread_ = std::thread{[this] { loop(); }};
    }
    ~Peer() { leave(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    /// Ends the connection.
    void leave()
    {
        stop_ = true;
        if (thread_.joinable()) thread_.join();
        bus_.reset();
    }

private:
    static int on_filter(sd_bus_message* message, void* self, sd_bus_error*)
    {
        auto& peer = *static_cast<Peer*>(self);
        std::uint8_t type = 0;
        sd_bus_message_get_type(message, &type);
        if (!peer.on_message_ || type != SD_BUS_MESSAGE_METHOD_CALL) return 1;
        peer.on_message_(peer.bus_.get(), message);
        return 1;
    }
    void loop()
    {
        while (!stop_) {
            const int r = sd_bus_process(bus_.get(), nullptr);
            if (r < 0) return;
            if (r == 0) sd_bus_wait(bus_.get(), 10'000);
        }
    }

    systemd::BusPtr bus_;
    OnMessage on_message_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace opsd::test
