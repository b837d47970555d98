#include "cli/log_commands.hpp"

#include "cli/cli.hpp"
#include "cli/event_lines.hpp"
#include "cli/json_text.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstdio>

namespace opsd::cli {

using nlohmann::json;

namespace {

constexpr std::chrono::milliseconds first_pause{500};
constexpr std::chrono::milliseconds longest_pause{10'000};

constexpr std::array<std::string_view, 8> priority_words{"emerg",   "alert",  "crit", "err",
                                                         "warning", "notice", "info", "debug"};

/// "" for 6, information, which most entries are.
std::string_view word_of_priority(std::int64_t priority)
{
    const bool known = priority >= 0 && priority < 8 && priority != 6;
    return known ? priority_words.at(static_cast<std::size_t>(priority)) : std::string_view{};
}

Colour colour_of(std::int64_t priority)
{
    if (priority < 0) return Colour::none;
    if (priority <= 3) return Colour::red;
    if (priority == 4) return Colour::yellow;
    if (priority == 5) return Colour::bold;
    return priority == 7 ? Colour::dim : Colour::none;
}

/// A field of the journal; the last value of one that comes twice.
std::string field(const json& entry, const char* name)
{
    const auto fields = entry.find("fields");
    if (fields == entry.end() || !fields->is_object()) return {};
    const auto found = fields->find(name);
    if (found == fields->end()) return {};
    if (found->is_string()) return found->get<std::string>();
    const bool list = found->is_array() && !found->empty() && found->back().is_string();
    return list ? found->back().get<std::string>() : std::string{};
}

/// Each line of a message made fit for a terminal, the further ones indented.
std::string message_text(const std::string& message)
{
    std::string text;
    std::string_view rest{message};
    for (bool first = true; first || !rest.empty(); first = false) {
        const auto end = std::min(rest.find('\n'), rest.size());
        if (!first) text += "\n    ";
        text += printable(rest.substr(0, end));
        rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    return text;
}

/// What the answer says beside entries. True: it was that.
bool take_word(const json& object, bool& incomplete)
{
    const auto missing = object.find("missing");
    if (missing != object.end() && missing->is_object()) {
        incomplete = true;
        fmt::print(stderr, "opsd: {} is missing: {}\n", text(*missing, "node"), text(*missing, "reason"));
        return true;
    }
    const auto back = object.find("back");
    if (back != object.end() && back->is_object()) {
        fmt::print(stderr, "opsd: {} answers again\n", text(*back, "node"));
        return true;
    }
    const auto lost = object.find("lost");
    if (lost == object.end()) return false;
    const auto node = text(object, "node");
    fmt::print(stderr, "opsd: {} entries{} were deleted before they could be read\n",
               lost->is_number() ? lost->dump() : std::string{"some"}, node.empty() ? "" : " of " + node);
    return true;
}

/// Writes entries and what is said beside them.
class Entries {
public:
    explicit Entries(const Context& context) : context_{context} {}

    /// A line of the answer.
    bool line(std::string_view text)
    {
        if (text.empty()) return true;
        const auto object = json::parse(text, nullptr, false);
        if (!object.is_object()) {
            strange_ = true;
            return false;
        }
        const bool beside = take_word(object, incomplete_);
        if (beside) return true;
        return entry(object, text);
    }
    bool event(const ServerEvent& event)
    {
        const auto object = json::parse(event.data, nullptr, false);
        if (!object.is_object()) return true;
        if (event.type == "missing" || event.type == "back") {
            json said;
            said[event.type] = object;
            return take_word(said, incomplete_);
        }
        if (event.type == "lost")
            return take_word(object.contains("lost") ? object
                                                     : json{{"lost", object.value("entries", json{})}},
                             incomplete_);
        return entry(object, event.data);
    }

    [[nodiscard]] bool any() const noexcept { return any_; }
    [[nodiscard]] bool incomplete() const noexcept { return incomplete_; }
    [[nodiscard]] bool strange() const noexcept { return strange_; }

private:
    bool entry(const json& object, std::string_view text)
    {
        any_ = true;
        if (context_.json) return put(std::string{text} + "\n");
        return put(entry_text(object, context_.style));
    }

    const Context& context_;
    bool any_ = false;
    bool incomplete_ = false;
    bool strange_ = false;
};

void wait(std::chrono::milliseconds time)
{
    boost::asio::io_context io{1};
    boost::asio::steady_timer timer{io, time};
    timer.wait();
}

int finish(const Result<>& done, const Entries& entries, const LineCutter& lines)
{
    if (entries.strange() || (done && !lines.rest().empty()))
        return report({Errc::protocol, "cannot read the answer: it is not opsd's"});
    if (!done) return report(done.error());
    if (!entries.any()) fmt::print(stderr, "No entries.\n");
    return entries.incomplete() ? exit_unavailable : exit_ok;
}

}  // namespace

bool put(std::string_view text)
{
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

std::string log_path(const LogOptions& options)
{
    std::string path = options.follow ? "/api/v1/logs?format=sse" : "/api/v1/logs?format=ndjson";
    const auto add = [&path](const char* name, const std::string& value) {
        if (!value.empty()) path.append("&").append(name).append("=").append(encode(value));
    };
    add("node", options.leader ? "leader" : options.all ? "all" : options.node);
    add("unit", options.unit);
    add("lines", options.lines);
    add("since", options.since);
    add("priority", options.priority);
    add("grep", options.grep);
    return path;
}

std::string entry_text(const json& entry, const Style& style)
{
    const auto number = entry.find("priority");
    const std::int64_t priority =
        number != entry.end() && number->is_number_integer() ? number->get<std::int64_t>() : -1;
    auto who = text(entry, "unit");
    if (who.empty()) who = printable(field(entry, "SYSLOG_IDENTIFIER"));
    if (who.empty()) who = printable(field(entry, "_COMM"));
    const auto pid = printable(field(entry, "_PID"));
    if (!pid.empty()) who += "[" + pid + "]";
    const auto word = word_of_priority(priority);
    const auto head = fmt::format("{} {} {}{}{}: ", text(entry, "time"), printable(field(entry, "_HOSTNAME")),
                                  who, word.empty() ? "" : " ", word);
    return head + paint(style, colour_of(priority), message_text(field(entry, "MESSAGE"))) + "\n";
}

int follow_events(const Context& context, StreamQuestion question,
                  const std::function<bool(const ServerEvent&)>& on_event)
{
    const Api api{context.target};
    EventCutter events;
    bool enough = false;
    bool begun = false;
    auto pause = first_pause;
    for (;;) {
        const auto done = api.stream(question, [&](std::string_view bytes) {
            begun = true;
            pause = first_pause;
            enough = !events.feed(bytes, on_event);
            return !enough;
        });
        if (enough) return exit_ok;
        // What never began, or is refused, is not mended by asking again.
        if (!done && (!begun || !done.error().retryable())) return report(done.error());
        events.restart();
        question.last_id = events.last_id();
        wait(pause);
        pause = std::min(pause * 2, longest_pause);
    }
}

int log(const Context& context, const LogOptions& options)
{
    Entries entries{context};
    StreamQuestion question;
    question.path = log_path(options);
    if (options.follow) {
        question.accept = "text/event-stream";
        return follow_events(context, question,
                             [&](const ServerEvent& event) { return entries.event(event); });
    }
    question.accept = "application/x-ndjson";
    LineCutter lines;
    const auto done = Api{context.target}.stream(question, [&](std::string_view bytes) {
        return lines.feed(bytes, [&](std::string_view line) { return entries.line(line); });
    });
    return finish(done, entries, lines);
}

}  // namespace opsd::cli
