#include "pipeline/sinks/kafka_sink.hpp"

#include "core/cancelled.hpp"
#include "pipeline/sinks/kafka_record.hpp"

#include <algorithm>

namespace opsd::pipeline {
namespace {

using kafka::Outcome;

Verdict whole(Outcome outcome, std::string reason)
{
    switch (outcome) {
    case Outcome::delivered:
        return accepted();
    case Outcome::too_large:
        return too_large(std::move(reason));
    case Outcome::kept:
        return keep(std::move(reason));
    case Outcome::suspect:
        return refused(std::move(reason));
    case Outcome::refused:
    case Outcome::retry:
        break;
    }
    return retry(std::move(reason));
}

Fate fate_of(Outcome outcome, bool alone)
{
    switch (outcome) {
    case Outcome::delivered:
        return Fate::accepted;
    case Outcome::refused:
        return Fate::refused;
    case Outcome::suspect:
        return alone ? Fate::refused : Fate::suspect;
    case Outcome::retry:
    case Outcome::too_large:
    case Outcome::kept:
        break;
    }
    return Fate::retry;
}

}  // namespace

Verdict verdict_of_reports(std::span<const kafka::Report> reports)
{
    // The same for all: nothing was told of any record in particular. Too large together may pass in parts.
    const auto same = [&](const kafka::Report& report) { return report.outcome == reports[0].outcome; };
    const auto suspects = std::ranges::count(reports, Outcome::suspect, &kafka::Report::outcome);
    const bool each = !reports.empty() && (reports[0].outcome == Outcome::refused || suspects == 1);
    if (!reports.empty() && !each && std::ranges::all_of(reports, same))
        return whole(reports[0].outcome, excerpt(reports[0].reason));
    Verdict verdict{.kind = Verdict::Kind::records};
    for (std::size_t i = 0; i < reports.size(); ++i) {
        const auto& [outcome, reason] = reports[i];
        const auto fate = fate_of(outcome, suspects == 1);
        verdict.fates.push_back(fate);
        if (fate == Fate::accepted) continue;
        if (fate == Fate::refused)
            verdict.reasons.emplace(i, excerpt(reason));
        else if (verdict.reason.empty())
            verdict.reason = excerpt(reason);
        verdict.alert = verdict.alert || outcome == Outcome::kept;
    }
    return verdict;
}

Task<Verdict> KafkaSink::send(const Batch& batch)
{
    std::vector<kafka::Message> messages;
    messages.reserve(batch.size());
    for (const auto& record : batch.records()) {
        const auto [key, value] = split_kafka_record(record.bytes);
        kafka::Message message;
        message.topic = topic_;
        message.key = key;
        message.id = record.id;
        message.value = value;
        message.time = record.time / 1'000;
        messages.push_back(message);
    }
    const auto reports = co_await producer_.send(messages);
    co_await throw_if_cancelled();
    if (reports) co_return verdict_of_reports(*reports);
    const auto& error = reports.error();
    co_return error.code == Errc::invalid_argument ? keep(error.message) : retry(error.message);
}

}  // namespace opsd::pipeline
