#include "io/mesos/json_walk.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>
#include <string>
#include <vector>

namespace opsd::mesos {
namespace {

constexpr std::size_t deepest = 64;
constexpr std::size_t longest_key = 64;

/// nlohmann's events with the path at which they happen.
class Walker {
public:
    using Json = nlohmann::json;
    using Kind = JsonEvent::Kind;

    Walker(std::string_view what, const std::function<Result<>(const JsonEvent&)>& visit)
      : what_{what}
      , visit_{visit}
    {}

    // the names are nlohmann's
    bool null() { return tell({.kind = Kind::null}); }
    bool boolean(bool value) { return tell({.kind = Kind::boolean, .boolean = value}); }
    bool number_integer(std::int64_t value) { return number(static_cast<double>(value)); }
    bool number_unsigned(std::uint64_t value) { return number(static_cast<double>(value)); }
    bool number_float(double value, const std::string&) { return number(value); }
    bool string(std::string& value) { return tell({.kind = Kind::text, .text = value}); }
    bool binary(Json::binary_t&) { return false; }
    bool start_object(std::size_t) { return open(Kind::begin_object, ""); }
    bool end_object() { return close(Kind::end_object); }
    bool start_array(std::size_t) { return open(Kind::begin_array, "[]"); }
    bool end_array() { return close(Kind::end_array); }

    bool key(std::string& name)
    {
        path_.resize(bases_.back());
        if (!path_.empty()) path_ += '.';
        const bool odd =
            name.empty() || name.size() > longest_key || name.find_first_of(".[]") != std::string::npos;
        path_ += odd ? "?" : name;
        return true;
    }

    bool parse_error(std::size_t position, const std::string&, const Json::exception&)
    {
        broken_at_ = position;
        return false;
    }

    [[nodiscard]] Error error(std::size_t size) &&
    {
        if (error_) return std::move(*error_);
        if (broken_at_ > size)
            return {Errc::protocol, fmt::format("cannot read {}: it ends in the middle", what_)};
        return {Errc::protocol,
                fmt::format("cannot read {}: it is not JSON (byte {} of {})", what_, broken_at_, size)};
    }

private:
    bool number(double value) { return tell({.kind = Kind::number, .number = value}); }

    bool open(Kind kind, std::string_view suffix)
    {
        if (bases_.size() == deepest) {
            error_ = {Errc::protocol,
                      fmt::format("cannot read {}: it nests deeper than {} levels", what_, deepest)};
            return false;
        }
        const bool go_on = tell({.kind = kind});
        bases_.push_back(path_.size());
        path_ += suffix;
        return go_on;
    }

    bool close(Kind kind)
    {
        path_.resize(bases_.back());
        bases_.pop_back();
        return tell({.kind = kind});
    }

    bool tell(JsonEvent event)
    {
        event.path = path_;
        auto done = visit_(event);
        if (done) return true;
        error_ = std::move(done).error();
        return false;
    }

    std::string_view what_;
    const std::function<Result<>(const JsonEvent&)>& visit_;
    std::string path_;
    std::vector<std::size_t> bases_;  // the length of the path outside of each open bracket
    std::optional<Error> error_;
    std::size_t broken_at_ = 0;
};

}  // namespace

std::optional<JsonPlace> place_in(std::span<const JsonList> lists, std::string_view path)
{
    for (const auto& list : lists) {
        if (!path.starts_with(list.item)) continue;
        const auto rest = path.substr(list.item.size());
        if (rest.empty()) return JsonPlace{{}, list.completed};
        if (rest.front() == '.') return JsonPlace{rest.substr(1), list.completed};
    }
    return std::nullopt;
}

Result<> walk_json(std::string_view text, std::string_view what,
                   const std::function<Result<>(const JsonEvent&)>& visit)
{
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
        return fail(Errc::protocol, fmt::format("cannot read {}: it is empty", what));
    Walker walker{what, visit};
    const bool whole = nlohmann::json::sax_parse(text.begin(), text.end(), &walker);
    if (!whole) return fail(std::move(walker).error(text.size()));
    return {};
}

}  // namespace opsd::mesos
