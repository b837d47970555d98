#include "opsd/task_group.hpp"

#include <boost/asio/multiple_exceptions.hpp>

#include <cassert>

namespace opsd {
namespace {

/// A completion handler with a cancellation slot. Not bind_cancellation_slot(): that makes co_spawn
/// (Boost 1.81) post cancel() as a raw pointer into the slot when it is called outside the loop, and a task
/// that ends before the post runs takes the slot with it.
template <class Function>
struct Cancellable {
    using cancellation_slot_type = asio::cancellation_slot;
    [[nodiscard]] cancellation_slot_type get_cancellation_slot() const noexcept { return slot; }
    void operator()(std::exception_ptr error) { function(std::move(error)); }

    Function function;
    asio::cancellation_slot slot;
};

}  // namespace

TaskGroup::TaskGroup(Executor executor, OnFailure on_failure)
  : executor_{std::move(executor)}
  , on_failure_{std::move(on_failure)}
  , idle_{executor_, never}
{}

TaskGroup::~TaskGroup() { assert(tasks_.empty() && "TaskGroup destroyed with running tasks"); }

void TaskGroup::spawn(std::string name, Task<> task)
{
    if (cancelled_) return;  // the group is closing: a late task never starts
    tasks_.emplace_front(std::move(name));
    auto self = tasks_.begin();
    auto ended = [this, self](const std::exception_ptr& e) {
        if (e && !describe(e).cancelled) on_failure_(self->name, e);
        tasks_.erase(self);
        if (tasks_.empty()) idle_.cancel();
    };
    asio::co_spawn(executor_, std::move(task), Cancellable<decltype(ended)>{ended, self->signal.slot()});
}

void TaskGroup::cancel()
{
    cancelled_ = true;
    // emit() may resume and finish a task, which erases its own entry; so take the next one first.
    for (auto it = tasks_.begin(); it != tasks_.end();) {
        auto current = it++;
        current->signal.emit(asio::cancellation_type::terminal);
    }
}

Task<> TaskGroup::join()
{
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!tasks_.empty()) {
        auto [ec] = co_await idle_.async_wait(tuple);
        (void)ec;
    }
}

std::vector<std::string> TaskGroup::names() const
{
    std::vector<std::string> all;
    for (auto it = tasks_.rbegin(); it != tasks_.rend(); ++it)
        all.push_back(it->name);
    return all;
}

Failure describe(const std::exception_ptr& error)
{
    try {
        std::rethrow_exception(error);
    } catch (const asio::multiple_exceptions& e) {
        // `a || b` of which both failed: when the task was cancelled, both say so.
        return describe(e.first_exception());
    } catch (const boost::system::system_error& e) {
        return {e.what(), e.code() == asio::error::operation_aborted};
    } catch (const std::exception& e) {
        return {e.what(), false};
    } catch (...) {
        return {"an exception that is not a std::exception", false};
    }
}

}  // namespace opsd
