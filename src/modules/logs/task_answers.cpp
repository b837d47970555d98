#include "modules/logs/task_answers.hpp"

#include "core/first_of.hpp"
#include "core/json_text.hpp"
#include "modules/logs/caller.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace opsd::logs {

using http::Request;
using http::Response;
using http::StreamWriter;

namespace {

using LogsPtr = std::shared_ptr<TaskLogs>;

constexpr std::size_t most_direct = 256U * 1024;      // a text up to here needs no stream
constexpr std::size_t event_block = 16U * 1024;       // short lines grow a lot when they become events
constexpr std::size_t greatest_event = 1024U * 1024;  // that a caller may ask for

/// One file, as the caller may read it.
class SandboxFile final : public ByteSource {
public:
    SandboxFile(LogsPtr logs, std::string path, std::string authorization)
      : logs_{std::move(logs)}
      , path_{std::move(path)}
      , authorization_{std::move(authorization)}
    {}
    Task<Result<std::uint64_t>> size() override { return logs_->size(path_, authorization_); }
    Task<Result<std::string>> read(std::uint64_t offset, std::size_t length) override
    {
        return logs_->read(path_, offset, length, authorization_);
    }

private:
    LogsPtr logs_;
    std::string path_;
    std::string authorization_;
};

/// The sandbox's path on this node.
Result<std::string> local_path(TaskLogs& logs, const SandboxPlace& place)
{
    const auto agent = logs.agent();
    if (agent.id.empty())
        return fail(Errc::not_found, "cannot read a sandbox: this node has no Mesos agent; ask a master for "
                                     "the task by its id");
    return path_of(place, agent.directory);
}

/// Whether any media type of the list is that of events.
bool wants_events(std::string_view accept)
{
    while (!accept.empty()) {
        const auto comma = std::min(accept.find(','), accept.size());
        auto item = accept.substr(0, std::min(comma, accept.find(';')));
        item.remove_prefix(std::min(item.find_first_not_of(" \t"), item.size()));
        item = item.substr(0, item.find_last_not_of(" \t") + 1);
        if (item == "text/event-stream") return true;
        accept.remove_prefix(std::min(comma + 1, accept.size()));
    }
    return false;
}

Result<std::size_t> event_size(const Request& request)
{
    const auto* text = request.query.find("max_entry");
    if (text == nullptr) return most_event;
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), size);
    if (error != std::errc{} || end != text->data() + text->size() || size < least_event
        || size > greatest_event)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use max_entry: it must be a number of bytes from {} to {}",
                                least_event, greatest_event));
    return size;
}

Result<LineQuery> line_query(const Request& request)
{
    const auto& query = request.query;
    return parse_line_query(query.find("cursor"), query.find("skip"), query.find("limit"),
                            request.headers.find("last-event-id"));
}

Task<> until_closed(StreamWriter& writer, bool& closed)
{
    co_await writer.closed();
    closed = true;
}

// --- text

struct TextReading {
    TextReading(const LogsPtr& logs, std::string path, const Request& request)
      : file{logs, std::move(path), authorization_for_mesos(request)}
      , reader{file, logs->options.lines}
    {}

    /// Reads until there is some text, `most` of it at least if the file has so much. True: this was the end.
    Task<Result<bool>> gather(std::string& text, std::size_t most)
    {
        const OnPiece on_piece = [&text](const Piece& piece) {
            append_text(text, piece);
            return true;
        };
        for (;;) {
            const auto step = co_await reader.next(on_piece);
            if (!step) co_return fail(step.error());
            if (*step != LineReader::Step::read) co_return true;
            if (!text.empty() && text.size() >= most) co_return false;
        }
    }

    SandboxFile file;
    LineReader reader;
};

Task<> gather_text(TextReading& reading, std::string& text, Result<bool>& ended)
{
    ended = co_await reading.gather(text, 1);
}

Task<> stream_text(LogsPtr logs, std::shared_ptr<TextReading> reading, std::string text, StreamWriter& writer)
{
    writer.set_whole(false);
    for (bool closed = false;;) {
        const auto written = co_await writer.write(text);
        if (!written) co_return;
        text.clear();
        Result<bool> ended{false};
        co_await first_of(gather_text(*reading, text, ended), until_closed(writer, closed));
        if (closed) co_return;
        if (!ended) co_return logs->broken_off(ended.error());
        if (!*ended) continue;
        const auto last = co_await writer.write(text);
        writer.set_whole(last.has_value());
        co_return;
    }
}

Task<Response> serve_text(LogsPtr logs, const Request& request, std::string path, LineQuery query)
{
    auto reading = std::make_shared<TextReading>(logs, std::move(path), request);
    const auto begun = co_await reading->reader.start(query);
    if (!begun) co_return Response::problem(begun.error());
    std::string text;
    const auto ended = co_await reading->gather(text, most_direct);
    if (!ended) co_return Response::problem(ended.error());
    Response response = Response::text({});
    if (*ended) {
        response.body = std::move(text);
    } else {
        const auto producer = [logs, reading, text = std::move(text)](StreamWriter& writer) {
            return stream_text(logs, reading, text, writer);
        };
        response = Response::stream(response.type, producer);
    }
    co_return std::move(response.with("Cache-Control", "no-cache"));
}

// --- events

LineLimits for_events(LineLimits limits)
{
    limits.block = std::min(limits.block, event_block);
    return limits;
}

class EventReading {
public:
    EventReading(const LogsPtr& logs, const std::string& path, const Request& request, SandboxLabels labels,
                 std::size_t most)
      : logs_{logs}
      , file_{logs, path, authorization_for_mesos(request)}
      , previous_{logs, path + ".1", authorization_for_mesos(request)}  // as logrotate names it
      , reader{file_, for_events(logs->options.lines), &previous_}
      , labels_{std::move(labels)}
      , most_{most}
    {}

    /// Waits until there is something to say; at most until the next ping.
    Task<> gather(std::string& text);
    /// Why the stream cannot go on.
    [[nodiscard]] const std::optional<Error>& failure() const noexcept { return failure_; }

private:
    void take(const Error& error, std::string& text);

    LogsPtr logs_;
    SandboxFile file_;
    SandboxFile previous_;

public:
    LineReader reader;

private:
    SandboxLabels labels_;
    std::size_t most_;
    std::optional<Monotonic> failing_since_;
    std::optional<Error> failure_;
};

// An agent that restarts is back in seconds, a file that is exchanged in less: neither ends the stream.
void EventReading::take(const Error& error, std::string& text)
{
    const auto now = logs_->clock.monotonic();
    if (!failing_since_) {
        failing_since_ = now;
        text += comment(error.message);
    }
    const bool may_pass = error.retryable() || error.code == Errc::not_found;
    if (!may_pass || now - *failing_since_ >= logs_->options.patience) failure_ = error;
}

Task<> EventReading::gather(std::string& text)
{
    const auto& options = logs_->options;
    const auto until = logs_->clock.monotonic() + options.ping;
    const OnPiece on_piece = [&](const Piece& piece) {
        append_event(text, piece, labels_, logs_->clock.now(), most_);
        return true;
    };
    while (text.empty() && !failure_) {
        const auto now = logs_->clock.monotonic();
        if (now >= until) {
            text = comment("ping");
            break;
        }
        const auto step = co_await reader.follow(now, on_piece);
        if (!step) {
            take(step.error(), text);
        } else {
            failing_since_.reset();
            if (*step == LineReader::Step::rotated) append_rotated(text, labels_, logs_->clock.now());
            if (*step == LineReader::Step::rotated || *step == LineReader::Step::read) continue;
        }
        if (!text.empty() || failure_) break;
        // After its last line a reader is kept, with pings: he would come again for more than he wanted.
        co_await logs_->clock.sleep_for(std::min(options.poll, options.ping));
    }
}

// The dcos CLI takes a clean end for good and waits for ever; torn, it comes again with the last id.
Task<> stream_events(LogsPtr logs, std::shared_ptr<EventReading> reading, StreamWriter& writer)
{
    writer.set_whole(false);
    for (bool closed = false;;) {
        std::string text;
        co_await first_of(reading->gather(text), until_closed(writer, closed));
        if (closed) co_return;
        const auto written = co_await writer.write(text);
        if (!written) co_return;
        if (reading->failure()) co_return logs->broken_off(*reading->failure());
    }
}

Task<Response> serve_events(LogsPtr logs, const Request& request, SandboxPlace place, std::string path,
                            LineQuery query)
{
    const auto most = event_size(request);
    if (!most) co_return Response::problem(most.error());
    SandboxLabels labels{.agent_id = logs->agent().id,
                         .container_id = place.run,
                         .executor_id = place.executor,
                         .file = place.file,
                         .framework_id = place.framework};
    auto reading = std::make_shared<EventReading>(logs, path, request, std::move(labels), *most);
    const auto begun = co_await reading->reader.start(query);
    if (!begun) co_return Response::problem(begun.error());
    const auto producer = [logs, reading](StreamWriter& writer) {
        return stream_events(logs, reading, writer);
    };
    auto response = Response::stream("text/event-stream", producer);
    co_return std::move(response.with("Cache-Control", "no-cache"));
}

// --- download

struct Download {
    SandboxFile file;
    std::uint64_t size = 0;
    std::uint64_t at = 0;
    std::size_t block = 0;

    /// Nothing at the end.
    Task<Result<std::string>> next()
    {
        if (at >= size) co_return std::string{};
        auto bytes = co_await file.read(at, std::min<std::uint64_t>(block, size - at));
        if (bytes && bytes->empty())
            co_return fail(Errc::unavailable, "cannot download the file: it became shorter meanwhile");
        if (bytes) at += bytes->size();
        co_return bytes;
    }
};

Task<> next_block(Download& download, Result<std::string>& bytes) { bytes = co_await download.next(); }

Task<> stream_download(LogsPtr logs, std::shared_ptr<Download> download, StreamWriter& writer)
{
    writer.set_whole(false);
    for (bool closed = false;;) {
        Result<std::string> bytes;
        co_await first_of(next_block(*download, bytes), until_closed(writer, closed));
        if (closed) co_return;
        if (!bytes) co_return logs->broken_off(bytes.error());
        if (bytes->empty()) break;
        const auto written = co_await writer.write(*bytes);
        if (!written) co_return;
    }
    writer.set_whole(true);
}

/// `attachment; filename="stdout"`: what could end the quotes, or is not ASCII, becomes "_".
std::string disposition(std::string_view file)
{
    std::string name{file.substr(file.rfind('/') + 1)};
    std::ranges::replace_if(name, [](char c) { return c < ' ' || c > '~' || c == '"' || c == '\\'; }, '_');
    return fmt::format("attachment; filename=\"{}\"", name);
}

void append_item(JsonText& json, const mesos::FileItem& item)
{
    json.open('{').text("gid", item.gid).text("mode", item.mode).number("mtime", item.mtime);
    json.number("nlink", static_cast<std::int64_t>(item.nlink)).text("path", item.path);
    json.number("size", static_cast<std::int64_t>(item.size)).text("uid", item.uid).close('}');
}

}  // namespace

Task<Response> serve_lines(LogsPtr logs, const Request& request, SandboxPlace place)
{
    auto path = local_path(*logs, place);
    if (!path) co_return Response::problem(path.error());
    const auto query = line_query(request);
    if (!query) co_return Response::problem(query.error());
    if (!wants_events(request.headers.get("accept")))
        co_return co_await serve_text(std::move(logs), request, std::move(*path), *query);
    co_return co_await serve_events(std::move(logs), request, std::move(place), std::move(*path), *query);
}

Task<Response> serve_list(LogsPtr logs, const Request& request, SandboxPlace place)
{
    auto path = local_path(*logs, place);
    if (!path) co_return Response::problem(path.error());
    const auto items = co_await logs->browse(std::move(*path), authorization_for_mesos(request));
    if (!items) co_return Response::problem(items.error());
    std::string out;
    JsonText json{out};
    json.open('[');
    for (const auto& item : *items)
        append_item(json, item);
    json.close(']');
    co_return Response::json(std::move(out));
}

Task<Response> serve_download(LogsPtr logs, const Request& request, SandboxPlace place)
{
    auto path = local_path(*logs, place);
    if (!path) co_return Response::problem(path.error());
    auto download = std::make_shared<Download>(
        Download{.file = SandboxFile{logs, std::move(*path), authorization_for_mesos(request)},
                 .block = logs->options.lines.block});
    const auto size = co_await download->file.size();
    if (!size) co_return Response::problem(size.error());
    download->size = *size;
    const auto producer = [logs, download](StreamWriter& writer) {
        return stream_download(logs, download, writer);
    };
    auto response = Response::stream("application/octet-stream", producer);
    co_return std::move(response.with("Content-Disposition", disposition(place.file)));
}

}  // namespace opsd::logs
