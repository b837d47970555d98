#include "modules/logs/task_routes.hpp"

#include "http/router.hpp"

#include "support.hpp"

#include <nlohmann/json.hpp>

#include <map>

namespace opsd::logs {
namespace {

using namespace std::chrono_literals;
using http::Method;
using http::Response;

const std::string run_of_web = "/w/slaves/a-S0/frameworks/f1/executors/web.1/runs/c1";
const std::string run_route = "/system/v1/logs/v2/task/frameworks/f1/executors/web.1/runs/c1";

/// A client of a stream that leaves when it has seen enough, or after so many pings.
class Listener final : public http::StreamWriter {
public:
    Listener(Executor executor, std::function<bool(std::string_view)> enough)
      : left_{std::move(executor), never}
      , enough_{std::move(enough)}
    {}
    Task<Result<>> write(std::string_view chunk) override
    {
        text += chunk;
        if (enough_(text)) {
            gone_ = true;
            left_.cancel();
        }
        co_return Result<>{};
    }
    Task<> closed() override
    {
        if (!gone_) co_await wait_event(left_);
    }
    void set_whole(bool is) override { whole = is; }
    std::string text;
    bool whole = true;

private:
    asio::steady_timer left_;
    std::function<bool(std::string_view)> enough_;
    bool gone_ = false;
};

/// A node with an agent, whose files are in memory.
struct Node {
    Node()
    {
        auto built = http::Router::build(task_routes(logs));
        EXPECT_TRUE(built.has_value()) << built.error().message;
        router = *built;
        files[run_of_web + "/stdout"] = "one\ntwo\nthree\nfour\nfive\n\n";
        files["/w/slaves/a-S0/frameworks/f1/executors/exec/runs/outer/tasks/pod-a/stderr"] = "in a pod\n";
    }

    std::shared_ptr<TaskLogs> make()
    {
        const auto content = [this](const std::string& path, const std::string& authorization) {
            authorizations.push_back(authorization);
            paths.push_back(path);
            return files.find(path);
        };
        const auto missing = [](const std::string& path) {
            return fail(Errc::not_found, "cannot read " + path + ": the agent has no such file");
        };
        return std::make_shared<TaskLogs>(TaskLogs{
            .find = [this](std::string wanted, std::string) -> Task<Result<mesos::FoundTask>> {
                const auto task = tasks.find(wanted);
                if (task == tasks.end()) co_return fail(Errc::not_found, "cannot find the task");
                co_return task->second;
            },
            .agent = [this] { return agent; },
            .size = [=, this](std::string path, std::string token) -> Task<Result<std::uint64_t>> {
                const auto file = content(path, token);
                if (file == files.end()) co_return missing(path);
                co_return file->second.size();
            },
            .read = [=, this](std::string path, std::uint64_t offset, std::size_t length,
                              std::string token) -> Task<Result<std::string>> {
                ++reads;
                const auto file = content(path, token);
                if (file == files.end() || (fail_after > 0 && reads > fail_after)) co_return missing(path);
                if (offset >= file->second.size()) co_return std::string{};
                co_return file->second.substr(offset, length);
            },
            .browse = [=](std::string path, std::string token) -> Task<Result<std::vector<mesos::FileItem>>> {
                content(path, token);
                co_return std::vector<mesos::FileItem>{{.path = path + "/stdout",
                                                        .mode = "-rw-r--r--",
                                                        .uid = "root",
                                                        .gid = "wheel",
                                                        .size = 5,
                                                        .mtime = 7,
                                                        .nlink = 1}};
            },
            .broken_off = [this](const Error& error) { broken.push_back(error.message); },
            .clock = clock,
            .options = {.poll = 1ms, .ping = 5ms, .patience = 50ms}});
    }

    Response get(std::string path, std::vector<std::pair<std::string, std::string>> query = {},
                 std::string accept = "text/plain", std::string last_event_id = {})
    {
        Response response;
        opsd::test::run([&]() -> Task<> {
            const auto match = router->find(Method::get, path);
            EXPECT_NE(match.route, nullptr) << path;
            if (match.route == nullptr) co_return;
            EXPECT_EQ(match.route->access, http::Access::read);
            http::Request request;
            request.path = path;
            request.path_params = match.params;
            for (auto& [name, value] : query)
                request.query.add(name, value);
            request.headers.add("accept", accept);
            request.headers.add("authorization", "token=abc");
            request.caller.foreign = true;
            if (!last_event_id.empty()) request.headers.add("last-event-id", last_event_id);
            response = co_await match.route->handler(request);
        });
        return response;
    }

    /// What a stream says until `enough`; "TORN" at the end of one that must not be taken for whole.
    std::string listen(const Response& response, std::function<bool(std::string_view)> enough)
    {
        std::string text;
        opsd::test::run([&]() -> Task<> {
            EXPECT_TRUE(response.producer);
            if (!response.producer) co_return;
            Listener listener{co_await asio::this_coro::executor, enough};
            co_await response.producer(listener);
            text = listener.text + (listener.whole ? "" : "TORN");
        });
        return text;
    }

    std::map<std::string, std::string> files;
    std::map<std::string, mesos::FoundTask> tasks{
        {"web", {.id = "web.1", .agent_id = "a-S0", .framework_id = "f1", .containers = {"c1"}}},
        {"far", {.id = "far.1", .agent_id = "b-S1", .framework_id = "f1", .containers = {"c9"}}},
        {"pod-a",
         {.id = "pod-a",
          .agent_id = "a-S0",
          .framework_id = "f1",
          .executor_id = "exec",
          .containers = {"outer", "inner"}}}};
    LocalAgent agent{"a-S0", "/w/slaves/a-S0"};
    SystemClock clock;
    std::vector<std::string> authorizations;
    std::vector<std::string> paths;
    std::vector<std::string> broken;
    int reads = 0;
    int fail_after = 0;
    std::shared_ptr<TaskLogs> logs = make();
    std::shared_ptr<const http::Router> router;
};

std::string header(const Response& response, std::string_view name)
{
    for (const auto& [key, value] : response.headers) {
        if (key == name) return value;
    }
    return {};
}

const auto never_enough = [](std::string_view) { return false; };

TEST(TaskRoutes, ATaskOfThisNodeIsAnsweredHere)
{
    Node node;
    const auto response = node.get("/system/v1/logs/v2/task/web", {{"cursor", "END"}, {"skip", "-2"}});
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.type, "text/plain; charset=utf-8");
    EXPECT_EQ(response.body, "four\nfive\n");
    EXPECT_EQ(node.get("/system/v1/logs/v2/task/web/file/stdout", {{"skip", "3"}, {"limit", "1"}}).body,
              "four\n");
    EXPECT_EQ(node.get("/system/v1/logs/v2/task/pod-a/file/stderr").body, "in a pod\n");
    EXPECT_EQ(node.authorizations.front(), "token=abc") << "the caller's";
}

TEST(TaskRoutes, ATaskOfAnotherNodeIsRedirected)
{
    Node node;
    const std::string far = "/system/v1/agent/b-S1/logs/v2/task/frameworks/f1/executors/far.1/runs/c9";
    auto response = node.get("/system/v1/logs/v2/task/far", {{"cursor", "END"}, {"skip", "-10"}});
    EXPECT_EQ(response.status, 303U);
    EXPECT_EQ(header(response, "Location"), far + "/stdout?cursor=END&skip=-10");
    response = node.get("/system/v1/logs/v2/task/far/file/stderr");
    EXPECT_EQ(header(response, "Location"), far + "/stderr");
    response = node.get("/system/v1/logs/v2/task/far/browse");
    EXPECT_EQ(header(response, "Location"), far + "/files/browse");
    response = node.get("/system/v1/logs/v2/task/far/download");
    EXPECT_EQ(header(response, "Location"), far + "/stdout/download");
    response = node.get("/system/v1/logs/v2/task/far/file/core/download");
    EXPECT_EQ(header(response, "Location"), far + "/core/download");
    EXPECT_TRUE(node.paths.empty()) << "nothing was read";
}

TEST(TaskRoutes, WhatDoesNotExistIsNotFound)
{
    Node node;
    EXPECT_EQ(node.get("/system/v1/logs/v2/task/none").status, 404U);
    EXPECT_EQ(node.get("/system/v1/logs/v2/task/web/file/none").status, 404U);
    EXPECT_EQ(node.get(run_route + "/none").status, 404U);
    EXPECT_EQ(node.get(run_route + "/none", {}, "text/event-stream").status, 404U) << "before the stream";
    EXPECT_EQ(node.get(run_route + "/none/download").status, 404U);
    node.agent = {};
    EXPECT_EQ(node.get(run_route + "/stdout").status, 404U) << "no agent here";
}

TEST(TaskRoutes, TheFoldersOfATaskAreRoutesToo)
{
    Node node;
    EXPECT_EQ(node.get(run_route + "/stdout", {{"cursor", "7"}, {"skip", "1"}}).body, "four\nfive\n");
    EXPECT_EQ(
        node.get("/system/v1/logs/v2/task/frameworks/f1/executors/exec/runs/outer/tasks/pod-a/stderr").body,
        "in a pod\n");
    EXPECT_EQ(node.get(run_route + "/stdout", {{"cursor", "END"}, {"skip", "-1"}}, "text/plain", "7").body,
              "three\nfour\nfive\n")
        << "with a Last-Event-ID the others are ignored";
}

TEST(TaskRoutes, BadParametersAreSaidSo)
{
    Node node;
    EXPECT_EQ(node.get(run_route + "/stdout", {{"cursor", "-1"}}).status, 400U);
    EXPECT_EQ(node.get(run_route + "/stdout", {{"limit", "x"}}).status, 400U);
    EXPECT_EQ(node.get(run_route + "/stdout", {{"max_entry", "1"}}, "text/event-stream").status, 400U);
    EXPECT_EQ(node.get("/system/v1/logs/v2/task/frameworks/../executors/web.1/runs/c1/stdout").status, 400U);
    EXPECT_EQ(node.get("/system/v1/logs/v2/task/web/file/..").status, 400U);
    EXPECT_TRUE(node.paths.empty());
}

TEST(TaskRoutes, AnEmptyFileIsAnEmptyAnswer)
{
    Node node;
    node.files[run_of_web + "/stderr"] = "";
    const auto response = node.get(run_route + "/stderr", {{"cursor", "END"}, {"skip", "-10"}});
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.body, "");
}

TEST(TaskRoutes, ALongTextIsStreamedByteByByte)
{
    Node node;
    std::string content;
    for (int i = 0; content.size() < 1'000'000; ++i)
        content += "line " + std::to_string(i) + "\n";
    content += std::string(600'000, 'x') + "\nlast";
    node.files[run_of_web + "/stdout"] = content;
    const auto response = node.get(run_route + "/stdout");
    EXPECT_EQ(node.listen(response, never_enough) == content + "\n", true);
    bool once = false;
    const auto again = node.get(run_route + "/stdout");
    const auto some = node.listen(again, [&](std::string_view) { return std::exchange(once, true); });
    EXPECT_TRUE(some.ends_with("TORN")) << "when opsd stops, or the client left";
}

TEST(TaskRoutes, ATextThatCannotBeEndedIsTorn)
{
    Node node;
    node.files[run_of_web + "/stdout"] = std::string(1'000'000, 'x');
    node.fail_after = 10;
    const auto response = node.get(run_route + "/stdout");
    EXPECT_EQ(response.status, 200U);
    EXPECT_TRUE(node.listen(response, never_enough).ends_with("TORN"));
    ASSERT_EQ(node.broken.size(), 1U);
    EXPECT_TRUE(node.broken[0].starts_with("cannot read "));
}

TEST(TaskRoutes, EventsAreFollowed)
{
    Node node;
    const auto response = node.get(run_route + "/stdout", {{"cursor", "END"}, {"skip", "-1"}},
                                   "application/json, text/event-stream;q=0.9");
    EXPECT_EQ(response.type, "text/event-stream");
    bool grown = false;
    const auto text = node.listen(response, [&](std::string_view seen) {
        if (!std::exchange(grown, true)) node.files[run_of_web + "/stdout"] += "six\n";
        return seen.contains("\"six\"");
    });
    EXPECT_TRUE(text.starts_with("id: 24\ndata: {\"fields\":{\"AGENT_ID\":\"a-S0\",\"CONTAINER_ID\":\"c1\","
                                 "\"EXECUTOR_ID\":\"web.1\",\"FILE\":\"stdout\",\"FRAMEWORK_ID\":\"f1\","
                                 "\"MESSAGE\":\"five\"},\"realtime_timestamp\":"))
        << text;
    EXPECT_TRUE(text.contains("\n\nid: 29\ndata: ")) << text;
    EXPECT_FALSE(text.contains("\"four\""));
}

TEST(TaskRoutes, AnIdleStreamPingsAlsoAfterItsLastLine)
{
    Node node;
    const auto response = node.get(run_route + "/stdout", {{"limit", "1"}}, "text/event-stream");
    const auto text =
        node.listen(response, [](std::string_view seen) { return seen.contains(": ping\n\n: ping\n\n"); });
    EXPECT_TRUE(text.contains("\"one\""));
    EXPECT_FALSE(text.contains("\"two\""));
}

TEST(TaskRoutes, AnExchangedFileIsToldAndReadFromItsBeginning)
{
    Node node;
    const auto response = node.get(run_route + "/stdout", {}, "text/event-stream");
    bool exchanged = false;
    const auto text = node.listen(response, [&](std::string_view seen) {
        if (!std::exchange(exchanged, true)) {
            node.files[run_of_web + "/stdout.1"] = node.files[run_of_web + "/stdout"] + "six\n";
            node.files[run_of_web + "/stdout"] = "fresh\n";
        }
        return seen.contains("\"fresh\"");
    });
    EXPECT_LT(text.find("\"six\""), text.find("event: rotated\nid: 0\n")) << "written before the exchange";
    EXPECT_LT(text.find("event: rotated"), text.find("id: 6\ndata: "));
}

TEST(TaskRoutes, AFollowedFileThatIsAwayForAMomentIsWaitedFor)
{
    Node node;
    const auto response = node.get(run_route + "/stdout", {}, "text/event-stream");
    const auto path = run_of_web + "/stdout";
    const auto content = node.files[path];
    int step = 0;
    const auto text = node.listen(response, [&](std::string_view seen) {
        if (step == 0 && seen.contains("\"five\"")) {
            node.files.erase(path);
            step = 1;
        } else if (step == 1 && seen.contains(": cannot read ")) {
            node.files[path] = content + "six\n";
            step = 2;
        }
        return seen.contains("\"six\"");
    });
    EXPECT_EQ(step, 2) << text;
}

TEST(TaskRoutes, AFollowedFileThatStaysAwayTearsTheStream)
{
    Node node;
    const auto response = node.get(run_route + "/stdout", {}, "text/event-stream");
    const auto text = node.listen(response, [&](std::string_view) {
        node.files.clear();
        return false;
    });
    EXPECT_TRUE(text.ends_with("TORN")) << text;
    EXPECT_EQ(node.broken.size(), 1U);
}

TEST(TaskRoutes, ListsTheFiles)
{
    Node node;
    const auto response = node.get(run_route + "/files/browse");
    EXPECT_EQ(response.type, "application/json");
    EXPECT_EQ(response.body, R"([{"gid":"wheel","mode":"-rw-r--r--","mtime":7,"nlink":1,"path":")"
                                 + run_of_web + R"(/stdout","size":5,"uid":"root"}])");
    EXPECT_EQ(node.get("/system/v1/logs/v2/task/web/browse").body, response.body);
    EXPECT_EQ(node.paths.back(), run_of_web);
}

TEST(TaskRoutes, DownloadsTheFileAsItIs)
{
    Node node;
    std::string bytes;
    for (int i = 0; i < 300'000; ++i)
        bytes += static_cast<char>(i * 31 % 256);
    node.files[run_of_web + "/core"] = bytes;
    auto response = node.get(run_route + "/core/download");
    EXPECT_EQ(response.type, "application/octet-stream");
    EXPECT_EQ(header(response, "Content-Disposition"), "attachment; filename=\"core\"");
    EXPECT_EQ(node.listen(response, never_enough) == bytes, true);
    response = node.get("/system/v1/logs/v2/task/web/download");
    EXPECT_EQ(node.listen(response, never_enough), node.files[run_of_web + "/stdout"]);
}

TEST(TaskRoutes, ADownloadOfAFileThatIsCutMeanwhileIsTorn)
{
    Node node;
    node.files[run_of_web + "/core"] = std::string(300'000, 'x');
    const auto response = node.get(run_route + "/core/download");
    const auto text = node.listen(response, [&](std::string_view) {
        node.files[run_of_web + "/core"] = "x";
        return false;
    });
    EXPECT_TRUE(text.ends_with("TORN"));
    EXPECT_EQ(node.broken, std::vector<std::string>{"cannot download the file: it became shorter meanwhile"});
}

TEST(TaskRoutes, AFileNameCannotForgeTheHeader)
{
    Node node;
    node.files[run_of_web + "/a\"b\\c\xc3\xa4"] = "x";
    EXPECT_EQ(header(node.get(run_route + "/a\"b\\c\xc3\xa4/download"), "Content-Disposition"),
              "attachment; filename=\"a_b_c__\"");
}

}  // namespace
}  // namespace opsd::logs
