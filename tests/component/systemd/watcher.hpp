#pragma once
// An observer that keeps the facts of all units by signals alone, as the health module does, and lets a test
// wait for what it expects.

#include "io/systemd/manager.hpp"
#include "opsd/task_group.hpp"
#include "support.hpp"

#include <algorithm>
#include <functional>
#include <map>

namespace opsd::test {

class Watcher final : public systemd::Observer {
public:
    explicit Watcher(const Executor& executor) : news_{executor, never} {}

    void changed(const systemd::UnitChange& change) override
    {
        ++signals;
        const auto it = units.find(systemd::unit_id(change.object_path()));
        if (it == units.end()) return;
        complete = change.apply_to(it->second) && complete;
        (change.of_unit() ? newest_of_unit : newest_own) = change.keep();
        states.push_back(it->first + " " + it->second.active_state);
        news_.cancel();
    }
    void unit_new(std::string_view id, std::string_view) override { note("new", id); }
    void unit_removed(std::string_view id, std::string_view) override { note("removed", id); }
    void job_removed(std::string_view unit, std::string_view result) override { note(result, unit); }
    void unit_files_changed() override { note("files", ""); }
    void reloading(bool active) override { note(active ? "reloading" : "reloaded", ""); }

    /// Waits until `what` holds; false after `limit`.
    Task<bool> until(std::function<bool()> what, std::chrono::milliseconds limit = std::chrono::seconds{20})
    {
        const auto end = asio::steady_timer::clock_type::now() + limit;
        while (!what()) {
            if (asio::steady_timer::clock_type::now() >= end) co_return false;
            news_.expires_at(end);
            co_await wait_event(news_);
        }
        co_return true;
    }

    Task<bool> until_heard(std::string line)
    {
        const auto known = [&] { return heard(line); };
        const bool in_time = co_await until(known);
        co_return in_time;
    }

    [[nodiscard]] bool heard(const std::string& line) const
    {
        return std::ranges::find(lines, line) != lines.end();
    }

    std::unique_ptr<const systemd::UnitChange> newest_own;  ///< of the units that are followed
    std::unique_ptr<const systemd::UnitChange> newest_of_unit;
    std::map<std::string, UnitFacts, std::less<>> units;  ///< those to follow, put here by the test
    std::vector<std::string> lines;
    std::vector<std::string> states;
    std::size_t signals = 0;
    bool complete = true;

private:
    void note(std::string_view what, std::string_view about)
    {
        lines.push_back(std::string{what} + " " + std::string{about});
        news_.cancel();
    }

    asio::steady_timer news_;
};

/// Connects, pumps beside `body(manager, watcher)`, and takes everything down.
template <class Body>
void with_manager(const systemd::ConnectOptions& options, Body body)
{
    run(
        [&]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            auto manager = systemd::connect(executor, options);
            EXPECT_TRUE(manager) << manager.error().message;
            if (!manager) co_return;
            Watcher watcher{executor};
            TaskGroup group{executor, [](std::string_view task, const std::exception_ptr& e) {
                                ADD_FAILURE() << task << ": " << describe(e).what;
                            }};
            auto pump = [](systemd::Manager& m) -> Task<> { co_await m.run(); };
            group.spawn("pump", pump(**manager));
            try {
                co_await body(**manager, watcher);
            } catch (const std::exception& e) {
                ADD_FAILURE() << e.what();
            }
            group.cancel();
            co_await group.join();
        },
        std::chrono::seconds{60});
}

}  // namespace opsd::test
