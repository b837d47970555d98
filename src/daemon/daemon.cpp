#include "daemon/daemon.hpp"

#include "daemon/access.hpp"
#include "daemon/catalog.hpp"
#include "daemon/identity.hpp"
#include "daemon/plan.hpp"
#include "daemon/self.hpp"
#include "daemon/supervisor.hpp"
#include "http/server.hpp"
#include "io/files/files.hpp"
#include "io/store/patient_store.hpp"
#include "io/systemd/notify.hpp"
#include "opsd/version.hpp"
#include "opsd/worker.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <filesystem>

namespace opsd::daemon {

using namespace std::chrono_literals;

namespace {

constexpr int exit_ok = 0;
constexpr int exit_failed = 1;
constexpr int exit_config = 78;      // EX_CONFIG
constexpr auto last_wait = 5'000ms;  // after both graces: below TimeoutStopSec=, so that it is us who say why
constexpr auto start_limit = 10'000ms;  // READY=1 comes no later than this

Level level_of(const std::string& word)
{
    if (word == "error") return Level::error;
    if (word == "warning") return Level::warning;
    return word == "debug" ? Level::debug : Level::info;
}

http::Listener to_listener(const ListenOptions& options)
{
    http::Listener listener;
    listener.address = options.address == "localhost" ? "127.0.0.1" : options.address;
    listener.port = static_cast<std::uint16_t>(options.port);
    listener.certificate_file = options.certificate;
    listener.key_file = options.key;
    listener.client_ca_file = options.client_ca;
    return listener;
}

/// A socket passed by systemd, under the rule for listeners: the entry of http.listen with its address and
/// port gives it TLS; beyond loopback it needs that, or a written `insecure: true`.
Result<http::Listener> adopt(const systemd::PassedSocket& socket, const HttpOptions& options)
{
    http::Listener listener;
    asio::ip::tcp::endpoint bound;
    auto size = static_cast<socklen_t>(bound.capacity());
    if (!socket.is_unix) {
        if (::getsockname(socket.fd, bound.data(), &size) != 0 || size > bound.capacity()) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot use the socket {} passed by systemd: it is "
                                    "neither TCP nor Unix; mend opsd.socket",
                                    socket.name));
        }
        const auto same = [&](const ListenOptions& o) {
            return o.port == bound.port() && to_listener(o).address == bound.address().to_string();
        };
        const auto entry = std::ranges::find_if(options.listen, same);
        if (entry != options.listen.end()) listener = to_listener(*entry);
        const bool consent =
            entry != options.listen.end() && (entry->insecure || !entry->certificate.empty());
        if (!bound.address().is_loopback() && !consent) {
            return fail(
                Errc::invalid_argument,
                fmt::format("cannot use the socket {}:{} passed by systemd: it is not on loopback and no "
                            "entry of http.listen with this address and port gives it a certificate, or "
                            "says insecure: true",
                            bound.address().to_string(), bound.port()));
        }
    }
    listener.kind = http::Listener::Kind::passed;
    listener.fd = socket.fd;
    return listener;
}

unsigned to_mode(std::int64_t octal_digits)
{
    unsigned mode = 0;
    const auto text = std::to_string(octal_digits);
    std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    return mode;
}

Task<> end_tasks(std::unique_ptr<TaskGroup>& group);

class Daemon {
public:
    explicit Daemon(DaemonOptions options)
      : options_{std::move(options)}
      , sink_{make_stderr_sink(Level::info, options_.journald)}
      , log_{sink_, "opsd"}
      , board_{io_.get_executor()}
      , feeds_{io_.get_executor()}
    {}

    int run()
    {
        auto root = config::load(options_.sources, all_sections());
        auto plan = root ? make_plan(std::move(*root)) : std::unexpected{std::move(root).error()};
        if (!plan) return refuse(plan.error());
        plan_ = std::move(*plan);
        plan_.auth.credentials_directory = options_.paths.credentials;
        started_with_ = plan_.root;
        sink_->set_level(level_of(plan_.log.level));
        asio::co_spawn(io_, main_task(), [this](std::exception_ptr e) {
            if (!e) return;
            log_.error("cannot go on: {}", describe(e).what);
            std::_Exit(
                exit_failed);  // tasks still hold references into this object: no orderly end is possible
        });
        io_.run();
        return status_;
    }

private:
    int refuse(const config::Mistakes& mistakes)
    {
        for (const auto& mistake : mistakes)
            log_.error("{}", mistake.to_string());
        log_.error("cannot start: the configuration has {} mistake(s), listed above; `opsd config check` "
                   "shows them too",
                   mistakes.size());
        return exit_config;
    }

    Task<> main_task();
    Task<> open_state();
    Result<> listen();
    void build_routes();
    [[nodiscard]] std::vector<std::string> degraded() const;
    std::unique_ptr<TaskGroup> make_group();
    Task<> until_stopped();
    Task<> reload();
    Task<> put_in_force(Plan plan, config::Mistakes& mistakes);
    Task<> apply(Plan plan);
    void start_identity();
    Task<> stop();

    DaemonOptions options_;
    asio::io_context io_{1};
    asio::signal_set signals_{io_, SIGTERM, SIGINT,
                              SIGHUP};  // from the first moment: none may kill us half-way
    std::shared_ptr<LogSink> sink_;
    Log log_;
    SystemClock clock_;
    telemetry::Registry metrics_;
    Board board_;
    Feeds feeds_;
    Plan plan_;
    config::Value started_with_;
    ConfigState config_state_;
    std::shared_ptr<const http::Router> router_;
    WorkerThread files_{"opsd-files", 16};
    std::unique_ptr<PatientStore> store_;
    std::unique_ptr<AccessControl> access_;
    std::unique_ptr<Supervisor> supervisor_;
    std::unique_ptr<http::Server> server_;
    std::shared_ptr<void> self_metrics_;
    std::unique_ptr<TaskGroup> tasks_;
    std::unique_ptr<TaskGroup> identity_;  // by itself: restarted when section node changes
    int status_ = exit_ok;
};

Task<> Daemon::open_state()
{
    StoreOptions wanted;
    wanted.path = options_.paths.state + "/state.db";
    wanted.max_bytes = plan_.store.max_size.count;
    wanted.statement_timeout = plan_.store.statement_timeout;
    (void)files::make_directories(options_.paths.state, 0750);  // why it cannot be made, opening says
    // Health must be served even when the disk is not: opening is tried again, and opsd says so.
    store_ = std::make_unique<PatientStore>(wanted, clock_, metrics_, log_.named("store"));
    co_await store_->open();
}

Result<> Daemon::listen()
{
    const auto passed = systemd::passed_sockets();
    for (const auto& socket : passed) {
        const auto listener = adopt(socket, plan_.http);
        if (!listener) return fail(listener.error());
        const auto done = server_->listen(*listener);
        if (!done) return fail(done.error());
    }
    if (!passed.empty()) {
        log_.info("listening on {} socket(s) passed by systemd; http.listen and http.socket open no others",
                  passed.size());
        return {};
    }
    if (!plan_.http.socket.empty()) {
        http::Listener listener;
        listener.kind = http::Listener::Kind::unix_socket;
        listener.address = plan_.http.socket;
        listener.mode = to_mode(plan_.http.socket_mode);
        // Without systemd nobody has made the directory; why it cannot be made, binding says better.
        (void)files::make_directories(std::filesystem::path{plan_.http.socket}.parent_path(), 0755);
        const auto done = server_->listen(listener);
        if (!done) return fail(done.error());
        log_.info("listening on {}", plan_.http.socket);
    }
    for (const auto& wanted : plan_.http.listen) {
        const auto port = server_->listen(to_listener(wanted));
        if (!port) return fail(port.error());
        log_.info("listening on {}:{}{}", wanted.address, *port,
                  wanted.certificate.empty() ? "" : " with TLS");
    }
    return {};
}

void Daemon::build_routes()
{
    auto routes =
        self_routes({board_, clock_, metrics_, config_state_, router_, [this] { return degraded(); }});
    for (auto& route : access_->routes())
        routes.push_back(std::move(route));
    for (auto& route : supervisor_->routes())
        routes.push_back(std::move(route));
    auto built = http::Router::build(std::move(routes));
    if (!built) throw std::logic_error{built.error().message};
    router_ = std::move(*built);
    server_->set_routes(router_);
}

std::vector<std::string> Daemon::degraded() const
{
    std::vector<std::string> reasons;
    if (const auto& problem = store_->problem(); !problem.empty()) reasons.push_back("store: " + problem);
    if (const auto damage = access_->damage(); !damage.empty()) reasons.push_back("auth: " + damage);
    for (const auto& reason : server_->degraded())
        reasons.push_back("http: " + reason);
    if (!config_state_.last_reload_ok) {
        reasons.emplace_back("config: the last reload was refused, the old configuration is in force");
    }
    return reasons;
}

Task<> Daemon::main_task()
{
    const auto executor = co_await asio::this_coro::executor;
    tasks_ = make_group();
    config_state_.loaded_at = clock_.now();
    co_await open_state();
    auto read = [options = plan_.auth] { return http::read_auth_material(options); };
    auto material = co_await files_.run(std::move(read));
    if (!material) {
        log_.error("cannot start: {}", material.error().message);
        status_ = exit_failed;
        co_return;
    }
    access_ = std::make_unique<AccessControl>(executor, std::move(*material), options_.paths.state, clock_,
                                              metrics_, log_.named("auth"));
    supervisor_ = std::make_unique<Supervisor>(
        Environment{executor, clock_, board_, feeds_, *store_, metrics_, options_.paths, log_}, catalog());
    server_ = std::make_unique<http::Server>(executor, plan_.http.limits, access_->authenticator(),
                                             access_->audit(), clock_, metrics_, log_.named("http"));
    self_metrics_ = export_self(metrics_, board_, config_state_, executor);

    config::Mistakes mistakes;
    board_.identity.publish(identity_at_start(plan_.node), clock_.now());  // modules are made by it
    supervisor_->create(plan_.root, mistakes);
    if (!mistakes.empty()) {
        status_ = refuse(mistakes);
        co_await access_->stop();
        co_return;
    }
    supervisor_->on_routes_changed([this] { build_routes(); });
    build_routes();
    const auto listening = listen();
    if (!listening) {
        log_.error("cannot start: {}", listening.error().message);
        status_ = exit_failed;
        co_await access_->stop();
        co_return;
    }
    tasks_->spawn("heartbeat", heartbeat(clock_, metrics_));
    tasks_->spawn("store", store_->run());
    start_identity();
    tasks_->spawn("http", server_->run());
    supervisor_->start();
    const bool settled = co_await supervisor_->settled(start_limit);
    systemd::notify_ready(settled ? "serving" : "serving; some modules are still starting, see /-/ready");
    log_.info("ready, version {}", version);
    co_await until_stopped();
    co_await stop();
}

std::unique_ptr<TaskGroup> Daemon::make_group()
{
    return std::make_unique<TaskGroup>(
        io_.get_executor(), [this](std::string_view task, std::exception_ptr e) {
            log_.error("{} failed: {}", task, describe(e).what);
            if (task != "http") return;
            status_ = exit_failed;  // nobody could reach us: systemd starts anew
            ::raise(SIGTERM);
        });
}

void Daemon::start_identity()
{
    identity_ = make_group();
    identity_->spawn("identity", keep_identity(plan_.node, board_, clock_, log_.named("node")));
}

Task<> Daemon::until_stopped()
{
    for (;;) {
        const int signal = co_await signals_.async_wait(asio::use_awaitable);
        if (signal != SIGHUP) {
            log_.info("stopping on signal {}", signal);
            co_return;
        }
        co_await reload();
    }
}

Task<> Daemon::reload()
{
    systemd::notify_reloading();
    log_.info("reloading the configuration");
    auto read = [sources = options_.sources]() -> Result<std::expected<config::Value, config::Mistakes>> {
        return config::load(sources, all_sections());
    };
    auto root = co_await files_.run(std::move(read));
    config::Mistakes mistakes;
    if (!root)
        mistakes.push_back({{}, "", root.error().message});
    else if (!*root)
        mistakes = std::move(root->error());
    if (mistakes.empty()) {
        auto plan = make_plan(std::move(**root));
        if (!plan) {
            mistakes = std::move(plan.error());
        } else {
            plan->auth.credentials_directory = options_.paths.credentials;
            co_await put_in_force(std::move(*plan), mistakes);
        }
    }
    config_state_.last_reload_ok = mistakes.empty();
    config_state_.mistakes.clear();
    for (const auto& mistake : mistakes) {
        config_state_.mistakes.push_back(mistake.to_string());
        log_.error("{}", mistake.to_string());
    }
    if (mistakes.empty())
        config_state_.loaded_at = clock_.now();
    else
        log_.error("cannot reload: {} mistake(s), listed above; the old configuration stays in force",
                   mistakes.size());
    systemd::notify_ready(
        mistakes.empty() ? "serving" : "serving with the old configuration: the last reload was refused");
}

/// All or nothing: what can be refused is read before anything changes.
Task<> Daemon::put_in_force(Plan plan, config::Mistakes& mistakes)
{
    auto read = [options = plan.auth]() -> Result<> {
        const auto material = http::read_auth_material(options);
        if (!material) return fail(material.error());
        return {};
    };
    const auto readable = co_await files_.run(std::move(read));
    if (!readable) mistakes.push_back({{}, "auth", readable.error().message});
    const auto certificates = server_->reload_certificates();
    if (!certificates) mistakes.push_back({{}, "http.listen", certificates.error().message});
    if (mistakes.empty()) co_await supervisor_->reload(plan.root, mistakes);
    if (!mistakes.empty()) co_return;
    const auto access = co_await access_->reload(plan.auth);
    if (!access) mistakes.push_back({{}, "auth", access.error().message});
    co_await apply(std::move(plan));
}

/// Puts the daemon's own sections in force.
Task<> Daemon::apply(Plan plan)
{
    config_state_.needs_restart = restart_needed(started_with_, plan.root);
    for (const auto& name : config_state_.needs_restart)
        log_.warning("{} changed: restart opsd to put it in force", name);
    sink_->set_level(level_of(plan.log.level));
    server_->set_limits(plan.http.limits);
    const auto* old_node = plan_.root.find("node");
    const auto* new_node = plan.root.find("node");
    const bool same =
        (old_node == nullptr) == (new_node == nullptr) && (old_node == nullptr || *old_node == *new_node);
    plan_ = std::move(plan);
    if (same) co_return;
    co_await end_tasks(identity_);
    start_identity();
}

Task<> end_tasks(std::unique_ptr<TaskGroup>& group)
{
    if (!group) co_return;
    group->cancel();
    co_await group->join();
    group.reset();
}

Task<> call_after(Clock& clock, std::chrono::milliseconds time, std::function<void()> callback)
{
    co_await clock.sleep_for(time);
    callback();
}

/// Lets `work` (which cannot be cancelled) finish, and calls `when_late` once if it takes longer than
/// `grace`.
Task<> with_grace(Executor executor, Clock& clock, std::chrono::milliseconds grace, Task<> work,
                  std::function<void()> when_late)
{
    TaskGroup watch{executor, [](std::string_view, std::exception_ptr) {}};
    watch.spawn("grace", call_after(clock, grace, std::move(when_late)));
    co_await std::move(work);
    watch.cancel();
    co_await watch.join();
}

Task<> Daemon::stop()
{
    const auto executor = co_await asio::this_coro::executor;
    systemd::notify_stopping("stopping");
    server_->drain();
    const auto grace = plan_.http.stop_grace;
    const auto last_resort = [this] {
        auto late = RetiredThreads::of(io_.get_executor()).names();
        if (supervisor_) std::ranges::copy(supervisor_->running(), std::back_inserter(late));
        log_.error("cannot stop in order: {} do not end; leaving without them", fmt::join(late, ", "));
        std::_Exit(exit_failed);
    };
    TaskGroup limit{executor, [](std::string_view, std::exception_ptr) {}};
    limit.spawn("last resort", call_after(clock_, 2 * grace + last_wait, last_resort));
    const auto name_modules = [this, grace] {
        log_.warning("modules still stopping after {} ms: {}", grace.count(),
                     fmt::join(supervisor_->running(), ", "));
    };
    const auto cut_connections = [this, grace] {
        log_.warning("{} connection(s) still open after {} ms, cutting them", server_->connections(),
                     grace.count());
        server_->abort();
    };
    co_await with_grace(executor, clock_, grace, supervisor_->stop(), name_modules);
    co_await with_grace(executor, clock_, grace, server_->joined(), cut_connections);
    co_await end_tasks(identity_);
    co_await end_tasks(tasks_);
    // The last requests are answered: what modules own ends here, within the limit.
    server_.reset();
    router_.reset();
    supervisor_.reset();
    co_await access_->stop();
    co_await RetiredThreads::of(executor).ended();
    limit.cancel();
    co_await limit.join();
    log_.info("stopped");
}

}  // namespace

int run_daemon(DaemonOptions options)
{
    Daemon daemon{std::move(options)};
    return daemon.run();
}

}  // namespace opsd::daemon
