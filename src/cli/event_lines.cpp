#include "cli/event_lines.hpp"

#include <utility>

namespace opsd::cli {

bool LineCutter::feed(std::string_view bytes, const std::function<bool(std::string_view)>& on_line)
{
    for (;;) {
        const auto end = bytes.find('\n');
        if (end == std::string_view::npos) break;
        partial_ += bytes.substr(0, end);
        bytes.remove_prefix(end + 1);
        auto line = std::exchange(partial_, {});
        if (line.ends_with('\r')) line.pop_back();
        if (!on_line(line)) return false;
    }
    partial_ += bytes;
    return true;
}

bool EventCutter::feed(std::string_view bytes, const std::function<bool(const ServerEvent&)>& on_event)
{
    return lines_.feed(bytes, [&](std::string_view text) { return line(text, on_event); });
}

void EventCutter::restart()
{
    lines_ = {};
    event_ = {};
    any_ = false;
}

bool EventCutter::line(std::string_view text, const std::function<bool(const ServerEvent&)>& on_event)
{
    if (text.empty()) {
        const auto event = std::exchange(event_, {});
        const bool told = std::exchange(any_, false);
        if (!event.id.empty()) last_id_ = event.id;
        return !told || on_event(event);
    }
    const auto colon = text.find(':');
    if (colon == 0) return true;
    const auto name = text.substr(0, colon);
    auto value = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (name == "id") event_.id = value;
    if (name == "event") event_.type = value;
    if (name == "data") {
        if (any_) event_.data += '\n';
        event_.data += value;
        any_ = true;
    }
    return true;
}

}  // namespace opsd::cli
