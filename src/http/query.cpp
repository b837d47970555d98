#include "http/query.hpp"

#include <fmt/format.h>

#include <charconv>
#include <optional>

namespace opsd::http {
namespace {

template <class Number>
std::optional<Number> whole_number(std::string_view text)
{
    Number number{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace

bool is_set(const Request& request, std::string_view name)
{
    const auto* value = request.query.find(name);
    return value != nullptr && *value != "false" && *value != "0";
}

Result<std::int64_t> after_of(const Request& request)
{
    const auto* text = request.query.find("after");
    if (text == nullptr) return 0;
    const auto id = whole_number<std::int64_t>(*text);
    if (id && *id >= 0) return *id;
    return fail(Errc::invalid_argument,
                fmt::format("cannot use after \"{}\": it is an id that opsd gave", *text));
}

Result<std::size_t> limit_of(const Request& request, std::size_t otherwise, std::size_t most)
{
    const auto* text = request.query.find("limit");
    if (text == nullptr) return otherwise;
    const auto number = whole_number<std::size_t>(*text);
    if (number && *number > 0 && *number <= most) return *number;
    return fail(Errc::invalid_argument,
                fmt::format("cannot use limit \"{}\": it is a number from 1 to {}", *text, most));
}

}  // namespace opsd::http
