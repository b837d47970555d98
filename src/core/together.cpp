// Out of line, because what asio makes of it takes the compiler two seconds each time.

#include "core/together.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/multiple_exceptions.hpp>

#include <exception>
#include <utility>

namespace opsd {

Task<> both_of(Task<> a, Task<> b)
{
    using asio::experimental::awaitable_operators::operator&&;
    std::exception_ptr thrown;
    try {
        co_await (std::move(a) && std::move(b));
        co_return;
    } catch (const asio::multiple_exceptions& both) {
        thrown = both.first_exception();
    }
    std::rethrow_exception(thrown);
}

Task<> all_of(std::span<Task<>> tasks)
{
    if (tasks.empty()) co_return;
    if (tasks.size() == 1) {
        co_await std::move(tasks.front());
        co_return;
    }
    const auto half = tasks.size() / 2;
    co_await both_of(all_of(tasks.first(half)), all_of(tasks.subspan(half)));
}

Task<> first_of(std::span<Task<>> tasks)
{
    if (tasks.size() == 1) {
        co_await std::move(tasks.front());
        co_return;
    }
    const auto half = tasks.size() / 2;
    co_await first_of(first_of(tasks.first(half)), first_of(tasks.subspan(half)));
}

}  // namespace opsd
