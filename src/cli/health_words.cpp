#include "cli/health_words.hpp"

#include "cli/cli.hpp"
#include "cli/commands.hpp"
#include "cli/json_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace opsd::cli {

using nlohmann::json;

std::int64_t health_of(const json& object)
{
    const auto at = object.find("health");
    return at != object.end() && at->is_number_integer() ? at->get<std::int64_t>() : 3;
}

std::string one_line(std::string sentence)
{
    std::ranges::replace(sentence, '\n', ' ');
    std::ranges::replace(sentence, '|', '/');
    return sentence;
}

Word word_of(std::int64_t health)
{
    if (health == 0) return {"OK", "healthy", Colour::green, exit_ok};
    if (health == 1) return {"CRITICAL", "unhealthy", Colour::red, exit_critical};
    return {"UNKNOWN", "unknown", Colour::yellow, exit_unknown};
}

std::string short_time(const std::string& time)
{
    auto cut = time.substr(0, 19);
    if (cut.size() > 10) cut[10] = ' ';
    return cut;
}

std::string acknowledgement(const json& unit)
{
    const auto at = unit.find("acknowledged");
    if (at == unit.end() || !at->is_object()) return {};
    return fmt::format("acknowledged by {} until {}: {}", text(*at, "by"), short_time(text(*at, "until")),
                       text(*at, "reason"));
}

int plugin_unknown(const Error& error)
{
    fmt::print("UNKNOWN - {}\n", one_line(printable(error.message)));
    return exit_unknown;
}

}  // namespace opsd::cli
