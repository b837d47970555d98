#include "daemon/self.hpp"

#include "io/systemd/notify.hpp"
#include "opsd/version.hpp"
#include "opsd/worker.hpp"

#include <nlohmann/json.hpp>

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

namespace opsd::daemon {

using json = nlohmann::ordered_json;
using namespace std::chrono_literals;

namespace {

/// Reasons quote what the outside said, which may not be UTF-8.
std::string text_of(const json& body)
{
    return body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

Task<http::Response> healthy(const http::Request&) { co_return http::Response::text("ok\n"); }

Task<http::Response> ready(const SelfView& view)
{
    const auto reasons = not_ready_reasons(view.board);
    json body{{"ready", reasons.empty()}, {"reasons", reasons}};
    json degraded = json::array();
    if (const auto& modules = view.board.modules.get()) {
        for (const auto& m : modules->value) {
            if (m.condition == ModuleCondition::degraded) degraded.push_back(m.name + ": " + m.reason);
        }
    }
    for (auto& reason : view.degraded())
        degraded.push_back(std::move(reason));
    body["degraded"] = std::move(degraded);
    co_return http::Response::json(text_of(body), reasons.empty() ? 200 : 503);
}

json module_json(const ModuleState& m)
{
    return {{"name", m.name},
            {"state", to_string(m.condition)},
            {"reason", m.reason},
            {"since", rfc3339(m.since)},
            {"restarts", m.restarts}};
}

Task<http::Response> modules(const SelfView& view)
{
    json list = json::array();
    if (const auto& now = view.board.modules.get()) {
        for (const auto& m : now->value)
            list.push_back(module_json(m));
    }
    const auto& c = view.config;
    json body{{"modules", std::move(list)},
              {"config",
               {{"loaded_at", rfc3339(c.loaded_at)},
                {"last_reload_ok", c.last_reload_ok},
                {"mistakes", c.mistakes},
                {"needs_restart", c.needs_restart}}},
              {"degraded", view.degraded()}};
    co_return http::Response::json(text_of(body));
}

Task<http::Response> metrics(const SelfView& view)
{
    http::Response response;
    response.type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = view.metrics.render();
    co_return response;
}

Task<http::Response> version_of(const http::Request&)
{
    const json body{{"version", version}, {"api", 1}};
    co_return http::Response::json(body.dump() + "\n");
}

Task<http::Response> openapi(const SelfView& view)
{
    co_return http::Response::json(view.router->openapi(version));
}

/// Resident anonymous memory (RssAnon) of this process in bytes; mapped journal pages are not ours.
double rss_anonymous()
{
    std::ifstream status{"/proc/self/status"};
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("RssAnon:")) return std::strtod(line.c_str() + 8, nullptr) * 1024;
    }
    return 0;
}

double open_descriptors()
{
    double count = 0;
    if (DIR* all = ::opendir("/proc/self/fd")) {
        while (::readdir(all) != nullptr)
            ++count;
        ::closedir(all);
    }
    return std::max(0.0, count - 3);  // ".", ".." and the directory itself
}

void write_process(telemetry::Page& page)
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    page.family("opsd_process_cpu_seconds_total", telemetry::Kind::counter,
                "User and system CPU time of opsd.");
    page.sample({}, seconds(usage.ru_utime) + seconds(usage.ru_stime));
    page.family("opsd_process_anonymous_memory_bytes", telemetry::Kind::gauge, "RssAnon of opsd.");
    page.sample({}, rss_anonymous());
    page.family("opsd_process_open_fds", telemetry::Kind::gauge, "Open file descriptors of opsd.");
    page.sample({}, open_descriptors());
    page.family("opsd_build_info", telemetry::Kind::gauge, "Always 1; the labels say which build runs.");
    page.sample({{"version", version}}, 1);
}

void write_modules(telemetry::Page& page, const Board& board)
{
    const auto& now = board.modules.get();
    if (!now) return;
    page.family("opsd_module_state", telemetry::Kind::gauge, "1 for the state that the module is in.");
    for (const auto& m : now->value)
        page.sample({{"module", m.name}, {"state", std::string{to_string(m.condition)}}}, 1);
    page.family("opsd_module_restarts_total", telemetry::Kind::counter,
                "Restarts of the module after failures.");
    for (const auto& m : now->value)
        page.sample({{"module", m.name}}, static_cast<double>(m.restarts));
}

}  // namespace

std::vector<http::Route> self_routes(SelfView view)
{
    using http::Access;
    using http::Method;
    const auto show = [view](Task<http::Response> (*handler)(const SelfView&)) {
        return [view, handler](const http::Request&) { return handler(view); };
    };
    return {
        {Method::get, "/-/healthy", Access::open, "200 while the event loop turns", healthy, {}},
        {Method::get,
         "/-/ready",
         Access::open,
         "200 when every answer can be trusted, else 503 with the reasons",
         show(ready),
         {}},
        {Method::get, "/metrics", Access::local, "Metrics in the Prometheus text format", show(metrics), {}},
        {Method::get,
         "/api/v1/modules",
         Access::local,
         "The modules' states, the configuration's and the store's",
         show(modules),
         {}},
        {Method::get, "/api/v1/version", Access::open, "Version of opsd and of this API", version_of, {}},
        {Method::get,
         "/api/openapi.json",
         Access::open,
         "This API as an OpenAPI document",
         show(openapi),
         {}},
    };
}

std::vector<std::string> not_ready_reasons(const Board& board)
{
    std::vector<std::string> reasons;
    const auto& health = board.health.get();
    if (!health)
        reasons.emplace_back("health: no unit has been read yet");
    else if (health->value.health == Health::unknown)
        reasons.push_back("health: " + health->value.reason);
    if (const auto& modules = board.modules.get()) {
        for (const auto& m : modules->value) {
            if (m.condition == ModuleCondition::failed) reasons.push_back(m.name + ": " + m.reason);
            if (m.condition == ModuleCondition::starting) reasons.push_back(m.name + ": is starting");
        }
    }
    return reasons;
}

std::shared_ptr<void> export_self(telemetry::Registry& registry, const Board& board,
                                  const ConfigState& config, Executor executor)
{
    return registry.collect([&board, &config, executor = std::move(executor)](telemetry::Page& page) {
        write_process(page);
        write_modules(page, board);
        page.family("opsd_config_last_reload_ok", telemetry::Kind::gauge,
                    "0 when the last reload was refused.");
        page.sample({}, config.last_reload_ok ? 1 : 0);
        page.family("opsd_threads_retired", telemetry::Kind::gauge,
                    "Threads that still finish a job of a module that was restarted.");
        page.sample({}, static_cast<double>(RetiredThreads::of(executor).size()));
    });
}

Task<> heartbeat(Clock& clock, telemetry::Registry& metrics)
{
    auto& lag = metrics.gauge("opsd_loop_lag_seconds", "How late the event loop ran its last heartbeat.");
    // Each ping wakes PID 1, too: no oftener than the watchdog needs.
    auto period = std::chrono::milliseconds{15s};
    const auto watchdog = systemd::watchdog_period();
    if (watchdog)
        period =
            std::clamp(std::chrono::duration_cast<std::chrono::milliseconds>(*watchdog / 2), 100ms, period);
    for (;;) {
        systemd::notify_watchdog();
        const auto due = clock.monotonic() + period;
        co_await clock.sleep_for(period);
        lag.set(static_cast<double>(std::max<std::int64_t>(0, (clock.monotonic() - due).count())) / 1e6);
    }
}

}  // namespace opsd::daemon
