#pragma once
// One pass over a JSON text that builds nothing: what is not picked from an answer of 64 MiB costs no memory.

#include "opsd/result.hpp"

#include <functional>
#include <optional>
#include <span>
#include <string_view>

namespace opsd::mesos {

struct JsonEvent {
    enum class Kind { begin_object, end_object, begin_array, end_array, text, number, boolean, null };
    Kind kind = Kind::null;
    /// Where: "" is the root, "slaves[].attributes.rack" a text in an object in a list. A key that holds one
    /// of . [ ], is empty or has more than 64 bytes shows as "?".
    std::string_view path;
    std::string_view text = {};
    double number = 0;
    bool boolean = false;
};

/// A list that matters, "frameworks[].tasks[]", and whether what is in it is over.
struct JsonList {
    std::string_view item;
    bool completed = false;
};
/// Where in an item of such a list a path leads.
struct JsonPlace {
    std::string_view field;  ///< "" is the item itself
    bool completed = false;
};
/// Nothing: in none of them.
[[nodiscard]] std::optional<JsonPlace> place_in(std::span<const JsonList> lists, std::string_view path);

/// Calls `visit` for one event after another; an error it returns ends the pass and becomes the answer.
/// Errc::protocol, "cannot read WHAT: ...", for a text that is empty, not JSON, ends early or nests deeper
/// than 64 levels.
Result<> walk_json(std::string_view text, std::string_view what,
                   const std::function<Result<>(const JsonEvent&)>& visit);

}  // namespace opsd::mesos
