#include "core/ack_request.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>

namespace opsd {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t longest_reason = 500;  // characters
constexpr config::Duration shortest = 1min;
constexpr config::Duration longest = 24h * 30;

/// Characters of UTF-8 text; nlohmann has checked the encoding.
std::size_t characters(std::string_view text)
{
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0U) != 0x80U; }));
}

std::unexpected<Error> refuse(std::string why)
{
    return fail(
        Errc::invalid_argument,
        fmt::format("cannot acknowledge: {}; send {{\"for\": \"2h\", \"reason\": \"new disk\"}}", why));
}

}  // namespace

Result<AckRequest> read_ack_request(std::string_view body)
{
    const auto json = nlohmann::json::parse(body, nullptr, false);
    if (!json.is_object()) return refuse("the body is not a JSON object");
    for (const auto& [key, value] : json.items()) {
        if (key != "for" && key != "reason") return refuse(fmt::format("there is no member \"{}\"", key));
        if (!value.is_string()) return refuse(fmt::format("\"{}\" is not a string", key));
    }
    if (!json.contains("for") || !json.contains("reason"))
        return refuse("\"for\" and \"reason\" are both needed");
    AckRequest asked;
    const auto decoded = config::decode(config::Value::scalar(json["for"].get<std::string>()), asked.time);
    if (!decoded) return refuse(fmt::format("\"for\" {}", decoded.error().message));
    if (asked.time < shortest || asked.time > longest) return refuse("\"for\" must be 1m to 30d");
    asked.reason = json["reason"].get<std::string>();
    if (asked.reason.empty()) return refuse("\"reason\" is empty");
    if (characters(asked.reason) > longest_reason) return refuse("\"reason\" is longer than 500 characters");
    return asked;
}

Acknowledgement AckRequest::begin(const std::string& by, WallTime now) const
{
    return {.by = by.empty() ? "anonymous" : by, .reason = reason, .at = now, .until = now + time};
}

}  // namespace opsd
