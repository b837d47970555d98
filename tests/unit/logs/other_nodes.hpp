#pragma once
// Other nodes, in memory: what each answers, when, and how it fails.

#include "modules/logs/elsewhere.hpp"
#include "opsd/cluster.hpp"

#include "logs_node.hpp"

#include <deque>
#include <map>

namespace opsd::logs::test {

/// An answer whose pieces come when the test says so.
struct Script {
    unsigned status = 200;
    std::vector<std::pair<std::string, std::string>> headers = {{"content-type", "application/json"}};
    std::deque<std::string> pieces;
    bool ends = true;             ///< after its pieces
    std::optional<Error> breaks;  ///< after its pieces, instead
    std::optional<Error> refuses;
    bool silent = false;  ///< no head ever
    int taken = 0;        ///< pieces
    std::list<asio::steady_timer*> waiting;

    void say(std::string piece)
    {
        pieces.push_back(std::move(piece));
        wake();
    }
    void wake()
    {
        for (auto* timer : waiting)
            timer->cancel();
    }
};

class FakeIncoming final : public net::Incoming {
public:
    FakeIncoming(const Executor& executor, std::shared_ptr<Script> script)
      : script_{std::move(script)}
      , event_{executor, never}
      , place_{script_->waiting.insert(script_->waiting.end(), &event_)}
    {
        head_.status = script_->status;
        head_.headers = script_->headers;
    }
    ~FakeIncoming() override { script_->waiting.erase(place_); }
    Task<Result<std::string>> next() override
    {
        for (;;) {
            if (!script_->pieces.empty()) {
                auto piece = std::move(script_->pieces.front());
                script_->pieces.pop_front();
                ++script_->taken;
                co_return piece;
            }
            if (script_->breaks) co_return fail(*script_->breaks);
            if (script_->ends) co_return std::string{};
            co_await wait_event(event_);
        }
    }

private:
    std::shared_ptr<Script> script_;
    asio::steady_timer event_;
    std::list<asio::steady_timer*>::iterator place_;
};

struct AskedNode {
    std::string address;
    net::ClientRequest request;
    [[nodiscard]] std::string header(std::string_view name) const
    {
        for (const auto& [key, value] : request.headers)
            if (key == name) return value;
        return "(none)";
    }
};

inline std::shared_ptr<const Member> member(std::string address, std::string role = "agent",
                                            std::string mesos_id = {}, bool self = false)
{
    Member one;
    one.identity = {.hostname = "host-" + address,
                    .ip = address,
                    .role = std::move(role),
                    .mesos_id = std::move(mesos_id),
                    .dcos_version = {}};
    one.address = std::move(address);
    one.self = self;
    return std::make_shared<const Member>(std::move(one));
}

/// A node of a cluster: itself 10.0.0.1, which is a master.
class LogsCluster : public LogsNode {
protected:
    LogsCluster()
    {
        elsewhere.open = [this](std::string address, net::ClientRequest request) {
            return answer_of(std::move(address), std::move(request));
        };
        auto self = *member("10.0.0.1", "master", "m-id", true);
        self.leader = true;
        members = {std::make_shared<const Member>(self), member("10.0.0.2", "agent", "a-S2"),
                   member("10.0.0.3", "agent", "a-S3")};
        publish();
    }
    void publish()
    {
        Cluster cluster;
        cluster.members = members;
        cluster.watching = true;
        cluster.incomplete = incomplete;
        board.cluster.publish(std::move(cluster), clock.now());
    }
    /// The next answer of the node.
    std::shared_ptr<Script> script(const std::string& address)
    {
        auto one = std::make_shared<Script>();
        scripts[address].push_back(one);
        return one;
    }

    std::vector<std::shared_ptr<const Member>> members;
    std::string incomplete;
    std::map<std::string, std::deque<std::shared_ptr<Script>>> scripts;
    std::vector<AskedNode> asked;

private:
    Task<Result<std::unique_ptr<net::Incoming>>> answer_of(std::string address, net::ClientRequest request)
    {
        const auto timeout = request.timeout;
        asked.push_back({address, std::move(request)});
        auto& waiting = scripts[address];
        if (waiting.empty()) co_return fail(Errc::unavailable, "cannot connect to " + address);
        const auto one = waiting.front();
        waiting.pop_front();
        if (one->silent) {
            co_await clock.sleep_for(timeout);
            co_return fail(Errc::timeout, "cannot hear " + address);
        }
        if (one->refuses) co_return fail(*one->refuses);
        co_return std::make_unique<FakeIncoming>(io.get_executor(), one);
    }
};

}  // namespace opsd::logs::test
