#pragma once
// Names to addresses, for all who run on a loop: by getaddrinfo, which nothing can interrupt, on a few
// threads.
//
// In:  a name, and until when an answer is of use.
// Out: its addresses, or why there are none.
// Promises: nobody waits beyond the deadline; names that hang delay others only when there are as many as
//      threads; a name is asked for once however many want to know, and not at all when nobody does any more.

#include "io/net/socket.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace opsd::net {

/// Loop thread only.
class Resolver {
public:
    /// Asks, on one of the threads; the addresses have no port.
    using Ask = std::function<Result<std::vector<Endpoint>>(const std::string& host)>;

    explicit Resolver(Ask ask, std::size_t threads);
    /// Waits for those that are being asked.
    ~Resolver();
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;

    /// The one of the executor's loop: getaddrinfo on 8 threads, begun with the first name.
    static Resolver& of(const Executor& executor);

    /// At most 16 addresses, in the order of getaddrinfo. A literal address is not looked up. While 1,024
    /// names wait for dead name servers further ones are Errc::unavailable at once.
    Task<Result<std::vector<Endpoint>>> resolve(std::string host, std::uint16_t port, Deadline deadline);

private:
    struct Lookup;
    struct State;
    struct Waiting;
    std::shared_ptr<State> state_;  // shared with what the threads hand over
};

}  // namespace opsd::net
