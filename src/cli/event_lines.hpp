#pragma once
// Bytes that come in any pieces, as lines and as server-sent events. Pure.

#include <functional>
#include <string>
#include <string_view>

namespace opsd::cli {

/// Whole lines, without their ends.
class LineCutter {
public:
    /// False: `on_line` had enough.
    bool feed(std::string_view bytes, const std::function<bool(std::string_view)>& on_line);
    /// What stands behind the last line's end.
    [[nodiscard]] const std::string& rest() const noexcept { return partial_; }

private:
    std::string partial_;
};

struct ServerEvent {
    std::string id;    ///< "" without one
    std::string type;  ///< "" without one
    std::string data;  ///< its lines joined by newlines
};

/// Events of a stream. Comments (pings) are passed over.
class EventCutter {
public:
    /// False: `on_event` had enough.
    bool feed(std::string_view bytes, const std::function<bool(const ServerEvent&)>& on_event);
    /// Of the last event that had one.
    [[nodiscard]] const std::string& last_id() const noexcept { return last_id_; }
    /// The stream begins anew: what is held of an event that did not end is dropped, the last id is kept.
    void restart();

private:
    bool line(std::string_view text, const std::function<bool(const ServerEvent&)>& on_event);

    LineCutter lines_;
    ServerEvent event_;
    bool any_ = false;
    std::string last_id_;
};

}  // namespace opsd::cli
