#include "pipeline/sinks/splunk_hec_sink.hpp"

#include "pipeline/sinks/network.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <random>

namespace opsd::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds longest_interval = 10s;
constexpr auto json_type = "application/json";

/// A random GUID (version 4): nobody else's channel.
std::string new_guid()
{
    std::random_device random;
    std::array<std::uint32_t, 4> bits{};
    for (auto& part : bits)
        part = random();
    return fmt::format("{:08x}-{:04x}-4{:03x}-{:04x}-{:04x}{:08x}", bits[0], bits[1] >> 16U, bits[1] & 0xfffU,
                       0x8000U | (bits[2] >> 16U & 0x3fffU), bits[2] & 0xffffU, bits[3]);
}

Verdict not_yet(std::chrono::milliseconds waited)
{
    return retry(fmt::format("it has received them, but no indexer acknowledged them within {}; they are "
                             "sent again",
                             human_duration(waited)));
}

}  // namespace

/// One collector's memory of us: with connections and cookies of its own, so that a balancer in between
/// leads its questions to where its events went.
struct SplunkHecSink::Channel {
    Channel(const Executor& executor, HttpTarget target, const Clock& clock)
      : guid{new_guid()}
      , poster{executor, std::move(target), clock}
    {}
    std::string guid;
    HttpPoster poster;
};

SplunkHecSink::SplunkHecSink(Executor executor, HecSinkOptions options, Clock& clock)
  : executor_{std::move(executor)}
  , options_{std::move(options)}
  , clock_{clock}
  , packer_{std::move(options_.compress)}
{
    options_.target.cookies = true;
    options_.ack_interval = std::max(options_.ack_interval, 1ms);
}

SplunkHecSink::~SplunkHecSink() = default;

std::unique_ptr<SplunkHecSink::Channel> SplunkHecSink::take_channel()
{
    if (free_.empty()) {
        auto fresh = std::make_unique<Channel>(executor_, options_.target, clock_);
        return fresh;
    }
    auto channel = std::move(free_.back());
    free_.pop_back();
    return channel;
}

Task<Verdict> SplunkHecSink::send(const Batch& batch)
{
    HttpBody plain;
    plain.bytes = joined(batch);
    plain.type = json_type;
    auto body = co_await packer_.pack(std::move(plain));
    // Whatever goes wrong from here on: the channel, with what the far side still makes of it, is forgotten.
    auto channel = take_channel();
    HttpPoster::Headers headers;
    if (options_.acknowledge) headers.emplace_back("X-Splunk-Request-Channel", channel->guid);
    const auto path = "/services/collector/event";
    const auto answer = co_await channel->poster.post(path, std::move(body), std::move(headers));
    if (!answer) co_return verdict_of_error(answer.error());
    auto reply = read_hec_reply(answer->status, answer->body, answer->after);
    const auto said = answer->text();
    const bool waits = reply.verdict.kind == Verdict::Kind::accepted && reply.ack_id && options_.acknowledge
                       && !acks_disabled_;
    if (waits) {
        acks_seen_ = true;
        reply.verdict = co_await acknowledged(*channel, *reply.ack_id);
    }
    const bool clean = reply.verdict.kind == Verdict::Kind::accepted
                       || (!waits && reply.verdict.kind != Verdict::Kind::keep);
    if (clean) free_.push_back(std::move(channel));
    reply.verdict.answer = said;
    co_return reply.verdict;
}

Task<Verdict> SplunkHecSink::acknowledged(Channel& channel, std::uint64_t id)
{
    const auto until = clock_.monotonic() + options_.ack_timeout;
    auto interval = options_.ack_interval;
    auto verdict = not_yet(options_.ack_timeout);
    for (;;) {
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.monotonic());
        if (left <= 0ms) co_return verdict;
        co_await clock_.sleep_for(std::min(interval, left));
        // The last question may take an ack_interval beyond, which the deadline allows for.
        const auto rest = std::chrono::ceil<std::chrono::milliseconds>(until - clock_.monotonic());
        verdict = co_await ask(channel, id, std::max(rest, options_.ack_interval));
        if (verdict.kind == Verdict::Kind::accepted) co_return verdict;
        interval = std::min(interval * 2, longest_interval);
    }
}

/// Accepted: an indexer has it, or will never say so. Anything else is what to say should that be the last
/// question.
Task<Verdict> SplunkHecSink::ask(Channel& channel, std::uint64_t id, std::chrono::milliseconds limit)
{
    HttpBody body;
    body.bytes = hec_ack_request({&id, 1});
    body.type = json_type;
    HttpPoster::Headers headers{{"X-Splunk-Request-Channel", channel.guid}};
    const auto path = "/services/collector/ack?channel=" + channel.guid;
    const auto answer = co_await channel.poster.post(path, std::move(body), std::move(headers), limit);
    if (!answer) co_return verdict_of_error(answer.error());
    const auto acks = read_hec_acks(answer->status, answer->body);
    if (!acks) {
        const auto& error = acks.error();
        if (error.code == Errc::denied) co_return keep(error.message + "; check the token of this output");
        co_return retry(error.message);
    }
    acks_disabled_ = acks_disabled_ || acks->disabled;
    const auto found = acks->acks.find(id);
    if (acks->disabled || (found != acks->acks.end() && found->second)) co_return accepted();
    co_return not_yet(options_.ack_timeout);
}

std::string_view SplunkHecSink::acknowledged_means() const noexcept
{
    if (acks_seen_ && !acks_disabled_) return "an indexer has acknowledged it";
    if (!options_.acknowledge)
        return "the collector has received it; indexer acknowledgement is turned off for this output";
    if (acks_disabled_)
        return "the collector has received it; indexer acknowledgement is disabled for this token";
    return "the collector has received it; the token has had no indexer acknowledgement so far";
}

}  // namespace opsd::pipeline
