#pragma once
// A web server on loopback that does as it is told: well, badly, slowly or never. It reads requests strictly:
// one that no server would have to understand fails the test.

#include "io/net/socket.hpp"
#include "io/net/tls.hpp"
#include "opsd/task_group.hpp"

#include "support.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <charconv>
#include <fstream>
#include <iterator>

namespace opsd::test {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

/// What to say, and what to do then.
struct Reply {
    enum class Then {
        close,
        hang,     ///< keep the connection and stay silent
        reset,    ///< abort it
        drip,     ///< say the text one byte at a time, a byte each 20 ms
        endless,  ///< repeat the text for ever
    };
    std::string text;
    Then then = Then::close;
};

inline Reply answer(int status, std::string_view body, std::string_view headers = {})
{
    return {"HTTP/1.1 " + std::to_string(status)
            + " Because\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size())
            + "\r\n" + std::string{headers} + "\r\n" + std::string{body}};
}
inline Reply redirect(std::string_view location)
{
    return answer(307, "", "Location: " + std::string{location} + "\r\n");
}

struct Asked {
    std::string method;
    std::string path;
    std::string head;  ///< lines after the first
    std::string body;
    [[nodiscard]] bool has(std::string_view line) const
    {
        return head.contains("\r\n" + std::string{line} + "\r\n");
    }
};

class HttpStub {
public:
    using Answer = std::function<Reply(const Asked&)>;

    HttpStub(const Executor& executor, Answer how, net::TlsContext tls = {},
             const char* address = "127.0.0.1")
      : executor_{executor}
      , group_{executor, [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }}
      , acceptor_{executor, {asio::ip::make_address(address), 0}}
      , tls_{std::move(tls)}
      , how{std::move(how)}
    {
        const auto at = acceptor_.local_endpoint();
        authority = std::string{address} + ":" + std::to_string(at.port());
        group_.spawn("accept", accept());
    }

    [[nodiscard]] std::string url() const { return (tls_ ? "https://" : "http://") + authority; }
    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    /// Nobody listens there any more.
    void die() { acceptor_.close(); }
    Task<> stop()
    {
        group_.cancel();
        co_await group_.join();
    }
    void cancel() { group_.cancel(); }
    [[nodiscard]] std::size_t busy() const { return group_.size(); }

private:
    Executor executor_;
    TaskGroup group_;
    asio::ip::tcp::acceptor acceptor_;
    net::TlsContext tls_;

public:
    Answer how;
    std::vector<Asked> asked;
    std::string authority;

private:
    Task<> accept()
    {
        for (;;) {
            auto [ec, socket] = co_await acceptor_.async_accept(tuple);
            if (ec) co_return;
            socket.non_blocking(true);
            group_.spawn("connection", serve(socket.release()));
        }
    }

    Task<> serve(int fd)
    {
        std::unique_ptr<net::Transport> transport;
        if (tls_) {
            auto secure = net::TlsTransport::server(executor_, fd, tls_);
            secure->expires_after(5s);
            auto done = co_await secure->handshake();
            if (!done) co_return;
            transport = std::move(secure);
        } else {
            transport = net::make_socket_transport(executor_, fd);
        }
        Asked request;
        const bool whole = co_await read(*transport, request);
        if (!whole) co_return;
        asked.push_back(request);
        const auto reply = how(request);
        co_await say(*transport, reply);
        if (reply.then == Reply::Then::hang || reply.then == Reply::Then::drip) {
            transport->expires_never();
            [[maybe_unused]] auto gone = co_await transport->wait_readable();
        }
        const linger abort{1, 0};
        if (reply.then == Reply::Then::reset) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    }

    Task<> say(net::Transport& transport, const Reply& reply)
    {
        if (reply.then == Reply::Then::drip) {
            for (const char byte : reply.text) {
                const std::string_view one{&byte, 1};
                auto written = co_await transport.write_all(one);
                if (!written) co_return;
                co_await sleep(20ms);
            }
            co_return;
        }
        bool more = true;
        while (more) {
            auto written = co_await transport.write_all(reply.text);
            more = written.has_value() && reply.then == Reply::Then::endless;
        }
    }

    /// Reads one request and insists on its form. False: the client went away.
    Task<bool> read(net::Transport& transport, Asked& request)
    {
        std::string text;
        char chunk[4096];
        std::size_t length = 0;
        for (;;) {
            const auto end = text.find("\r\n\r\n");
            if (end != std::string::npos && request.method.empty()) {
                parse(text.substr(0, end + 2), request);
                length = body_length(request);
            }
            if (end != std::string::npos && text.size() >= end + 4 + length) {
                request.body = text.substr(end + 4);
                EXPECT_EQ(request.body.size(), length) << "more than one request";
                co_return true;
            }
            auto count = co_await transport.read_some(chunk);
            if (!count || *count == 0) co_return false;
            text.append(chunk, *count);
        }
    }

    static void parse(const std::string& head, Asked& request)
    {
        const auto first = head.find("\r\n");
        const auto line = head.substr(0, first);
        request.head = head.substr(first);
        const auto space = line.find(' ');
        request.method = line.substr(0, space);
        EXPECT_TRUE(line.ends_with(" HTTP/1.1")) << line;
        request.path = line.substr(space + 1, line.size() - space - 10);
        EXPECT_TRUE(request.path.starts_with('/')) << line;
        EXPECT_TRUE(head.contains("\r\nHost: ")) << head;
        EXPECT_EQ(head.find('\n'), first + 1) << head;
    }

    static std::size_t body_length(const Asked& request)
    {
        const auto at = request.head.find("\r\nContent-Length: ");
        std::size_t length = 0;
        if (at != std::string::npos)
            std::from_chars(request.head.data() + at + 18, request.head.data() + request.head.size(), length);
        EXPECT_EQ(request.method == "POST", at != std::string::npos) << request.head;
        return length;
    }
};

/// A captured answer of a real Mesos.
inline std::string fixture(const std::string& name)
{
    std::ifstream file{std::string{OPSD_SOURCE_DIR} + "/tests/fixtures/mesos/" + name};
    EXPECT_TRUE(file.good()) << name;
    return {std::istreambuf_iterator<char>{file}, {}};
}

}  // namespace opsd::test
