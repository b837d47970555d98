#include "modules/forward/render.hpp"

#include "core/json_text.hpp"
#include "modules/forward/place.hpp"

#include <fmt/format.h>

#include <ranges>

namespace opsd::forward {
namespace {

std::int64_t signed_of(std::uint64_t number) { return static_cast<std::int64_t>(number); }

std::string time_text(std::int64_t microseconds)
{
    return rfc3339(WallTime{std::chrono::microseconds{microseconds}});
}

void append_time(JsonText& json, std::string_view name, WallTime time)
{
    if (time == WallTime{})
        json.key(name).null();
    else
        json.text(name, rfc3339(time));
}

void append_seconds(JsonText& json, std::string_view name, std::chrono::milliseconds time)
{
    json.key(name).raw(fmt::format("{}.{:03}", time.count() / 1000, time.count() % 1000));
}

void append_counters(JsonText& json, const OutputStatus& status)
{
    const auto& counters = status.delivery.counters;
    json.number("in", signed_of(counters.in))
        .number("acknowledged", signed_of(counters.acknowledged))
        .number("pending", signed_of(counters.pending))
        .number("dead_lettered", signed_of(counters.dead_lettered))
        .number("lost", signed_of(counters.lost))
        .number("unknown_losses", signed_of(counters.unknown_losses))
        .number("damaged", signed_of(status.damaged))
        .number("redacted", signed_of(status.redacted))
        .number("held_back", signed_of(status.held_back))
        .number("resent", signed_of(status.resent))
        .number("requests", signed_of(counters.requests))
        .number("failed_requests", signed_of(counters.failed_requests))
        .number("sent", signed_of(counters.sent))
        .number("sent_bytes", signed_of(counters.sent_bytes))
        .number("held_bytes", signed_of(status.delivery.held_bytes))
        .number("in_flight", signed_of(status.delivery.in_flight));
    json.key("dead_letters");
    if (status.letters)
        json.number(signed_of(*status.letters));
    else
        json.null();
}

/// Not one file, though there are some.
bool reads_nothing(const TaskStatus& tasks) { return tasks.files == 0 && tasks.unreadable > 0; }

}  // namespace

std::string_view state_of(const OutputStatus& status)
{
    using State = pipeline::DeliveryStatus::State;
    if (status.replaying) return "replaying";
    if (status.tasks && status.delivery.state == State::running && reads_nothing(*status.tasks))
        return "failed";
    if (status.paused && status.delivery.state != State::stopped) return "paused";
    return to_string(status.delivery.state);
}

namespace {

void append_tasks(JsonText& json, const TaskStatus& tasks)
{
    json.key("tasks").open('{');
    json.text("found_by", tasks.runs == 0 && !tasks.find_error.empty() ? ""
                          : tasks.by_agent                             ? "agent"
                                                                       : "folders");
    json.number("runs", signed_of(tasks.runs))
        .number("files", signed_of(tasks.files))
        .number("files_not_followed", signed_of(tasks.not_followed))
        .number("files_queued", signed_of(tasks.queued))
        .number("files_unreadable", signed_of(tasks.unreadable))
        .number("behind_bytes", signed_of(tasks.behind_bytes))
        .text("unreadable_why", tasks.unreadable_why)
        .text("find_error", tasks.find_error)
        .text("last_loss", tasks.last_loss)
        .close('}');
}

/// What is wrong now: of the output itself, of its far side, of what it reads.
std::string error_of(const OutputStatus& status)
{
    if (!status.trouble.empty()) return status.trouble;
    if (!status.delivery.error.empty() || !status.tasks) return status.delivery.error;
    const auto& tasks = *status.tasks;
    if (tasks.unreadable > 0)
        return fmt::format("{} files of tasks are not forwarded: {}", tasks.unreadable, tasks.unreadable_why);
    return tasks.find_error;
}

}  // namespace

void append_output(std::string& out, const OutputOptions& options, const OutputStatus& status, const Lag& lag)
{
    const auto& delivery = status.delivery;
    JsonText json{out};
    json.open('{').text("name", options.name).text("type", options.type).text("input", options.input);
    json.text("state", state_of(status)).boolean("paused", status.paused);
    append_counters(json, status);
    append_seconds(json, "lag_seconds", lag.time);
    json.key("lag_entries");
    if (lag.entries)
        json.number(signed_of(*lag.entries));
    else
        json.null();
    // A number of a record means nothing to anybody else.
    json.text("position", status.tasks ? std::string{} : delivery.position);
    const auto moment = moment_of(delivery.position);
    append_time(json, "position_time", moment ? WallTime{std::chrono::microseconds{*moment}} : WallTime{});
    append_time(json, "last_success", delivery.last_success_at);
    json.text("error", error_of(status));
    json.text("last_error", delivery.last_error);
    append_time(json, "last_error_at", delivery.last_error_at);
    append_seconds(json, "next_attempt_seconds", delivery.next_attempt);
    json.text("acknowledged_means", status.acknowledged_means);
    json.text("note", delivery.start);
    if (status.tasks) append_tasks(json, *status.tasks);
    json.close('}');
}

std::string letters_json(const std::string& output, const pipeline::LetterList& list, bool previews)
{
    std::string out;
    JsonText json{out};
    json.open('{').text("output", output);
    json.number("count", signed_of(list.count)).number("torn", signed_of(list.torn));
    json.key("letters").open('[');
    for (const auto& letter : std::views::reverse(list.letters)) {
        json.open('{').text("id", letter.id).text("time", time_text(letter.time));
        json.text("died", time_text(letter.died)).text("reason", letter.reason);
        json.text("position", letter.position).number("bytes", signed_of(letter.size));
        if (previews) json.text("preview", letter.bytes);
        json.close('}');
    }
    json.close(']').close('}');
    out += '\n';
    return out;
}

bool is_accepted(const pipeline::Verdict& verdict)
{
    using Kind = pipeline::Verdict::Kind;
    return verdict.kind == Kind::accepted
           || (verdict.kind == Kind::records && verdict.fates.size() == 1
               && verdict.fates[0] == pipeline::Fate::accepted);
}

std::string why_not(const pipeline::Verdict& verdict)
{
    if (is_accepted(verdict)) return {};
    const auto& reasons = verdict.reasons;
    const auto& reason = reasons.empty() ? verdict.reason : reasons.begin()->second;
    return reason.empty() ? std::string{"it did not say why"} : reason;
}

std::string verdict_json(const std::string& output, const pipeline::Verdict& verdict, std::string_view means)
{
    std::string out;
    JsonText json{out};
    json.open('{').text("output", output).boolean("accepted", is_accepted(verdict));
    json.text("answer", verdict.answer).text("reason", why_not(verdict));
    json.text("acknowledged_means", means).close('}');
    out += '\n';
    return out;
}

std::string resent_json(const std::string& output, const pipeline::Resent& resent)
{
    std::string out;
    JsonText json{out};
    json.open('{').text("output", output).number("accepted", signed_of(resent.accepted));
    json.number("refused", signed_of(resent.refused)).number("without_bytes", signed_of(resent.without));
    json.number("left", signed_of(resent.left)).text("error", resent.error).close('}');
    out += '\n';
    return out;
}

}  // namespace opsd::forward
