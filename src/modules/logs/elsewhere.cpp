#include "modules/logs/elsewhere.hpp"

#include "io/files/files.hpp"
#include "io/mesos/address.hpp"
#include "io/net/client.hpp"
#include "opsd/worker.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include <array>
#include <cerrno>

namespace opsd::logs {
namespace {

constexpr std::size_t largest_leader_answer = 64U * 1024;

std::unexpected<Error> no_agent()
{
    return fail(Errc::unavailable, "cannot read files of tasks: no agent is configured (logs.tasks.agent)");
}

std::unexpected<Error> no_peers()
{
    return fail(Errc::unavailable, "cannot ask other nodes: module cluster is not running");
}

/// This node's agent over its files API.
struct Agent {
    Agent(const Executor& executor, const TaskOptions& options)
      : client{executor, net::TlsClientOptions{.ca_file = options.ca}}
      , files{client, mesos::FilesOptions{.url = options.agent, .timeout = options.timeout}}
    {}
    net::HttpClient client;
    mesos::AgentFiles files;
};

Task<Result<std::uint64_t>> agent_size(std::shared_ptr<Agent> agent, std::string path, std::string caller)
{
    co_return co_await agent->files.size(std::move(path), std::move(caller));
}

Task<Result<std::string>> agent_read(std::shared_ptr<Agent> agent, std::string path, std::uint64_t offset,
                                     std::size_t length, std::string caller)
{
    co_return co_await agent->files.read(std::move(path), offset, length, std::move(caller));
}

Task<Result<std::vector<mesos::FileItem>>> agent_browse(std::shared_ptr<Agent> agent, std::string path,
                                                        std::string caller)
{
    co_return co_await agent->files.browse(std::move(path), std::move(caller));
}

Task<Result<std::string>> agent_id(std::shared_ptr<RetiringWorker> worker, std::string work_dir)
{
    auto job = [work_dir = std::move(work_dir)] { return read_agent_id(work_dir); };
    co_return co_await worker->run(std::move(job));
}

Task<Result<std::string>> masters_state(std::shared_ptr<net::PeersPlace> place, net::Deadline end,
                                        std::string authorization)
{
    const auto peers = place->get();
    if (!peers || !peers->mesos_state)
        co_return fail(peers ? Errc::not_found : Errc::unavailable,
                       peers ? "cannot look for tasks: no Mesos masters are configured; set "
                               "cluster.sources.mesos.masters or cluster.sources.zookeeper.address"
                             : no_peers().error().message);
    co_return co_await peers->mesos_state(end, std::move(authorization));
}

Task<Result<std::unique_ptr<net::Incoming>>> open_at(std::shared_ptr<net::PeersPlace> place,
                                                     std::string address, net::ClientRequest request)
{
    const auto peers = place->get();
    if (!peers) co_return no_peers();
    co_return co_await peers->open(std::move(address), std::move(request));
}

Task<Result<std::string>> marathon_leader(std::shared_ptr<net::HttpClient> client, MarathonOptions options)
{
    if (options.url.empty())
        co_return fail(Errc::unavailable, "cannot ask who leads Marathon: logs.marathon.url is not set");
    net::ClientRequest request;
    request.url = options.url + "/v2/leader";
    request.timeout = options.timeout;
    request.max_body = largest_leader_answer;
    request.headers.emplace_back("Accept", "application/json");
    auto answer = co_await client->send(std::move(request));
    if (!answer) co_return fail(std::move(answer).error().wrap("cannot ask who leads Marathon"));
    if (answer->status != 200)
        co_return fail(Errc::unavailable,
                       fmt::format("cannot ask who leads Marathon: it answered {}", answer->status));
    co_return parse_marathon_leader(answer->body);
}

}  // namespace

Elsewhere nowhere()
{
    Elsewhere none;
    none.size = [](std::string, std::string) -> Task<Result<std::uint64_t>> { co_return no_agent(); };
    none.read = [](std::string, std::uint64_t, std::size_t, std::string) -> Task<Result<std::string>> {
        co_return no_agent();
    };
    none.browse = [](std::string, std::string) -> Task<Result<std::vector<mesos::FileItem>>> {
        co_return no_agent();
    };
    none.agent_id = []() -> Task<Result<std::string>> {
        co_return fail(Errc::not_found, "cannot find the agent: there is none");
    };
    none.mesos_state = [](net::Deadline, std::string) -> Task<Result<std::string>> { co_return no_peers(); };
    none.marathon_leader = []() -> Task<Result<std::string>> { co_return no_peers(); };
    none.open = [](std::string, net::ClientRequest) -> Task<Result<std::unique_ptr<net::Incoming>>> {
        co_return no_peers();
    };
    return none;
}

Elsewhere real_elsewhere(const LogsOptions& options, const Services& services,
                         std::shared_ptr<net::PeersPlace> peers)
{
    auto real = nowhere();
    if (!options.tasks.agent.empty()) {
        const auto agent = std::make_shared<Agent>(services.executor, options.tasks);
        real.size = [agent](std::string path, std::string caller) {
            return agent_size(agent, std::move(path), std::move(caller));
        };
        real.read = [agent](std::string path, std::uint64_t offset, std::size_t length, std::string caller) {
            return agent_read(agent, std::move(path), offset, length, std::move(caller));
        };
        real.browse = [agent](std::string path, std::string caller) {
            return agent_browse(agent, std::move(path), std::move(caller));
        };
        const auto worker = std::make_shared<RetiringWorker>("opsd-logs-agent", 4);
        real.agent_id = [worker, folder = options.tasks.work_dir] { return agent_id(worker, folder); };
    }
    real.mesos_state = [peers](net::Deadline end, std::string authorization) {
        return masters_state(peers, end, std::move(authorization));
    };
    real.open = [peers](std::string address, net::ClientRequest request) {
        return open_at(peers, std::move(address), std::move(request));
    };
    const auto client = std::make_shared<net::HttpClient>(services.executor);
    real.marathon_leader = [client, marathon = options.marathon] {
        return marathon_leader(client, marathon);
    };
    return real;
}

Result<std::string> parse_marathon_leader(std::string_view body)
{
    const auto document = nlohmann::json::parse(body, nullptr, false);
    const auto wrong = fail(Errc::protocol, "cannot read who leads Marathon: the answer has no leader");
    if (!document.is_object()) return wrong;
    const auto leader = document.find("leader");
    if (leader == document.end() || !leader->is_string()) return wrong;
    const auto at = mesos::parse_host_port(leader->get<std::string>());
    if (!at) return wrong;
    return mesos::join_host_port(at->host, at->port);
}

Result<std::string> read_agent_id(const std::string& work_dir)
{
    const auto link = work_dir + "/meta/slaves/latest";
    std::array<char, 4096> target{};
    const auto size = ::readlink(link.c_str(), target.data(), target.size());
    if (size < 0) {
        const int number = errno;
        if (number == ENOENT || number == ENOTDIR)
            return fail(Errc::not_found, "cannot find the Mesos agent of this node: there is no " + link);
        return fail(files::system_error("read", link, number));
    }
    std::string_view path{target.data(), static_cast<std::size_t>(size)};
    while (path.ends_with('/'))
        path.remove_suffix(1);
    const auto id = path.substr(path.rfind('/') + 1);
    if (id.empty() || id.size() > 255 || static_cast<std::size_t>(size) == target.size())
        return fail(
            Errc::protocol,
            fmt::format("cannot read the id of the Mesos agent: {} does not lead to its folder", link));
    return std::string{id};
}

}  // namespace opsd::logs
