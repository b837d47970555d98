#pragma once
// Far sides on loopback, for the sinks' network halves. They read strictly: what no server would have to
// understand fails the test. A connection that its client gives up in the middle is counted, and no fault.

#include "io/net/socket.hpp"
#include "io/net/tls.hpp"
#include "opsd/task_group.hpp"
#include "pipeline_support.hpp"
#include "support.hpp"
#include "temp_dir.hpp"
#include "unit/http/tls_support.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <array>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>

namespace opsd::test {

using namespace std::chrono_literals;
using namespace std::string_literals;
using Kind = Verdict::Kind;

/// What a far side does after its answer.
enum class Then {
    keep,   ///< go on with this connection
    close,  ///< close it
    reset,  ///< abort it
    hang,   ///< stay silent, until the peer closes it
};

/// Certificates in files: an authority, a server for 127.0.0.1, one for another address, a client.
struct Pki {
    Pki()
    {
        authority.write(folder / "ca.pem", "");
        server.write(folder / "server.pem", folder / "server.key");
        elsewhere.write(folder / "elsewhere.pem", folder / "elsewhere.key");
        client.write(folder / "client.pem", folder / "client.key");
    }
    /// `who` "server" or "elsewhere"; asks for a client's certificate.
    [[nodiscard]] net::TlsContext context(const std::string& who) const
    {
        net::TlsServerFiles files;
        files.certificate_file = folder / (who + ".pem");
        files.key_file = folder / (who + ".key");
        files.client_ca_file = folder / "ca.pem";
        auto loaded = net::load_tls_server(files);
        EXPECT_TRUE(loaded) << loaded.error().message;
        return loaded ? loaded->context : net::TlsContext{};
    }
    [[nodiscard]] net::TlsClientOptions trusting(bool identified = false) const
    {
        net::TlsClientOptions options;
        options.ca_file = folder / "ca.pem";
        if (!identified) return options;
        options.certificate_file = folder / "client.pem";
        options.key_file = folder / "client.key";
        return options;
    }

    TempDir folder;
    Certificate authority{{.name = "authority", .authority = true}};
    Certificate server{{.name = "far-side"}, &authority};
    Certificate elsewhere{{.name = "elsewhere", .address = "127.0.0.9"}, &authority};
    Certificate client{{.name = "node-7", .address = ""}, &authority};
};

/// Accepts connections and serves each in a task of its own.
class Listening {
public:
    explicit Listening(const Executor& executor, net::TlsContext tls = {})
      : executor_{executor}
      , group_{executor, [](std::string_view, std::exception_ptr e) { ADD_FAILURE() << describe(e).what; }}
      , acceptor_{executor, {asio::ip::make_address("127.0.0.1"), 0}}
      , tls_{std::move(tls)}
    {
        group_.spawn("accept", accept());
    }
    virtual ~Listening() = default;
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

    [[nodiscard]] std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
    [[nodiscard]] std::string url() const
    {
        return (tls_ ? "https://127.0.0.1:" : "http://127.0.0.1:") + std::to_string(port());
    }
    /// Nobody listens there any more.
    void die() { acceptor_.close(); }
    /// Closes all connections, as a restart does.
    void drop_all()
    {
        for (auto* transport : open_)
            transport->cancel();
    }
    Task<> stop()
    {
        group_.cancel();
        co_await group_.join();
    }

    std::uint64_t connections = 0;  ///< so far
    std::uint64_t cut = 0;          ///< closed by the peer in the middle of something
    std::string peer;               ///< subject of the last client's certificate

protected:
    virtual Task<> serve(net::Transport& transport) = 0;

    /// Waits until `text` has so many bytes. False: the peer closed before.
    Task<bool> fill(net::Transport& transport, std::string& text, std::size_t size)
    {
        std::array<char, 65'536> chunk{};
        while (text.size() < size) {
            auto count = co_await transport.read_some(chunk);
            if (!count || *count == 0) {
                cut += text.empty() ? 0U : 1U;
                co_return false;
            }
            text.append(chunk.data(), *count);
        }
        co_return true;
    }

    /// True: the connection goes on.
    Task<bool> answer(net::Transport& transport, std::string text, Then then)
    {
        [[maybe_unused]] auto written = co_await transport.write_all(text);
        if (then == Then::hang) {
            while (true) {
                std::array<char, 4096> chunk{};
                auto count = co_await transport.read_some(chunk);
                if (!count || *count == 0) break;
            }
        }
        if (then == Then::reset) reset_ = true;
        co_return then == Then::keep;
    }

private:
    Task<> accept()
    {
        for (;;) {
            auto [ec, socket] = co_await acceptor_.async_accept(tuple);
            if (ec) co_return;
            socket.non_blocking(true);
            ++connections;
            group_.spawn("connection", connection(socket.release()));
        }
    }

    Task<> connection(int fd)
    {
        std::unique_ptr<net::Transport> transport;
        if (tls_) {
            auto secure = net::TlsTransport::server(executor_, fd, tls_);
            secure->expires_after(60s);
            const auto done = co_await secure->handshake();
            if (!done) co_return;
            peer = secure->peer_subject();
            secure->expires_never();
            transport = std::move(secure);
        } else {
            transport = net::make_socket_transport(executor_, fd);
        }
        const auto here = open_.insert(open_.end(), transport.get());
        reset_ = false;
        co_await serve(*transport);
        open_.erase(here);
        const linger abort{1, 0};
        if (reset_) ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    }

    Executor executor_;
    TaskGroup group_;
    asio::ip::tcp::acceptor acceptor_;
    net::TlsContext tls_;
    std::list<net::Transport*> open_;
    bool reset_ = false;
};

struct WebRequest {
    std::string path;
    std::string head;  ///< lines after the first, each with its end
    std::string body;
    [[nodiscard]] bool has(std::string_view line) const
    {
        return ("\r\n" + head).contains("\r\n" + std::string{line} + "\r\n");
    }
    /// A header's value; "" without it.
    [[nodiscard]] std::string header(std::string_view name) const
    {
        const auto begin = ("\r\n" + head).find("\r\n" + std::string{name} + ": ");
        if (begin == std::string::npos) return {};
        const auto at = begin + name.size() + 2;
        return head.substr(at, head.find("\r\n", at) - at);
    }
};

struct WebReply {
    std::string text;
    Then then = Then::keep;
};

inline WebReply says(int status, std::string_view body = {}, std::string_view headers = {})
{
    return {"HTTP/1.1 " + std::to_string(status) + " Because\r\nContent-Length: "
            + std::to_string(body.size()) + "\r\n" + std::string{headers} + "\r\n" + std::string{body}};
}

/// A web server that takes POSTs, several on a connection.
class WebServer final : public Listening {
public:
    using How = std::function<WebReply(const WebRequest&)>;
    WebServer(const Executor& executor, How how_to_answer, net::TlsContext tls = {})
      : Listening{executor, std::move(tls)}
      , how{std::move(how_to_answer)}
    {}

    How how;
    std::vector<WebRequest> requests;

private:
    Task<> serve(net::Transport& transport) override
    {
        std::string text;
        for (;;) {
            WebRequest request;
            const bool whole = co_await read(transport, text, request);
            if (!whole) co_return;
            requests.push_back(request);
            auto reply = how(request);
            const bool more = co_await answer(transport, std::move(reply.text), reply.then);
            if (!more) co_return;
        }
    }

    Task<bool> read(net::Transport& transport, std::string& text, WebRequest& request)
    {
        std::size_t end = 0;
        while ((end = text.find("\r\n\r\n")) == std::string::npos) {
            const bool more = co_await fill(transport, text, text.size() + 1);
            if (!more) co_return false;
            EXPECT_TRUE(text.starts_with(std::string{"POST /"}.substr(0, text.size()))) << text.substr(0, 80);
        }
        const auto line = text.substr(0, text.find("\r\n"));
        EXPECT_TRUE(line.ends_with(" HTTP/1.1")) << line;
        request.path = line.substr(5, line.size() - 14);
        request.head = text.substr(line.size() + 2, end - line.size());
        EXPECT_TRUE(request.has("Host: 127.0.0.1:" + std::to_string(port()))) << request.head;
        EXPECT_FALSE(request.head.contains("Transfer-Encoding")) << request.head;
        const auto length = request.header("Content-Length");
        EXPECT_FALSE(length.empty()) << request.head;
        if (length.empty()) co_return false;
        const auto size = end + 4 + std::stoul(length);
        const bool whole = co_await fill(transport, text, size);
        if (!whole) co_return false;
        EXPECT_EQ(text.size(), size) << "more than one request";
        request.body = text.substr(end + 4);
        text.clear();
        co_return true;
    }
};

/// '2' 'A' and a number.
inline std::string ack(std::uint32_t number)
{
    std::string bytes{"2A"};
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes += static_cast<char>((number >> static_cast<unsigned>(shift)) & 0xffU);
    return bytes;
}

/// A beats input. A window must be as it is announced, and follow only on one that was acknowledged whole.
class BeatsServer final : public Listening {
public:
    struct Act {
        std::string text;
        Then then = Then::keep;
    };
    /// What to say to a window of so many records.
    using How = std::function<Act(std::uint32_t)>;
    explicit BeatsServer(const Executor& executor, net::TlsContext tls = {})
      : Listening{executor, std::move(tls)}
    {}

    How how = [](std::uint32_t count) { return Act{ack(count)}; };
    /// What to do before anything of a window is read.
    std::function<Task<>(net::Transport&)> before;
    std::vector<std::string> records;

private:
    Task<> serve(net::Transport& transport) override
    {
        std::string text;
        for (;;) {
            if (before) co_await before(transport);
            const bool begun = co_await fill(transport, text, 6);
            if (!begun) co_return;
            EXPECT_EQ(text.substr(0, 2), "2W");
            const auto count = number(text, 2);
            EXPECT_GT(count, 0U);
            text.erase(0, 6);
            for (std::uint32_t i = 1; i <= count; ++i) {
                bool whole = co_await fill(transport, text, 10);
                if (!whole) co_return;
                EXPECT_EQ(text.substr(0, 2), "2J");
                EXPECT_EQ(number(text, 2), i);
                const auto size = number(text, 6);
                whole = co_await fill(transport, text, 10 + size);
                if (!whole) co_return;
                records.push_back(text.substr(10, size));
                text.erase(0, 10 + size);
            }
            EXPECT_TRUE(text.empty()) << "another window before this one was acknowledged";
            auto act = how(count);
            const bool more = co_await answer(transport, std::move(act.text), act.then);
            if (!more) co_return;
        }
    }

    static std::uint32_t number(const std::string& text, std::size_t at)
    {
        std::uint32_t value = 0;
        for (std::size_t i = at; i < at + 4; ++i)
            value = value << 8U | static_cast<unsigned char>(text[i]);
        return value;
    }
};

/// A syslog server that takes messages behind their lengths.
class SyslogServer final : public Listening {
public:
    explicit SyslogServer(const Executor& executor, net::TlsContext tls = {})
      : Listening{executor, std::move(tls)}
    {}

    bool reads = true;                    ///< false: connections are accepted, and that is all
    std::size_t closes_after = SIZE_MAX;  ///< messages of a connection
    std::string greets;                   ///< what it says, unasked
    std::vector<std::string> messages;

private:
    Task<> serve(net::Transport& transport) override
    {
        if (!reads) {
            const auto executor = co_await asio::this_coro::executor;
            asio::steady_timer forever{executor, never};
            [[maybe_unused]] auto [ec] = co_await forever.async_wait(tuple);
            co_return;
        }
        [[maybe_unused]] auto written = co_await transport.write_all(greets);
        std::string text;
        for (std::size_t taken = 0; taken < closes_after; ++taken) {
            std::size_t space = 0;
            while ((space = text.find(' ')) == std::string::npos) {
                const bool more = co_await fill(transport, text, text.size() + 1);
                if (!more) co_return;
            }
            const auto length = text.substr(0, space);
            const bool digits = !length.empty() && length[0] != '0' && length.size() < 8
                                && length.find_first_not_of("0123456789") == std::string::npos;
            EXPECT_TRUE(digits) << "no length: " << length.substr(0, 80);
            if (!digits) co_return;
            const auto size = std::stoul(length);
            const bool whole = co_await fill(transport, text, space + 1 + size);
            if (!whole) co_return;
            messages.push_back(text.substr(space + 1, size));
            text.erase(0, space + 1 + size);
        }
    }
};

/// Records with the numbers from `first` on.
template <class Render>
Batch batch_of(std::uint64_t first, std::uint64_t count, Render render)
{
    static std::uint64_t batches = 0;
    Batch batch{++batches};
    const auto slice = numbered(first, count, render);
    for (const auto& record : slice.records)
        batch.add(record, slice.text);
    return batch;
}

/// {"n":7}
inline void as_document(std::string& out, std::uint64_t n) { out += "{\"n\":" + std::to_string(n) + "}"; }

/// Waits for what another task of this loop does; at most a minute.
template <class Condition>
Task<bool> comes_true(Condition condition)
{
    for (int i = 0; i < 30'000 && !condition(); ++i)
        co_await sleep(2ms);
    co_return condition();
}

}  // namespace opsd::test
