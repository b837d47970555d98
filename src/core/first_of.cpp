// Out of line, because what asio makes of it takes the compiler two seconds each time.

#include "core/together.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/multiple_exceptions.hpp>

#include <exception>
#include <variant>

namespace opsd {
namespace {

/// How a task ended: the operator alone waits for the first that succeeds, and a task that fails would go
/// unnoticed beside one that never ends.
Task<std::exception_ptr> outcome_of(Task<> task)
{
    try {
        co_await std::move(task);
        co_return std::exception_ptr{};
    } catch (...) {
        co_return std::current_exception();
    }
}

}  // namespace

Task<> first_of(Task<> a, Task<> b)
{
    using asio::experimental::awaitable_operators::operator||;
    std::exception_ptr thrown;
    try {
        const auto either = co_await (outcome_of(std::move(a)) || outcome_of(std::move(b)));
        thrown = std::visit([](const auto& outcome) { return outcome; }, either);
    } catch (const asio::multiple_exceptions& both) {
        thrown = both.first_exception();
    }
    if (thrown) std::rethrow_exception(thrown);
}

Task<> both_of(Task<> a, Task<> b)
{
    using asio::experimental::awaitable_operators::operator&&;
    std::exception_ptr thrown;
    try {
        const auto [first, second] = co_await (outcome_of(std::move(a)) && outcome_of(std::move(b)));
        thrown = first ? first : second;
    } catch (const asio::multiple_exceptions& both) {
        thrown = both.first_exception();
    }
    if (thrown) std::rethrow_exception(thrown);
}

}  // namespace opsd
