// `opsd log` and `opsd task ...` against a server of the test's own.

#include "cli/cli.hpp"
#include "cli/event_lines.hpp"
#include "cli/log_commands.hpp"
#include "io/files/files.hpp"

#include "command.hpp"
#include "temp_dir.hpp"
#include "unit/mesos/stub.hpp"

#include <nlohmann/json.hpp>

#include <future>
#include <thread>

namespace opsd::cli {
namespace {

using namespace opsd::test;
using nlohmann::json;

/// A server on a thread: the command runs on the test's.
class Server {
public:
    explicit Server(std::vector<Reply> replies)
      : stub_{io_.get_executor(),
              [replies = std::move(replies), next = std::size_t{0}](const Asked&) mutable {
                  return next < replies.size() ? replies[next++] : answer(404, R"({"detail":"no more"})");
              }}
      , thread_{[this] { io_.run(); }}
    {}
    ~Server() { stop(); }
    void stop()
    {
        if (!thread_.joinable()) return;
        asio::post(io_, [this] {
            stub_.die();
            asio::co_spawn(io_, stub_.stop(), [](const std::exception_ptr&) {});
        });
        thread_.join();
    }
    Outcome opsd(std::vector<std::string> words)
    {
        words.insert(words.end(), {"--url", stub_.url()});
        return run_opsd(std::move(words));
    }
    /// After stop().
    [[nodiscard]] const std::vector<Asked>& asked() const { return stub_.asked; }

private:
    asio::io_context io_{1};
    HttpStub stub_;
    std::thread thread_;
};

Reply body(std::string_view text) { return answer(200, text); }

/// Events that end with the connection.
Reply events(const std::string& text)
{
    return {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n" + text};
}

std::string entry(const std::string& message, int priority = 6)
{
    return R"({"time":"2026-11-28T02:00:00.000Z","unit":"ssh.service","priority":)" + std::to_string(priority)
           + R"(,"fields":{"MESSAGE":")" + message + R"(","_HOSTNAME":"n1","_PID":"7"},"cursor":"c"})";
}

TEST(LogCommand, AsksForWhatIsMeant)
{
    EXPECT_EQ(log_path({}), "/api/v1/logs?format=ndjson");
    LogOptions options{
        .node = "a,b", .unit = "ssh", .lines = "60", .since = "-1h", .priority = "err", .grep = "a b|c"};
    EXPECT_EQ(log_path(options),
              "/api/v1/logs?format=ndjson&node=a%2Cb&unit=ssh&lines=60&since=-1h&priority=err"
              "&grep=a%20b%7Cc");
    options = {.leader = true, .follow = true};
    EXPECT_EQ(log_path(options), "/api/v1/logs?format=sse&node=leader");
    options = {.all = true};
    EXPECT_EQ(log_path(options), "/api/v1/logs?format=ndjson&node=all");
    EXPECT_EQ(run_opsd({"log", "--all", "--leader"}).status, exit_usage);
}

TEST(LogCommand, AnEntryIsALineColouredByItsPriority)
{
    const auto shown = [](const std::string& message, int priority, bool colour) {
        return entry_text(json::parse(entry(message, priority)), Style{.colour = colour});
    };
    EXPECT_EQ(shown("hello", 6, true), "2026-11-28T02:00:00.000Z n1 ssh.service[7]: hello\n");
    EXPECT_EQ(shown("bad", 3, false), "2026-11-28T02:00:00.000Z n1 ssh.service[7] err: bad\n");
    EXPECT_TRUE(shown("bad", 3, true).ends_with("err: \x1b[31mbad\x1b[0m\n")) << shown("bad", 3, true);
    EXPECT_TRUE(shown("warn", 4, true).contains("\x1b[33mwarn"));
    EXPECT_EQ(shown("one\\ntwo\\u001b[2J", 6, false),
              "2026-11-28T02:00:00.000Z n1 ssh.service[7]: one\n    two?[2J\n")
        << "nothing drives the terminal";
    EXPECT_EQ(entry_text(json::parse(R"({"fields":{"MESSAGE":["a","b"],"SYSLOG_IDENTIFIER":"x"}})"), {}),
              "  x: b\n");
}

TEST(LogCommand, WritesEntriesAndNamesWhoIsMissing)
{
    Server server{{body(entry("one") + "\n" + entry("two", 3) + "\n"),
                   body(R"({"missing":{"node":"10.0.0.3","reason":"cannot hear it"}})"
                        "\n"
                        + entry("one") + "\n" + R"({"lost":7,"node":"10.0.0.2"})" + "\n"),
                   body(entry("one") + "\n"), body("<html>"), answer(204, ""),
                   answer(403, R"({"detail":"cannot read the log of x"})")}};
    auto got = server.opsd({"log", "ssh"});
    EXPECT_EQ(got.status, exit_ok) << got.err;
    EXPECT_EQ(got.out, "2026-11-28T02:00:00.000Z n1 ssh.service[7]: one\n"
                       "2026-11-28T02:00:00.000Z n1 ssh.service[7] err: two\n")
        << "no colour where there is no terminal";
    got = server.opsd({"log", "--all"});
    EXPECT_EQ(got.status, exit_unavailable);
    EXPECT_EQ(got.err, "opsd: 10.0.0.3 is missing: cannot hear it\n"
                       "opsd: 7 entries of 10.0.0.2 were deleted before they could be read\n");
    EXPECT_EQ(server.opsd({"log", "-o", "json"}).out, entry("one") + "\n");
    EXPECT_EQ(server.opsd({"log"}).status, exit_failed) << "it is not opsd that answers";
    got = server.opsd({"log"});
    EXPECT_EQ(got.status, exit_ok);
    EXPECT_EQ(got.err, "No entries.\n");
    got = server.opsd({"log", "x"});
    EXPECT_EQ(got.status, exit_denied);
    EXPECT_EQ(got.err, "opsd: cannot read the log of x\n");
    server.stop();
    EXPECT_EQ(server.asked().at(0).path, "/api/v1/logs?format=ndjson&unit=ssh");
    EXPECT_EQ(server.opsd({"log"}).status, exit_unavailable) << "nobody listens";
}

TEST(LogCommand, FollowsOnWithTheLastIdWhereItBrokeOff)
{
    Server server{{events("id: 7\ndata: " + entry("one") + "\n\n: ping\n\nid: 8\ndata: " + entry("two")
                          + "\n\nid: 9\ndata: cut"),
                   events("event: lost\ndata: {\"entries\":5}\n\n"
                          "event: lost\ndata: {\"node\":\"c\",\"lost\":6}\n\n"
                          "event: missing\ndata: {\"node\":\"b\",\"reason\":\"cannot hear it\"}\n\n"
                          "event: back\ndata: {\"node\":\"b\"}\n\nid: 10\ndata: "
                          + entry("three") + "\n\n")}};
    const auto got = server.opsd({"log", "--follow", "-o", "json"});
    EXPECT_EQ(got.out, entry("one") + "\n" + entry("two") + "\n" + entry("three") + "\n");
    EXPECT_EQ(got.err, "opsd: 5 entries were deleted before they could be read\n"
                       "opsd: 6 entries of c were deleted before they could be read\n"
                       "opsd: b is missing: cannot hear it\nopsd: b answers again\nopsd: no more\n");
    EXPECT_EQ(got.status, exit_failed) << "a refusal ends it";
    server.stop();
    ASSERT_EQ(server.asked().size(), 3U);
    EXPECT_FALSE(server.asked()[0].head.contains("Last-Event-ID"));
    EXPECT_TRUE(server.asked()[1].has("Last-Event-ID: 8")) << server.asked()[1].head;
    EXPECT_TRUE(server.asked()[1].has("Accept: text/event-stream"));
    EXPECT_TRUE(server.asked()[2].has("Last-Event-ID: 10"));
}

TEST(TaskCommands, AFileIsReadWhereItIs)
{
    const std::string elsewhere = "/system/v1/agent/S2/logs/v2/task/frameworks/f/executors/e/runs/c/a/b.txt";
    Server server{{answer(303, "", "Location: " + elsewhere + "?cursor=END&skip=-3\r\n"), body("one\ntwo"),
                   body("all\n"), answer(404, R"({"detail":"cannot find the task \"x\""})")}};
    auto got = server.opsd({"task", "log", "web/1", "a/b.txt", "--lines", "3"});
    EXPECT_EQ(got.status, exit_ok) << got.err;
    EXPECT_EQ(got.out, "one\ntwo\n");
    EXPECT_EQ(server.opsd({"task", "log", "web", "--lines", "all"}).out, "all\n");
    got = server.opsd({"task", "log", "x"});
    EXPECT_EQ(got.status, exit_failed);
    EXPECT_EQ(got.err, "opsd: cannot find the task \"x\"\n");
    server.stop();
    EXPECT_EQ(server.asked().at(0).path, "/system/v1/logs/v2/task/web%2F1/file/a/b.txt?cursor=END&skip=-3");
    EXPECT_EQ(server.asked().at(1).path, elsewhere + "?cursor=END&skip=-3");
    EXPECT_EQ(server.asked().at(2).path, "/system/v1/logs/v2/task/web/file/stdout");
}

TEST(TaskCommands, AFollowedFileIsWholeLines)
{
    const auto data = [](const std::string& message) {
        return "data: {\"fields\":{\"MESSAGE\":\"" + message + "\"}}\n\n";
    };
    Server server{{events("id: 4\n" + data("one") + "id: 9\n"
                          + data("long [the line goes on in the next event]") + "id: 14\n" + data("er")),
                   answer(404, R"({"detail":"cannot read it: it is gone"})")}};
    const auto got = server.opsd({"task", "log", "web", "--follow"});
    EXPECT_EQ(got.out, "one\nlonger\n");
    EXPECT_EQ(got.err, "opsd: cannot read it: it is gone\n");
    server.stop();
    EXPECT_TRUE(server.asked().at(1).has("Last-Event-ID: 14"));
}

TEST(TaskCommands, ListsTasksAndFiles)
{
    Server server{
        {body(R"({"tasks":[{"id":"web.1","name":"web","state":"TASK_RUNNING","agent":"10.0.0.2:5051"}]})"),
         body(
             R"([{"mode":"-rw-r--r--","uid":"root","gid":"wheel","size":12,"mtime":7,"path":"/w/a/stdout"}])"),
         body(R"({"tasks":[]})")}};
    auto got = server.opsd({"task", "list"});
    EXPECT_EQ(got.out, "NAME  STATE    AGENT          ID\nweb   RUNNING  10.0.0.2:5051  web.1\n") << got.err;
    got = server.opsd({"task", "ls", "web", "a"});
    EXPECT_TRUE(got.out.contains("-rw-r--r--  root  wheel  12    1970-01-01 00:00  stdout\n")) << got.out;
    EXPECT_EQ(server.opsd({"task", "list", "--completed"}).out, "No tasks.\n");
    server.stop();
    EXPECT_EQ(server.asked().at(1).path, "/system/v1/logs/v2/task/web/browse?path=a");
    EXPECT_EQ(server.asked().at(2).path, "/api/v1/tasks?completed");
}

TEST(TaskCommands, ADownloadIsWholeOrNotThereAndOverwritesNothing)
{
    const TempDir folder;
    const auto to = folder / "core";
    Server server{{body("bytes\0more"), {"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ncut"}}};
    auto got = server.opsd({"task", "download", "web", "logs/core", "--to", to});
    EXPECT_EQ(got.status, exit_ok) << got.err;
    EXPECT_EQ(files::read_file(to, 100).value_or(""), "bytes");
    got = server.opsd({"task", "download", "web", "logs/core", "--to", to});
    EXPECT_EQ(got.status, exit_usage);
    EXPECT_EQ(files::read_file(to, 100).value_or(""), "bytes");
    got = server.opsd({"task", "download", "web", "logs/core", "--to", folder / "other"});
    EXPECT_EQ(got.status, exit_unavailable) << got.err;
    EXPECT_FALSE(std::filesystem::exists(folder / "other"));
    server.stop();
    EXPECT_EQ(server.asked().at(0).path, "/system/v1/logs/v2/task/web/file/logs/core/download");
}

TEST(EventLines, AreCutFromAnyPieces)
{
    const std::string text = ": ping\n\nid: 7\r\nevent: lost\r\ndata: a\r\ndata:b\r\n\r\nid: 8\n\ndata\n\n";
    for (std::size_t size = 1; size <= text.size(); size += 3) {
        EventCutter cutter;
        std::string seen;
        for (std::size_t at = 0; at < text.size(); at += size) {
            EXPECT_TRUE(cutter.feed(std::string_view{text}.substr(at, size), [&](const ServerEvent& event) {
                seen += event.id + "|" + event.type + "|" + event.data + ";";
                return true;
            }));
        }
        EXPECT_EQ(seen, "7|lost|a\nb;||;") << size;
        EXPECT_EQ(cutter.last_id(), "8") << "an id counts also without data";
    }
    EventCutter cutter;
    EXPECT_FALSE(cutter.feed("data: a\n\ndata: b\n\n", [](const ServerEvent&) { return false; }));
}

}  // namespace
}  // namespace opsd::cli
