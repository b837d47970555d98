#pragma once
// Two ends of a byte stream in memory: the fake beside the sockets, for tests and the fuzz target.

#include "io/net/transport.hpp"

#include <memory>
#include <utility>

namespace opsd::net {

struct MemoryOptions {
    std::size_t step = static_cast<std::size_t>(-1);  ///< the most that one read returns
    std::size_t capacity =
        static_cast<std::size_t>(-1);  ///< bytes in flight per direction before writes wait
};

/// What one end writes the other reads. Destroying an end closes it both ways.
std::pair<std::unique_ptr<Transport>, std::unique_ptr<Transport>>
make_memory_pair(const Executor& executor, MemoryOptions options = {});

}  // namespace opsd::net
