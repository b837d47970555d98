#pragma once
// One-shot watches: who waits for news of which path, and the inboxes where the news arrives. A watch fires
// once and is gone; whoever wants more asks again, which also shows what changed meanwhile.

#include "io/zookeeper/protocol.hpp"
#include "opsd/async.hpp"

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opsd::zookeeper {

/// What a watch says.
struct WatchEvent {
    enum class Kind {
        created,           ///< a node that was missing when exists() asked
        deleted,           ///< the node of any watch
        data_changed,      ///< of get() or exists()
        children_changed,  ///< of children()
        /// Every watch of this inbox is gone, and what happened meanwhile is unknown: the session was
        /// replaced, or the inbox overflowed. Ask again for everything. `path` is empty.
        look_again,
    };
    Kind kind = Kind::look_again;
    std::string path;  ///< as it was asked for
    bool operator==(const WatchEvent&) const = default;
};

/// Where the events of some watches arrive, in the order of the server. Loop thread only.
class Inbox {
public:
    /// `capacity` events may wait; one more, and they all become one look_again.
    Inbox(const Executor& executor, std::size_t capacity);
    Inbox(const Inbox&) = delete;
    Inbox& operator=(const Inbox&) = delete;

    /// The next event; nothing once the client has ended.
    Task<std::optional<WatchEvent>> next();
    [[nodiscard]] bool empty() const noexcept { return events_.empty(); }

    /// For the client.
    void push(WatchEvent event);
    void look_again();
    void end();

private:
    std::size_t capacity_;
    std::deque<WatchEvent> events_;
    asio::steady_timer arrived_;
    bool ended_ = false;
};

/// The watches that a session has at its server. Paths are the server's, with the chroot.
class WatchTable {
public:
    /// Three kinds, because a session that moves to another server must say which they were.
    enum class Kind { data, missing, children };

    explicit WatchTable(std::string chroot) : chroot_{std::move(chroot)} {}

    void add(Kind kind, const std::string& path, const std::shared_ptr<Inbox>& inbox);
    /// Hands an event to those who wait for it, and forgets their watch. Unknown types are ignored.
    void fire(const RawEvent& event);
    /// Tells everybody to look again, and forgets all watches.
    void lose();

    /// Records of set_watches for a new connection of the same session, each below 128 KiB unless one path
    /// alone is longer: a server refuses requests over 1 MiB. Watches that nobody waits for any more are
    /// forgotten.
    [[nodiscard]] std::vector<std::string> rearm(std::int64_t zxid);

    /// Forgets watches that nobody waits for any more; when the server tells of one, nothing happens.
    void forget_abandoned();

    /// Watched paths, by kind: one watch at the server each.
    [[nodiscard]] std::size_t size() const noexcept;
    [[nodiscard]] std::uint64_t fired() const noexcept { return fired_; }

private:
    using Paths = std::map<std::string, std::vector<std::weak_ptr<Inbox>>>;
    void fire(Kind kind, const std::string& path, std::vector<std::shared_ptr<Inbox>>& to);
    [[nodiscard]] std::string from_server(const std::string& path) const;

    std::string chroot_;
    std::array<Paths, 3> watches_;  // by Kind
    std::uint64_t fired_ = 0;
};

}  // namespace opsd::zookeeper
