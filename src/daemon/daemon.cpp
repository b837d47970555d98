#include "daemon/daemon.hpp"

#include "daemon/access.hpp"
#include "daemon/catalog.hpp"
#include "daemon/identity.hpp"
#include "daemon/listening.hpp"
#include "daemon/reload.hpp"
#include "daemon/self.hpp"
#include "daemon/supervisor.hpp"
#include "http/server.hpp"
#include "io/sandbox/reader_place.hpp"
#include "io/sandbox/task_reader.hpp"
#include "io/store/patient_store.hpp"
#include "io/systemd/notify.hpp"
#include "opsd/version.hpp"
#include "opsd/worker.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <utility>

namespace opsd::daemon {

using namespace std::chrono_literals;

namespace {

constexpr int exit_ok = 0;
constexpr int exit_failed = 1;
constexpr int exit_config = 78;         // EX_CONFIG
constexpr auto start_limit = 10'000ms;  // READY=1 comes no later than this

Level level_of(const std::string& word)
{
    if (word == "error") return Level::error;
    if (word == "warning") return Level::warning;
    return word == "debug" ? Level::debug : Level::info;
}

Task<> end_tasks(std::unique_ptr<TaskGroup>& group);

class Daemon {
public:
    Daemon(DaemonOptions options, std::shared_ptr<sandbox::ReaderPlace> task_files)
      : options_{std::move(options)}
      , task_files_{std::move(task_files)}
      , sink_{make_stderr_sink(Level::info, options_.journald)}
      , log_{sink_, "opsd"}
      , board_{io_.get_executor()}
      , feeds_{io_.get_executor()}
    {}

    int run()
    {
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
    Task<> main_task();
    Task<> start();
    Task<Result<>> make_parts();
    void refuse(const config::Mistakes& mistakes);
    void refuse_file(std::string path, const Error& error);
    void end(int status);
    void build_routes();
    [[nodiscard]] std::vector<std::string> degraded() const;
    std::unique_ptr<TaskGroup> make_group();
    Task<> until_ended();
    void reload_if_asked();
    Task<> reload();
    void note(const config::Mistakes& mistakes);
    Task<> apply(Plan plan);
    void start_identity();
    [[nodiscard]] std::vector<std::string> late();
    Task<> stop();
    Task<> stop_serving();

    DaemonOptions options_;
    std::shared_ptr<sandbox::ReaderPlace> task_files_;
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
    std::unique_ptr<TaskGroup> work_;      // the start, then reloads: one at a time
    bool serving_ = false;
    bool ended_ = false;
    bool stopping_ = false;
    bool busy_ = true;  // with the start, then with a reload
    bool reload_asked_ = false;
    int status_ = exit_ok;
};

/// Signals are answered from here on, whatever a start or a reload waits for.
Task<> Daemon::main_task()
{
    tasks_ = make_group();
    work_ = make_group();
    work_->spawn("start", start());
    co_await until_ended();
    co_await stop();
}

Task<> Daemon::start()
{
    auto plan = co_await read_plan(options_, files_);
    if (!plan) {
        refuse(plan.error());
        co_return;
    }
    plan_ = std::move(*plan);
    started_with_ = plan_.root;
    sink_->set_level(level_of(plan_.log.level));
    config_state_.loaded_at = clock_.now();
    const auto made = co_await make_parts();
    if (!made) {
        refuse_file("auth", made.error());
        co_return;
    }
    config::Mistakes mistakes;
    board_.identity.publish(identity_at_start(plan_.node), clock_.now());  // modules are made by it
    supervisor_->create(plan_.root, mistakes);
    task_files_->seal();
    if (const auto reader = task_files_->reader(); reader != 0)
        log_.info("files of tasks are opened by process {}, which alone may read files of others", reader);
    if (!mistakes.empty()) {
        refuse(mistakes);
        co_return;
    }
    supervisor_->on_routes_changed([this] { build_routes(); });
    build_routes();
    // Before anything listens: a mistake in these files is one of the configuration, a port in use is not.
    auto read = [listeners = tls_listeners(plan_.http)] { return http::read_certificates(listeners); };
    const auto certificates = co_await files_.run(std::move(read));
    if (!certificates) {
        refuse_file("http.listen", certificates.error());
        co_return;
    }
    const auto listening = co_await open_listeners(*server_, plan_.http, files_, log_);
    if (!listening) {
        log_.error("cannot start: {}", listening.error().message);
        end(exit_failed);
        co_return;
    }
    serving_ = true;
    start_identity();
    tasks_->spawn("http", server_->run());
    supervisor_->start();
    const bool settled = co_await supervisor_->settled(start_limit);
    systemd::notify_ready(settled ? "serving" : "serving; some modules are still starting, see /-/ready");
    log_.info("ready, version {}", version);
    busy_ = false;
    reload_if_asked();
}

/// Health must be served even when the disk is not: what is read from the state directory is not waited for
/// long, and tried again while opsd says so.
Task<Result<>> Daemon::make_parts()
{
    const auto executor = co_await asio::this_coro::executor;
    tasks_->spawn("heartbeat", heartbeat(clock_, metrics_));
    StoreOptions wanted;
    wanted.path = options_.paths.state + "/state.db";
    wanted.max_bytes = plan_.store.max_size.count;
    wanted.statement_timeout = plan_.store.statement_timeout;
    store_ = std::make_unique<PatientStore>(wanted, clock_, metrics_, log_.named("store"));
    tasks_->spawn("store", store_->run());
    co_await store_->first_attempt(first_answer);
    auto read = [options = plan_.auth] { return http::read_auth_material(options); };
    auto material = co_await files_.run(std::move(read));
    if (!material) co_return fail(std::move(material).error());
    access_ = std::make_unique<AccessControl>(executor, std::move(*material), options_.paths.state, clock_,
                                              metrics_, log_.named("auth"));
    co_await access_->read_tokens(first_answer);
    const auto open_tasks = [place = task_files_](std::string folder) {
        return place->opener(std::move(folder));
    };
    supervisor_ = std::make_unique<Supervisor>(
        Environment{executor, clock_, board_, feeds_, *store_, metrics_, options_.paths, log_},
        catalog(open_tasks));
    server_ = std::make_unique<http::Server>(executor, plan_.http.limits, access_->authenticator(),
                                             access_->audit(), clock_, metrics_, log_.named("http"));
    self_metrics_ = export_self(metrics_, board_, config_state_, executor);
    co_return Result<>{};
}

void Daemon::refuse(const config::Mistakes& mistakes)
{
    for (const auto& mistake : mistakes)
        log_.error("{}", mistake.to_string());
    log_.error("cannot start: the configuration has {} mistake(s), listed above; `opsd config check` shows "
               "them too",
               mistakes.size());
    end(exit_config);
}

/// A file that the configuration names. What a disk that is slow or ill withholds may be there the next time.
void Daemon::refuse_file(std::string path, const Error& error)
{
    if (!error.retryable()) return refuse({{{}, std::move(path), error.message}});
    log_.error("cannot start: {}", error.message);
    end(exit_failed);
}

void Daemon::end(int status)
{
    status_ = status;
    ended_ = true;
    signals_.cancel();
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

std::unique_ptr<TaskGroup> Daemon::make_group()
{
    return std::make_unique<TaskGroup>(io_.get_executor(),
                                       [this](std::string_view task, std::exception_ptr e) {
                                           log_.error("{} failed: {}", task, describe(e).what);
                                           // Nobody can reach us, or half of a configuration is in force:
                                           // systemd starts anew.
                                           if (task == "http" || task == "start" || task == "reload")
                                               end(exit_failed);
                                       });
}

void Daemon::start_identity()
{
    identity_ = make_group();
    identity_->spawn("identity", keep_identity(plan_.node, board_, clock_, log_.named("node")));
}

Task<> Daemon::until_ended()
{
    while (!ended_) {
        const auto [ec, signal] = co_await signals_.async_wait(tuple);
        if (ec) continue;  // by end()
        if (signal != SIGHUP) {
            log_.info("stopping on signal {}", signal);
            co_return;
        }
        reload_asked_ = true;
        reload_if_asked();
    }
}

/// However often it was asked for while something else was going on, once is enough.
void Daemon::reload_if_asked()
{
    if (busy_ || !std::exchange(reload_asked_, false)) return;
    busy_ = true;
    work_->spawn("reload", reload());
}

Task<> Daemon::reload()
{
    systemd::notify_reloading();
    log_.info("reloading the configuration");
    const Running running{*server_, *access_, *supervisor_, files_};
    auto reloaded = co_await daemon::reload(options_, running);
    if (reloaded) co_await apply(std::move(*reloaded));
    if (stopping_) co_return;
    note(reloaded ? config::Mistakes{} : reloaded.error());
    systemd::notify_ready(reloaded ? "serving"
                                   : "serving with the old configuration: the last reload was refused");
    busy_ = false;
    reload_if_asked();
}

void Daemon::note(const config::Mistakes& mistakes)
{
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

/// Who keeps the daemon from its end.
std::vector<std::string> Daemon::late()
{
    auto names = RetiredThreads::of(io_.get_executor()).names();
    for (const auto* group : {work_.get(), identity_.get(), tasks_.get()})
        if (group != nullptr) std::ranges::copy(group->names(), std::back_inserter(names));
    if (supervisor_) std::ranges::copy(supervisor_->running(), std::back_inserter(names));
    if (access_) std::ranges::copy(access_->running(), std::back_inserter(names));
    return names;
}

Task<> Daemon::stop()
{
    const auto executor = co_await asio::this_coro::executor;
    stopping_ = true;
    if (serving_) systemd::notify_stopping("stopping");
    const auto last_resort = [this] {
        log_.error("cannot stop in order: {} do not end; leaving without them", fmt::join(late(), ", "));
        std::_Exit(exit_failed);
    };
    TaskGroup limit{executor, [](std::string_view, std::exception_ptr) {}};
    const auto graces = serving_ ? 2 * plan_.http.stop_grace : 0ms;
    limit.spawn("last resort", call_after(clock_, graces + options_.last_wait, last_resort));
    work_->cancel();
    if (!serving_) co_await end_tasks(work_);  // a start: nothing runs that it could wait for
    if (serving_) co_await stop_serving();
    co_await end_tasks(work_);
    co_await end_tasks(identity_);
    co_await end_tasks(tasks_);
    // The last requests are answered: what modules own ends here, within the limit.
    server_.reset();
    router_.reset();
    supervisor_.reset();
    if (access_) co_await access_->stop();
    store_.reset();
    files_.retire(nullptr);
    co_await RetiredThreads::of(executor).ended();
    limit.cancel();
    co_await limit.join();
    if (serving_) log_.info("stopped");
}

/// Modules first, then connections. A reload under way ends with the module that it waits for.
Task<> Daemon::stop_serving()
{
    const auto executor = co_await asio::this_coro::executor;
    const auto grace = plan_.http.stop_grace;
    const auto name_modules = [this, grace] {
        log_.warning("modules still stopping after {} ms: {}", grace.count(),
                     fmt::join(supervisor_->running(), ", "));
    };
    const auto cut_connections = [this, grace] {
        log_.warning("{} connection(s) still open after {} ms, cutting them", server_->connections(),
                     grace.count());
        server_->abort();
    };
    server_->drain();
    co_await with_grace(executor, clock_, grace, supervisor_->stop(), name_modules);
    co_await with_grace(executor, clock_, grace, server_->joined(), cut_connections);
}

}  // namespace

int run_daemon(DaemonOptions options)
{
    // First of all: a right that a thread or a foreign byte finds here would be the daemon's.
    auto task_files = sandbox::start_reader({"/proc/self/exe", sandbox::reader_word});
    if (!task_files) {
        Log{make_stderr_sink(Level::info, options.journald), "opsd"}.error("cannot start: {}",
                                                                           task_files.error().message);
        return exit_failed;
    }
    Daemon daemon{std::move(options), std::move(*task_files)};
    return daemon.run();
}

}  // namespace opsd::daemon
