// Bytes of a server into one exchange of the HTTP client: the first byte chooses the read size, the second
// how it is asked. Whatever comes, the exchange ends, the limits hold, and a redirect leads to a plain
// address.

#include "io/net/exchange.hpp"
#include "io/net/memory.hpp"
#include "opsd/task_group.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>

using namespace opsd;

namespace {

constexpr std::size_t max_body = 2048;

void must(bool condition)
{
    if (!condition) std::abort();
}

Task<> answer(net::Transport& server, std::string_view input)
{
    std::array<char, 4096> request;
    [[maybe_unused]] auto asked = co_await server.read_some(request);
    [[maybe_unused]] auto written = co_await server.write_all(input);
    server.close();
}

void lead_somewhere_plain(const net::Url& from, std::string_view location)
{
    const auto to = net::resolve_location(from, location);
    if (!to) return;
    const auto plain = [](std::string_view text) {
        return std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7f; });
    };
    must(plain(to->host) && plain(to->target) && to->target.starts_with('/'));
    must((from.scheme == net::Url::Scheme::unix_socket) == (to->scheme == net::Url::Scheme::unix_socket));
    if (from.scheme == net::Url::Scheme::unix_socket) must(to->host == from.host);
}

void look(const net::Exchange& exchange)
{
    const auto& response = exchange.response;
    must(response.status >= 200 && response.status <= 999);
    must(response.body.size() <= max_body || exchange.on_chunk);
    must(exchange.request.method != "HEAD" || response.body.empty());
    must(exchange.answered || !exchange.reusable);
    for (const auto& [name, value] : response.headers) {
        must(!name.empty() && std::ranges::none_of(name, [](char c) { return c >= 'A' && c <= 'Z'; }));
        must(value.find_first_of(std::string_view{"\r\n\0", 3}) == std::string::npos);
    }
    for (const auto* from : {"http://h:1/a/b?c", "https://[::1]/", "unix:/run/x.sock:/a"})
        lead_somewhere_plain(net::parse_url(from).value(), response.header("location"));
}

Task<> ask(net::Transport& client, net::Exchange& exchange, bool& ended)
{
    auto done = co_await exchange.run(client);
    if (done) look(exchange);
    ended = true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) return 0;
    const std::string_view input{reinterpret_cast<const char*>(data) + 2, size - 2};
    asio::io_context io{1};
    net::ClientRequest request;
    request.method = data[1] % 3 == 2 ? "HEAD" : "GET";
    request.max_body = max_body;
    const auto url = net::parse_url("http://host/").value();
    net::Exchange exchange{.request = request,
                           .url = url,
                           .deadline = std::chrono::steady_clock::now() + std::chrono::seconds{5},
                           .idle = std::chrono::seconds{5}};
    std::size_t streamed = 0;
    if (data[1] % 3 == 1) {
        exchange.on_chunk = [&streamed](std::string_view chunk) {
            must(!chunk.empty());
            streamed += chunk.size();
            return streamed < 8 * max_body;
        };
    }
    const std::size_t step = data[0] == 0 ? 64 * 1024 : data[0];
    auto [client, server] = net::make_memory_pair(io.get_executor(), {.step = step});
    TaskGroup group{io.get_executor(), [](std::string_view, const std::exception_ptr&) { std::abort(); }};
    bool ended = false;
    group.spawn("client", ask(*client, exchange, ended));
    group.spawn("server", answer(*server, input));
    io.run_for(std::chrono::seconds{20});
    must(ended && group.size() == 0);
    must(streamed <= input.size());
    return 0;
}
