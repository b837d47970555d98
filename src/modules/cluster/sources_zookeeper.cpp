#include "modules/cluster/sources_zookeeper.hpp"

#include "core/first_of.hpp"
#include "io/mesos/documents.hpp"
#include "io/zookeeper/client.hpp"

#include <fmt/format.h>

#include <optional>

namespace opsd::cluster {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

using Nodes = Result<std::vector<mesos::ZooKeeperNode>>;

constexpr milliseconds secret_again = 10s;  // until a password that could not be read is tried again

class ZooKeeperMasters final : public MasterNodes {
public:
    ZooKeeperMasters(const SourcesOptions& options, const Executor& executor, Clock& clock, Log log,
                     WorkerThread& worker, std::string credentials_directory)
      : executor_{executor}
      , clock_{clock}
      , log_{std::move(log)}
      , worker_{worker}
      , credentials_directory_{std::move(credentials_directory)}
      , user_{options.zookeeper.user}
      , password_{options.zookeeper.password}
      , opened_{executor, never}
    {
        client_options_.session_timeout = options.zookeeper.session_timeout;
        client_options_.request_timeout = options.zookeeper.timeout;
        auto address = zookeeper::parse_address(options.zookeeper.address.text);
        if (address)
            client_options_.address = std::move(*address);
        else
            why_ = std::move(address).error();  // the schema has refused it
        std::optional<net::TlsClientOptions> tls;
        if (options.zookeeper.tls) {
            tls = net::TlsClientOptions{.ca_file = options.tls.ca_file,
                                        .certificate_file = options.tls.certificate_file,
                                        .key_file = options.tls.key_file};
        }
        dialer_ = zookeeper::make_dialer(std::move(tls));
        if (user_.empty() && !why_) open("");
    }

    Task<> run() override
    {
        while (!client_) {
            auto job = [password = password_, directory = credentials_directory_] {
                return password.read(directory);
            };
            auto password = co_await worker_.run(std::move(job));
            if (password) {
                open(user_ + ":" + *password);
            } else {
                why_ = std::move(password).error();
                opened_.cancel();
                co_await clock_.sleep_for(secret_again);
            }
        }
        co_await client_->run();
    }

    Task<Nodes> read() override
    {
        auto nodes = co_await first_of(read_all(), too_slow());
        co_return nodes;
    }

    Task<> changed() override
    {
        // The end of the client is no news; nor is there any before the first reading.
        const auto inbox = inbox_;
        std::optional<zookeeper::WatchEvent> event;
        if (inbox) event = co_await inbox->next();
        asio::steady_timer for_ever{executor_, never};
        while (!event)
            co_await wait_event(for_ever);
    }

private:
    void open(std::string credentials)
    {
        client_options_.address.credentials = std::move(credentials);
        client_ = std::make_unique<zookeeper::Client>(executor_, clock_, *dialer_, client_options_, log_);
        why_.reset();
        opened_.cancel();
    }

    Task<Nodes> too_slow()
    {
        co_await clock_.sleep_for(client_options_.request_timeout);
        co_return fail(Errc::timeout,
                       fmt::format("cannot read the masters at ZooKeeper {}: no answer in {} ms",
                                   client_options_.address.text(), client_options_.request_timeout.count()));
    }

    Task<Nodes> read_all()
    {
        while (!client_ && !why_)
            co_await wait_event(opened_);
        if (!client_) co_return fail(*why_);
        inbox_ = client_->inbox(8);  // a new one: what the old one knew is about to be read
        auto children = co_await client_->children("/", inbox_);
        if (!children) co_return fail(std::move(children).error());
        std::erase_if(children->names,
                      [](const std::string& name) { return !name.starts_with("json.info_"); });
        if (children->names.size() > mesos::most_masters)
            co_return fail(Errc::protocol,
                           fmt::format("cannot read the masters at ZooKeeper {}: {} nodes are named "
                                       "json.info_; is the path right?",
                                       client_options_.address.text(), children->names.size()));
        std::vector<mesos::ZooKeeperNode> nodes;
        for (auto& name : children->names) {
            auto node = co_await client_->get("/" + name);
            if (!node && node.error().code == Errc::not_found) continue;  // it has just gone
            if (!node) co_return fail(std::move(node).error());
            nodes.push_back({std::move(name), std::move(node->data)});
        }
        co_return nodes;
    }

    Executor executor_;
    Clock& clock_;
    Log log_;
    WorkerThread& worker_;
    std::string credentials_directory_;
    std::string user_;
    config::Secret password_;
    zookeeper::ClientOptions client_options_;
    std::unique_ptr<zookeeper::Dialer> dialer_;
    std::unique_ptr<zookeeper::Client> client_;
    std::optional<Error> why_;  // no client: the last failure
    std::shared_ptr<zookeeper::Inbox> inbox_;
    asio::steady_timer opened_;
};

}  // namespace

std::unique_ptr<MasterNodes> make_master_nodes(const SourcesOptions& options, const Executor& executor,
                                               Clock& clock, const Log& log, WorkerThread& worker,
                                               const std::string& credentials_directory)
{
    return std::make_unique<ZooKeeperMasters>(options, executor, clock, log.named("zookeeper"), worker,
                                              credentials_directory);
}

}  // namespace opsd::cluster
