#pragma once
// Scripted members for the followers, with a hand-moved clock: what each is asked, and what it answers.

#include "modules/cluster/follower.hpp"
#include "noon.hpp"

#include "support.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <map>

namespace opsd::cluster::test {

using namespace std::chrono_literals;

class Quiet final : public LogSink {
public:
    void write(Level, std::string_view) override {}
    [[nodiscard]] bool wants(Level) const noexcept override { return false; }
    void set_level(Level) override {}
};

/// A member and how it behaves.
struct Scripted {
    explicit Scripted(const Executor& executor) : news{executor, never} {}
    enum class Way { opsd, old_opsd, dcos, silent, refused, garbage, redirect, unauthorized, huge };
    Way way = Way::opsd;
    std::string instance = "run-1";
    std::string node_id = "machine";
    std::uint64_t version = 1;
    const Clock* clock = nullptr;
    std::chrono::milliseconds clock_ahead{};  // its clock, of ours
    bool failed = false;                      // its only unit
    bool readable = true;                     // its systemd
    std::string padding;                      // of the unit's output
    std::int64_t last_transition = 0;
    std::vector<std::string> history;  // pages, each given once
    bool history_closed = false;
    std::vector<net::ClientRequest> asked;
    int waiting = 0;
    std::optional<Errc> broken;  // the connection of those who wait
    asio::steady_timer news;

    [[nodiscard]] WallTime now() const { return clock->now() + clock_ahead; }
    [[nodiscard]] std::string etag() const { return fmt::format("\"{}.{}\"", instance, version); }
    [[nodiscard]] std::string document(std::uint64_t base = 0) const
    {
        auto text = fmt::format(
            R"({{"units":[{{"id":"a.service","health":{},"output":"{}","description":"","help":"","name":"a",)"
            R"("state":"{}","reason":"because"}}],"hostname":"host","ip":"","node_role":"agent","mesos_id":"")",
            failed ? 1 : 0, padding, failed ? "failed" : "running");
        if (way == Way::dcos) return text + "}";
        return text
               + fmt::format(
                   R"(,"node":{{"id":"{}","instance":"{}","version":{},"base":{},"health":{},"reason":"",)"
                   R"("systemd_readable":{},"time":"{}","last_transition":{}}}}})",
                   node_id, instance, version, base, failed ? 1 : 0, readable, rfc3339(now()),
                   last_transition);
    }
    void change()
    {
        failed = !failed;
        ++version;
        news.cancel();
    }
    void cut(Errc how)
    {
        broken = how;
        news.cancel();
    }
};

class Fleet : public ::testing::Test {
protected:
    ~Fleet() override { stop(); }

    Scripted& add(const std::string& address)
    {
        const auto made = members.try_emplace("http://" + address + ":1050", io.get_executor());
        made.first->second.clock = &clock;
        return made.first->second;
    }
    void start(const std::vector<std::string>& addresses)
    {
        std::vector<FoundMember> found;
        for (const auto& address : addresses) {
            add(address);
            found.push_back({.host = address});
        }
        Followers::Parts parts{
            .executor = io.get_executor(),
            .clock = clock,
            .table = table,
            .options = options,
            .reach = {},
            .backlog = 100,
            .send = [this](net::ClientRequest request) { return send(std::move(request)); },
            .changed = [this](TableChanges changes) { all.merge(std::move(changes)); },
            .kept = [this](const std::string&) { return kept; },
            .learned =
                [this](const std::string&, TransitionPage page) {
                    for (auto& row : page.rows)
                        learned.push_back(row.id);
                    if (!learned.empty()) kept = learned.back();
                },
            .log = Log{std::make_shared<Quiet>(), "cluster"},
            .seed = 1,
            .own_instance = "me"};
        followers = std::make_unique<Followers>(std::move(parts));
        const auto changes = table.named("static", found, 1050, clock.now());
        for (const auto& address : changes.follow)
            followers->follow(address);
        group =
            std::make_unique<TaskGroup>(io.get_executor(), [](std::string_view task, std::exception_ptr e) {
                ADD_FAILURE() << task << ": " << describe(e).what;
            });
        group->spawn("followers", followers->run());
        settle();
    }
    void stop()
    {
        if (!group) return;
        group->cancel();
        bool joined = false;
        asio::co_spawn(io, group->join(), [&](std::exception_ptr) { joined = true; });
        settle();
        EXPECT_TRUE(joined);
        group.reset();
        followers.reset();
    }
    void settle()
    {
        io.restart();
        while (io.poll() > 0) {
        }
    }
    void advance(std::chrono::milliseconds time)
    {
        clock.advance(time, [this] { settle(); });
        settle();
    }
    [[nodiscard]] Freshness freshness(const std::string& address) const
    {
        return table.find(address)->freshness;
    }
    [[nodiscard]] std::string state(const std::string& address) const
    {
        const auto member = table.find(address);
        return member->units.empty() ? "" : member->units.front().verdict->state;
    }
    /// A large document is read on a thread.
    template <class Condition>
    void until(Condition holds)
    {
        const auto end = std::chrono::steady_clock::now() + 10s;
        io.restart();
        while (!holds() && std::chrono::steady_clock::now() < end)
            io.run_one_for(1ms);
        EXPECT_TRUE(holds());
    }

    Task<Result<net::ClientResponse>> send(net::ClientRequest request)
    {
        const auto origin = request.url.substr(0, request.url.find('/', 7));
        auto& member = members.at(origin);
        member.asked.push_back(request);
        if (answers_later) co_await asio::post(io, asio::use_awaitable);
        if (request.url.find("/node/history") != std::string::npos) co_return history(member);
        using Way = Scripted::Way;
        net::ClientResponse response;
        response.status = 200;
        switch (member.way) {
        case Way::silent:
            co_await clock.sleep_for(request.first_byte_timeout);  // it accepted, and no more
            co_return fail(Errc::timeout, "cannot wait for " + origin);
        case Way::refused:
            co_return fail(Errc::unavailable, "cannot connect to " + origin);
        case Way::huge:
            co_return fail(Errc::protocol, "cannot take the answer: its body has too many bytes");
        case Way::garbage:
            response.body = "<html>hello";
            co_return response;
        case Way::redirect:
            response.status = 302;
            co_return response;
        case Way::unauthorized:
            response.status = 401;
            co_return response;
        case Way::dcos:
            response.status = request.url.ends_with("/system/health/v1") ? 200 : 404;
            response.body = member.document();
            co_return response;
        case Way::opsd:
        case Way::old_opsd:
            break;
        }
        const auto answered = co_await converse(member, request, response);
        if (!answered) co_return fail(answered.error());
        co_return response;
    }

    asio::io_context io{1};
    ManualClock clock{noon};
    PullOptions options;
    Table table{TableOptions{}};
    std::map<std::string, Scripted> members;
    std::unique_ptr<Followers> followers;
    std::unique_ptr<TaskGroup> group;
    TableChanges all;
    std::optional<std::int64_t> kept = 0;
    bool answers_later = false;  // not before what waits on the loop had its turn
    std::vector<std::int64_t> learned;

private:
    static std::string header(const net::ClientRequest& request, std::string_view name)
    {
        for (const auto& [key, value] : request.headers)
            if (key == name) return value;
        return "";
    }
    static Result<net::ClientResponse> history(Scripted& member)
    {
        net::ClientResponse response;
        response.status = member.history_closed ? 503 : member.history.empty() ? 404 : 200;
        if (response.status == 200) {
            response.body = member.history.front();
            member.history.erase(member.history.begin());
        }
        return response;
    }
    Task<> timer(std::chrono::milliseconds time) { co_await clock.sleep_for(time); }

    Task<Result<>> converse(Scripted& member, const net::ClientRequest& request,
                            net::ClientResponse& response)
    {
        using namespace boost::asio::experimental::awaitable_operators;
        const auto held = header(request, "If-None-Match");
        const auto prefer = header(request, "Prefer");
        const bool waits = !prefer.empty() && member.way == Scripted::Way::opsd;
        if (waits && held == member.etag()) {
            ++member.waiting;
            const auto seconds = std::chrono::seconds{std::stoi(prefer.substr(5))};
            co_await (timer(seconds) || wait_event(member.news));
            --member.waiting;
            if (member.broken)
                co_return fail(*std::exchange(member.broken, {}), "cannot read: the connection is dead");
        }
        if (waits) response.headers.emplace_back("preference-applied", "wait");
        response.headers.emplace_back("etag", member.etag());
        response.status = held == member.etag() ? 304 : 200;
        if (response.status == 200) response.body = member.document();
        co_return Result<>{};
    }
};

}  // namespace opsd::cluster::test
