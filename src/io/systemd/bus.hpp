#pragma once
// sd-bus on the daemon's event loop: no thread, no sd_event. Typed calls stand above it (manager.hpp);
// nothing outside this folder includes this file.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>

#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

struct sd_bus;
struct sd_bus_message;
struct sd_bus_slot;

namespace opsd::systemd {

struct BusUnref {
    void operator()(sd_bus* p) const noexcept;
    void operator()(sd_bus_message* p) const noexcept;
    void operator()(sd_bus_slot* p) const noexcept;
};
using BusPtr = std::unique_ptr<sd_bus, BusUnref>;
using Message = std::unique_ptr<sd_bus_message, BusUnref>;
using Slot = std::unique_ptr<sd_bus_slot, BusUnref>;

/// Why something cannot be done and what to do about it: the second half of an Error's sentence.
struct Cause {
    Errc code = Errc::internal;
    std::string text;

    /// "cannot list the units: ..."
    [[nodiscard]] Error when_asked_to(std::string_view what) const;
};

/// What an errno of sd-bus means while talking to `peer` ("the system bus at unix:path=...").
[[nodiscard]] Cause cause_of_errno(int error, std::string_view peer);

/// What an error reply means.
[[nodiscard]] Cause cause_of_reply(std::string_view name, std::string_view message);

/// What Bus::open needs.
struct BusOptions {
    std::string address;
    bool direct = false;  ///< a peer without a bus daemon between: no Hello, no names, no matches
    std::chrono::milliseconds call_timeout{5000};
    std::size_t window = 100;
};

/// One connection. Loop thread only. Calls keep it alive; close() ends them.
class Bus : public std::enable_shared_from_this<Bus> {
public:
    /// Called for every signal that arrives, trusted or not: check the sender.
    using OnSignal = std::function<void(sd_bus_message*)>;

    /// Starts to connect; never blocks. The handshake happens while run() pumps.
    static Result<std::shared_ptr<Bus>> open(const Executor& executor, const BusOptions& options);
    ~Bus();
    Bus(const Bus&) = delete;
    Bus& operator=(const Bus&) = delete;

    /// Lets bytes move until the connection ends, and says why it did. One at a time. What the handler of
    /// signals throws comes out here.
    Task<Error> run();

    /// A call to be filled with arguments; never starts a service.
    Result<Message> method(const char* service, const char* path, const char* interface, const char* member);

    /// Sends a call and awaits its reply. `what` completes "cannot ..." in errors. Waits for its turn while
    /// `window` calls are unanswered, as long as answers still come. The deadline counts from the sending,
    /// and holds even while nobody pumps. An abandoned call keeps its place until its answer arrives:
    /// dbus-daemon counts it just the same.
    static Task<Result<Message>> call(std::shared_ptr<Bus> bus, Message request, std::string what);

    /// Sends all calls before it awaits the first reply; the peer handles them in order. The replies in that
    /// order, or the first failure.
    static Task<Result<std::vector<Message>>> call_all(std::shared_ptr<Bus> bus,
                                                       std::vector<Message> requests, std::string what);

    /// Replaces the handler of signals; an empty one ignores them.
    void on_signal(OnSignal handler) { on_signal_ = std::move(handler); }

    /// Called by the handler of signals: when all that has arrived is handled, what comes next waits for some
    /// milliseconds, or until somebody calls.
    void linger() noexcept { lingering_ = true; }

    /// Ends the connection: run() returns, calls fail. Safe from inside a handler; the first cause stays.
    void close(Cause cause);

    [[nodiscard]] bool direct() const noexcept { return options_.direct; }
    /// Calls that wait for an answer or for their turn.
    [[nodiscard]] std::size_t in_flight() const noexcept { return pending_.size(); }
    [[nodiscard]] std::size_t waiting() const noexcept { return turns_.size(); }

private:
    struct Pending;
    struct Filter;
    class Turn;
    enum class Direction { reading, writing };

    Bus(const Executor& executor, BusOptions options, BusPtr bus, int fd);
    Task<std::optional<Cause>> turn();
    static Task<Result<std::shared_ptr<Pending>>> begin(Bus& bus, const Message& request,
                                                        const std::string& what);
    static Task<Result<Message>> end(Bus& bus, std::shared_ptr<Pending> pending, const std::string& what);
    Result<std::shared_ptr<Pending>> send(sd_bus_message* request, const std::string& what);
    void forget(const Pending* pending);
    void next_turn();
    [[nodiscard]] Cause late() const;
    void pump();
    bool dispatch();
    void arm();
    void rest();
    void end_rest();
    void arm(Direction direction);
    void arm_deadline(std::uint64_t usec);

    Executor executor_;
    BusOptions options_;
    std::string peer_;
    BusPtr bus_;
    Slot filter_;
    asio::posix::stream_descriptor fd_;
    asio::steady_timer deadline_;  // sd-bus's own, of the handshake
    asio::steady_timer ended_;     // wakes run()
    asio::steady_timer resting_;   // no wake-up for what arrives, until it ends
    int resting_fd_ = -1;          // fd_'s, meanwhile
    bool lingering_ = false;
    bool pumping_ = false;  // run() runs
    bool reading_ = false;  // a wait on the descriptor is armed
    bool writing_ = false;
    OnSignal on_signal_;
    std::exception_ptr failure_;                   // thrown by on_signal_; run() passes it on
    std::list<std::shared_ptr<Pending>> pending_;  // sent, not answered: at most options_.window
    std::list<Turn*> turns_;                       // their owners are suspended in turn()
    asio::steady_timer::time_point last_reply_{};
    bool greeted_ = false;  // did the peer ever answer?
    std::optional<Cause> lost_;
};

}  // namespace opsd::systemd
