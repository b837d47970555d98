#include "cli/json_text.hpp"

#include <nlohmann/json.hpp>

namespace opsd::cli {

using nlohmann::json;

std::string text(const json& object, const char* key)
{
    const auto at = object.find(key);
    return at != object.end() && at->is_string() ? printable(at->get<std::string>()) : std::string{};
}

std::int64_t number(const json& object, const char* key)
{
    const auto at = object.find(key);
    return at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : 0;
}

std::string body_of(const json& document)
{
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

void print_json(const json& document)
{
    fmt::print("{}\n", document.dump(2, ' ', false, json::error_handler_t::replace));
}

}  // namespace opsd::cli
