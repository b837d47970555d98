#include "modules/forward/task_agent.hpp"

#include "core/gzip.hpp"
#include "io/mesos/files.hpp"
#include "io/net/client.hpp"
#include "opsd/task_group.hpp"

#include <fmt/format.h>

#include <exception>
#include <optional>
#include <utility>

namespace opsd::forward {
namespace {

constexpr std::size_t largest_state = std::size_t{64} << 20;

/// Questions to the agent from a thread that may wait for the answers, on a loop of its own.
class Asking {
public:
    Asking(const TaskOptions& options, std::string credentials, Clock& clock)
      : options_{options}
      , credentials_{std::move(credentials)}
      , clock_{clock}
      , client_{io_.get_executor(), net::TlsClientOptions{.ca_file = options.ca}}
      , files_{client_, mesos::FilesOptions{.url = options.agent, .timeout = options.timeout}}
    {}

    Result<std::uint64_t> size(const std::string& path)
    {
        return answer<std::uint64_t>(
            [&](std::string shown) { return files_.size(full(path), std::move(shown)); });
    }
    Result<std::string> read(const std::string& path, std::uint64_t offset, std::size_t length)
    {
        return answer<std::string>(
            [&](std::string shown) { return files_.read(full(path), offset, length, std::move(shown)); });
    }
    Result<std::vector<mesos::FileItem>> browse(const std::string& path)
    {
        return answer<std::vector<mesos::FileItem>>(
            [&](std::string shown) { return files_.browse(full(path), std::move(shown)); });
    }

private:
    [[nodiscard]] std::string full(const std::string& path) const
    {
        return fmt::format("{}/slaves/{}", options_.work_dir, path);
    }
    template <class T>
    static Task<> keep(Task<Result<T>> task, std::optional<Result<T>>& kept)
    {
        kept = co_await std::move(task);
    }
    template <class T, class Ask>
    Result<T> answer(Ask ask)
    {
        // One that does not answer must not hold up each file of each look for the timeout.
        if (silent_ && clock_.monotonic() - silent_since_ < options_.interval) return fail(*silent_);
        silent_.reset();
        auto shown = options_.authorization.from == config::Secret::From::none
                         ? Result<std::string>{std::string{}}
                         : options_.authorization.read(credentials_);
        if (!shown) return fail(std::move(shown).error());
        std::optional<Result<T>> kept;
        std::string broke;
        TaskGroup group{io_.get_executor(), [&broke](std::string_view, const std::exception_ptr& e) {
                            broke = describe(e).what;
                        }};
        group.spawn("ask the agent", keep(ask(std::move(*shown)), kept));
        io_.restart();
        while (group.size() > 0 && io_.run_one() > 0) {
        }
        if (!kept) return fail(Errc::internal, "cannot ask the agent: " + broke);
        if (!*kept && kept->error().code == Errc::timeout) {
            silent_ = kept->error();
            silent_since_ = clock_.monotonic();
        }
        return std::move(*kept);
    }

    TaskOptions options_;
    std::string credentials_;
    Clock& clock_;
    std::optional<Error> silent_;  ///< the agent has let a question time out
    Monotonic silent_since_{};
    asio::io_context io_{1};
    net::HttpClient client_;
    mesos::AgentFiles files_;
};

class AgentFile final : public TaskFile {
public:
    AgentFile(std::shared_ptr<Asking> asking, std::string path, std::uint64_t size, Clock& clock,
              std::chrono::milliseconds interval)
      : asking_{std::move(asking)}
      , path_{std::move(path)}
      , clock_{clock}
      , interval_{interval}
      , size_{size}
      , asked_{clock.monotonic()}
    {}

    [[nodiscard]] sandbox::FileIdentity identity() const override
    {
        return {0, std::uint64_t{crc32(path_)} + 1};
    }
    Result<FileFacts> look() override
    {
        FileFacts facts;
        if (clock_.monotonic() - asked_ >= interval_) {
            auto size = asking_->size(path_);
            asked_ = clock_.monotonic();
            failed_.reset();
            if (size)
                size_ = *size;
            else
                failed_ = std::move(size).error();
        }
        if (failed_) return fail(*failed_);
        facts.size = size_;
        return facts;
    }
    Result<std::string> read(std::uint64_t offset, std::size_t length) override
    {
        std::string bytes;
        while (bytes.size() < length) {
            const auto part = asking_->read(path_, offset + bytes.size(),
                                            std::min(length - bytes.size(), mesos::most_read));
            if (!part) return fail(part.error());
            if (part->empty()) break;
            bytes += *part;
        }
        return bytes;
    }

private:
    std::shared_ptr<Asking> asking_;
    std::string path_;
    Clock& clock_;
    std::chrono::milliseconds interval_;
    std::uint64_t size_;
    Monotonic asked_;
    std::optional<Error> failed_;  ///< the last question
};

class AgentFolder final : public TaskFolder {
public:
    AgentFolder(const TaskOptions& options, std::string credentials, Clock& clock)
      : asking_{std::make_shared<Asking>(options, std::move(credentials), clock)}
      , interval_{options.interval}
      , clock_{clock}
    {}
    Result<std::unique_ptr<TaskFile>> open(std::string_view path) override
    {
        const auto size = asking_->size(std::string{path});
        if (!size) return fail(size.error());
        return std::make_unique<AgentFile>(asking_, std::string{path}, *size, clock_, interval_);
    }
    Result<std::vector<sandbox::FolderEntry>> list(std::string_view path, std::size_t most) override
    {
        const auto items = asking_->browse(std::string{path});
        if (!items) return fail(items.error());
        std::vector<sandbox::FolderEntry> entries;
        for (const auto& item : *items) {
            if (entries.size() == most) break;
            if (!item.directory() && !item.mode.starts_with('-')) continue;
            entries.push_back({item.path.substr(item.path.rfind('/') + 1), item.directory()});
        }
        return entries;
    }

private:
    std::shared_ptr<Asking> asking_;
    std::chrono::milliseconds interval_;
    Clock& clock_;
};

/// What questions to the agent from the loop need.
struct Agent {
    Agent(const Executor& executor, const TaskOptions& options, std::string directory)
      : client{executor, net::TlsClientOptions{.ca_file = options.ca}}
      , credentials{std::move(directory)}
      , secrets{"opsd-tasks-auth", 4}
    {}
    net::HttpClient client;
    std::string credentials;
    RetiringWorker secrets;
};

Task<Result<std::string>> state_of_agent(std::shared_ptr<Agent> agent, const TaskOptions& options)
{
    net::ClientRequest request;
    request.url = options.agent + "/state";
    request.timeout = options.timeout;
    request.max_body = largest_state;
    request.headers.emplace_back("Accept", "application/json");
    if (options.authorization.from != config::Secret::From::none) {
        auto job = [secret = options.authorization, directory = agent->credentials] {
            return secret.read(directory);
        };
        auto shown = co_await agent->secrets.run(std::move(job));
        if (!shown) co_return fail(std::move(shown).error());
        request.headers.emplace_back("Authorization", std::move(*shown));
    }
    auto answer = co_await agent->client.send(std::move(request));
    if (!answer) co_return fail(std::move(answer).error().wrap("cannot ask the agent for its tasks"));
    if (answer->status == 200) co_return std::move(answer->body);
    const bool refused = answer->status == 401 || answer->status == 403;
    co_return fail(refused ? Errc::denied : Errc::unavailable,
                   fmt::format("cannot ask the agent for its tasks: {} answered {}{}", options.agent,
                               answer->status, refused ? "; check forward.tasks.authorization" : ""));
}

}  // namespace

std::unique_ptr<TaskFolder> make_agent_folder(const TaskOptions& options, std::string credentials,
                                              Clock& clock)
{
    return std::make_unique<AgentFolder>(options, std::move(credentials), clock);
}

TaskWorld real_task_world(const TaskOptions& options, const Services& services, sandbox::MakeOpener open)
{
    TaskWorld world;
    const auto agent = std::make_shared<Agent>(services.executor, options, services.paths.credentials);
    world.agent_state = [agent](const TaskOptions& asked) { return state_of_agent(agent, asked); };
    world.folder = [open = std::move(open), directory = services.paths.credentials,
                    &clock = services.clock](const TaskOptions& asked) {
        // The rest of work_dir is the agent's own: what images and volumes hold.
        std::vector<FolderPart> parts;
        auto sandboxes = make_task_folder(open(asked.work_dir + "/slaves"));
        if (!asked.agent.empty())
            sandboxes = make_either_folder(std::move(sandboxes), make_agent_folder(asked, directory, clock));
        parts.push_back({"slaves", std::move(sandboxes)});
        // The agent hands out sandboxes, not its checkpoints.
        parts.push_back({"meta/slaves", make_task_folder(open(asked.work_dir + "/meta/slaves"))});
        return make_part_folder(std::move(parts));
    };
    return world;
}

}  // namespace opsd::forward
