#pragma once
// A nursery: every coroutine the daemon starts lives in one group, the group can cancel them all, and its
// owner waits until the last one is gone. One executor only, like everything else.

#include "opsd/async.hpp"

#include <boost/asio/cancellation_signal.hpp>

#include <exception>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <vector>

namespace opsd {

/// Owns running coroutines. Must be empty (cancel() and join()) before it is destroyed.
class TaskGroup {
public:
    /// Called once for a task that ended by an exception other than its own cancellation.
    using OnFailure = std::function<void(std::string_view task, std::exception_ptr)>;

    TaskGroup(Executor executor, OnFailure on_failure);
    ~TaskGroup();
    TaskGroup(const TaskGroup&) = delete;
    TaskGroup& operator=(const TaskGroup&) = delete;

    /// Starts a task. Takes the coroutine itself, not a lambda: its arguments are its state. After cancel() a
    /// late task is dropped without being started. Called on the loop, the task runs up to its first wait
    /// before spawn() returns.
    void spawn(std::string name, Task<> task);

    /// Asks every task to end. Safe to call twice and from inside a task.
    void cancel();

    /// Waits until the group is empty; not cancellable. Join after cancel(), or to await natural ends.
    Task<> join();

    [[nodiscard]] std::size_t size() const noexcept { return tasks_.size(); }

    /// Names of the tasks still running, oldest first: the laggards a slow stop reports.
    [[nodiscard]] std::vector<std::string> names() const;

private:
    struct Entry {
        explicit Entry(std::string task_name) : name{std::move(task_name)} {}
        std::string name;
        asio::cancellation_signal signal;  // neither copies nor moves
    };

    Executor executor_;
    OnFailure on_failure_;
    std::list<Entry> tasks_;
    asio::steady_timer idle_;
    bool cancelled_ = false;
};

/// The text of an exception, and whether it was only a cancellation (operation_aborted).
struct Failure {
    std::string what;
    bool cancelled = false;
};
[[nodiscard]] Failure describe(const std::exception_ptr& error);

}  // namespace opsd
