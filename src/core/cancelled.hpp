#pragma once
// For a task whose outside call returned its cancellation as an ordinary failure.

#include "opsd/async.hpp"

namespace opsd {

/// Ends the calling task as a wait would, when it was cancelled: what it got meanwhile is no news.
inline Task<> throw_if_cancelled()
{
    const auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
        throw boost::system::system_error{asio::error::operation_aborted};
}

}  // namespace opsd
