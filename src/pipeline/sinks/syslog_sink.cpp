#include "pipeline/sinks/syslog_sink.hpp"

#include "core/cancelled.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds longest_pause = 50ms;  // between two looks at what is not acknowledged

}  // namespace

Task<Verdict> SyslogSink::send(const Batch& batch)
{
    auto taken = co_await streams_.take();
    co_await throw_if_cancelled();
    if (!taken) co_return verdict_of_error(taken.error());
    auto transport = std::move(*taken);
    const auto bytes = joined(batch);
    const auto written = co_await write(*transport, bytes);
    co_await throw_if_cancelled();
    if (!written) co_return retry(written.error().message);
    streams_.give_back(std::move(transport));
    co_return accepted();
}

Task<Result<>> SyslogSink::write(net::Transport& transport, const std::string& bytes)
{
    const auto until = clock_.monotonic() + options_.timeout;
    const auto server = options_.target.text();
    transport.expires_after(options_.timeout);
    auto written = co_await transport.write_all(bytes);
    if (!written) co_return fail(std::move(written).error().wrap(server));
    for (auto pause = 1ms; transport.unacknowledged() > 0; pause = std::min(pause * 2, longest_pause)) {
        if (clock_.monotonic() >= until) {
            co_return fail(Errc::timeout, fmt::format("{} did not take all bytes within {}", server,
                                                      human_duration(options_.timeout)));
        }
        co_await clock_.sleep_for(pause);
    }
    const bool open = co_await still_open(transport, Unasked::anything);
    if (open) co_return Result<>{};
    co_return fail(Errc::unavailable,
                   fmt::format("{} closed the connection; what it took of these records is unknown", server));
}

}  // namespace opsd::pipeline
