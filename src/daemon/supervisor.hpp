#pragma once
// The life of modules. In: the catalog and the checked configuration. Out: running modules, their routes and
// their states on the board.
//
// A module that throws or returns is reported as failed and a new instance is started after 1 s, 2 s, ... 60
// s; it never takes the daemon down. A reload replaces only modules whose section changed, and none when one
// of the new sections is refused.

#include "opsd/module.hpp"
#include "opsd/task_group.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace opsd::daemon {

/// What modules are given; references outlive the supervisor.
struct Environment {
    Executor executor;
    Clock& clock;
    Board& board;
    Feeds& feeds;
    Store& store;
    telemetry::Registry& metrics;
    const Paths& paths;
    Log log;
};

class Supervisor {
public:
    Supervisor(Environment environment, std::vector<CatalogEntry> catalog);
    ~Supervisor();
    Supervisor(const Supervisor&) = delete;
    Supervisor& operator=(const Supervisor&) = delete;

    /// Creates every module from its section of `root`; all refusals are appended. Starts nothing.
    void create(const config::Value& root, config::Mistakes& mistakes);
    /// Starts what create() made.
    void start();
    /// Modules made for a new configuration, in the places of those that run.
    class Changes;
    /// Creates the modules whose section differs; all refusals are appended. Changes nothing.
    Changes prepare(const config::Value& root, config::Mistakes& mistakes);
    /// Ends the old modules and starts the new ones, one by one. A stop() meanwhile ends it.
    Task<> replace(Changes changes);
    /// Asks all modules to end and waits for them.
    Task<> stop();
    /// Names of tasks that have not ended, for the log of a slow stop.
    [[nodiscard]] std::vector<std::string> running() const;

    /// Waits until no module is `starting`, or until `limit` is over. True when all have answered.
    Task<bool> settled(std::chrono::milliseconds limit);

    /// The routes of all modules. A handler keeps its module alive while it runs.
    [[nodiscard]] std::vector<http::Route> routes() const;
    /// Called when routes() changed because a module was replaced.
    void on_routes_changed(std::function<void()> callback) { routes_changed_ = std::move(callback); }

private:
    struct Slot;
    Task<> supervise(Slot& slot);
    Result<std::shared_ptr<Module>> make(Slot& slot, const config::Value* section);
    void publish();

    Environment environment_;
    std::list<Slot> slots_;
    std::function<void()> routes_changed_;
    bool stopping_ = false;
};

class Supervisor::Changes {
public:
    Changes();
    Changes(Changes&& other) noexcept;
    Changes& operator=(Changes&&) = delete;
    ~Changes();

private:
    friend Supervisor;
    struct Change;
    std::vector<Change> all_;
};

}  // namespace opsd::daemon
