#pragma once
// A real server on loopback for the tests, and the plainest of clients.

#include "http_support.hpp"

#include "io/net/socket.hpp"

#include <filesystem>

namespace opsd::test {

/// A folder that goes away with the test.
class TempFolder {
public:
    TempFolder()
    {
        std::string name = (std::filesystem::temp_directory_path() / "opsd-http-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~TempFolder() { std::filesystem::remove_all(path_); }
    TempFolder(const TempFolder&) = delete;
    TempFolder& operator=(const TempFolder&) = delete;
    [[nodiscard]] std::string operator/(std::string_view name) const { return (path_ / name).string(); }

private:
    std::filesystem::path path_;
};

/// A server that runs until stop(), which every test must await.
struct LiveServer {
    LiveServer(Executor executor, std::vector<http::Route> routes, http::Limits limits = {})
      : server{executor, limits, around.authenticator, around.audit, around.clock, around.metrics, around.log}
      , group{executor, [](std::string_view task, std::exception_ptr e) {
                  ADD_FAILURE() << task << ": " << describe(e).what;
              }}
    {
        server.set_routes(build(std::move(routes)));
    }

    /// Reads the certificate, as the daemon does on a thread, and listens.
    Result<std::uint16_t> listen(const http::Listener& listener)
    {
        auto tls = http::read_certificate(listener);
        if (!tls) return fail(tls.error());
        return server.listen(listener, *tls);
    }

    /// As a reload does.
    Result<> reload_certificates()
    {
        const auto read = http::read_certificates(server.tls_listeners());
        if (!read) return fail(read.error());
        server.use_certificates(*read);
        return {};
    }

    /// The port.
    std::uint16_t start(http::Listener listener = {.port = 0})
    {
        auto port = listen(listener);
        if (!port) ADD_FAILURE() << port.error().message;
        group.spawn("run", server.run());
        return port.value_or(0);
    }

    Task<> stop()
    {
        server.drain();
        server.abort();
        co_await server.joined();
        co_await group.join();
        EXPECT_EQ(server.connections(), 0U);
        const auto page = around.metrics.render();
        EXPECT_NE(page.find("\nopsd_http_connections 0\n"), std::string::npos) << page;
    }

    Task<> connections_become(std::size_t count);
    Task<> metrics_say(std::string_view text);
    Task<> log_says(std::string_view text);

    Surroundings around;
    http::Server server;
    TaskGroup group;
};

/// A connected transport; null with a test failure otherwise.
Task<std::unique_ptr<net::Transport>> dial(net::Endpoint endpoint);
inline Task<std::unique_ptr<net::Transport>> dial(std::uint16_t port)
{
    return dial(*net::ip_endpoint("127.0.0.1", port));
}

/// Everything until the server closes, or nothing came for 5 s.
Task<std::string> read_to_end(net::Transport& transport);
/// Reads until `end` was seen.
Task<std::string> read_until(net::Transport& transport, std::string_view end);
/// Sends and reads to the end; ask for "Connection: close".
Task<std::string> fetch(std::uint16_t port, std::string request);
/// Waits until somebody sets it; at most 5 s.
Task<> becomes_true(const bool& flag);

inline std::string get_and_close(std::string_view target) { return get(target, "Connection: close\r\n"); }

/// GET /test, open to all.
http::Route test_route(http::Handler handler);

}  // namespace opsd::test
