// `opsd forward ...`: where the journal is forwarded to, and how that goes.

#include "cli/cli.hpp"
#include "cli/commands.hpp"
#include "cli/json_text.hpp"
#include "opsd/clock.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdio>

namespace opsd::cli {

using nlohmann::json;

namespace {

std::string path_of(const std::string& output, const char* verb)
{
    return fmt::format("/api/v1/forward/{}/{}", encode(output), verb);
}

/// Green: all is well. Yellow: nothing is delivered for now. Red: somebody has to act.
Colour colour_of(const std::string& state)
{
    if (state == "running") return Colour::green;
    if (state == "kept" || state == "failed") return Colour::red;
    return Colour::yellow;
}

std::string lag_of(const json& output)
{
    const auto seconds = output.value("lag_seconds", json{});
    const auto time = seconds.is_number() ? seconds.get<double>() : 0.0;
    const auto age = std::chrono::milliseconds{static_cast<std::int64_t>(time * 1000)};
    const auto entries = output.value("lag_entries", json{});
    const auto count = entries.is_number() ? std::to_string(entries.get<std::int64_t>()) : "?";
    if (count == "0" && age.count() == 0) return "0";
    return fmt::format("{} ({})", count, human_duration(age));
}

/// What an output of tasks reads.
void print_tasks(const json& tasks)
{
    if (!tasks.is_object()) return;
    for (const auto* name :
         {"runs", "files", "files_not_followed", "files_queued", "files_unreadable", "behind_bytes"})
        fmt::print("{:>18}  {}\n", name, number(tasks, name));
    for (const auto* name : {"found_by", "unreadable_why", "find_error", "last_loss"})
        if (!text(tasks, name).empty()) fmt::print("{:>18}  {}\n", name, text(tasks, name));
}

/// One output in full.
void print_output(const json& output)
{
    fmt::print("{} ({}): {}\n", text(output, "name"), text(output, "type"), text(output, "state"));
    const auto field = [](const char* name, const std::string& value) {
        if (!value.empty()) fmt::print("{:>16}  {}\n", name, value);
    };
    for (const auto* name : {"in", "acknowledged", "pending", "dead_lettered", "dead_letters", "lost",
                             "redacted", "held_back", "sent_bytes"})
        field(name, std::to_string(number(output, name)));
    field("lag", lag_of(output));
    field("acknowledged =", text(output, "acknowledged_means"));
    field("position", text(output, "position"));
    field("position_time", text(output, "position_time"));
    field("last_success", text(output, "last_success"));
    field("error", text(output, "error"));
    if (text(output, "error").empty()) field("last_error", text(output, "last_error"));
    field("last_error_at", text(output, "last_error_at"));
    field("note", text(output, "note"));
    print_tasks(output.value("tasks", json{}));
}

void print_table(const json& outputs, const Style& style)
{
    Table table{{"output", "type", "state", "acknowledged", "pending", "dead", "lost", "lag", "last error"}};
    for (const auto& output : outputs) {
        const auto state = text(output, "state");
        table.row({{text(output, "name")},
                   {text(output, "type")},
                   {state, colour_of(state)},
                   {std::to_string(number(output, "acknowledged"))},
                   {std::to_string(number(output, "pending"))},
                   {std::to_string(number(output, "dead_letters"))},
                   {std::to_string(number(output, "lost"))},
                   {lag_of(output)},
                   {text(output, "error")}});
    }
    if (table.size() == 0)
        fmt::print("Nothing is forwarded: forward.outputs has no outputs.\n");
    else
        fmt::print("{}", table.render(style));
}

int set_paused(const Context& context, const std::string& output, const char* verb, std::string_view said)
{
    const auto done = Api{context.target}.json("POST", path_of(output, verb));
    if (!done) return report(done.error());
    if (context.json)
        print_json(*done);
    else
        fmt::print("{} {}.\n", output, said);
    if (!done->value("durable", true)) fmt::print(stderr, "warning: {}\n", printable(text(*done, "note")));
    return exit_ok;
}

}  // namespace

int forward_status(const Context& context, const std::string& output)
{
    const auto all = Api{context.target}.json("GET", "/api/v1/forward");
    if (!all) return report(all.error());
    const auto outputs = all->value("outputs", json::array());
    if (output.empty()) {
        if (context.json)
            print_json(*all);
        else
            print_table(outputs, context.style);
        return exit_ok;
    }
    for (const auto& one : outputs) {
        if (text(one, "name") != output) continue;
        if (context.json)
            print_json(one);
        else
            print_output(one);
        return exit_ok;
    }
    return report(
        {Errc::not_found,
         fmt::format("cannot find the output \"{}\": opsd forward status lists those that are", output)});
}

int forward_pause(const Context& context, const std::string& output)
{
    return set_paused(context, output, "pause",
                      "is paused, also after a restart; go on with opsd forward resume");
}

int forward_resume(const Context& context, const std::string& output)
{
    return set_paused(context, output, "resume", "goes on where it was paused");
}

int forward_replay(const Context& context, const std::string& output, const std::string& from)
{
    auto slow = context.target;
    slow.timeout = std::chrono::seconds{30};  // what is in flight is settled first
    const json body{{"from", from}};
    const auto done = Api{slow}.json("POST", path_of(output, "replay"), body_of(body));
    if (!done) return report(done.error());
    if (context.json) {
        print_json(*done);
        return exit_ok;
    }
    const auto time = text(*done, "time");
    fmt::print("{} sends again what came after {}.\n", output,
               time.empty() ? text(*done, "from") == "@0" ? std::string{"the beginning"} : text(*done, "from")
                            : time);
    return exit_ok;
}

int forward_test(const Context& context, const std::string& output)
{
    const auto done = Api{context.target}.json("POST", path_of(output, "test"));
    if (!done) return report(done.error());
    const bool accepted = done->value("accepted", false);
    if (context.json) {
        print_json(*done);
    } else {
        const auto answer = text(*done, "answer");
        fmt::print("{} {}\n", output,
                   accepted ? "took a record" : "did not take a record: " + text(*done, "reason"));
        if (!answer.empty()) fmt::print("answer: {}\n", answer);
        const auto means = text(*done, "acknowledged_means");
        if (!means.empty()) fmt::print("acknowledged means: {}\n", means);
    }
    return accepted ? exit_ok : exit_failed;
}

}  // namespace opsd::cli
