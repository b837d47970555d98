#include "pipeline/verdict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace opsd::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds longest_after = 10min;
constexpr std::size_t longest_excerpt = 300;

Verdict whole(Verdict::Kind kind, std::string reason)
{
    Verdict verdict;
    verdict.kind = kind;
    verdict.reason = std::move(reason);
    return verdict;
}

/// "Sun, 06 Nov 1994 08:49:37 GMT", the one form of dates that is sent today.
std::optional<WallTime> http_date(std::string_view text)
{
    constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
    const auto month = std::ranges::find(months, text.substr(8, 3));
    if (month == months.end()) return std::nullopt;
    const auto iso = fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month - months.begin() + 1,
                                 text.substr(5, 2), text.substr(17, 8));
    const auto time = parse_rfc3339(iso);
    return time ? std::optional{*time} : std::nullopt;
}

}  // namespace

Verdict accepted() { return whole(Verdict::Kind::accepted, {}); }
Verdict too_large(std::string reason) { return whole(Verdict::Kind::too_large, std::move(reason)); }
Verdict refused(std::string reason) { return whole(Verdict::Kind::refused, std::move(reason)); }
Verdict keep(std::string reason) { return whole(Verdict::Kind::keep, std::move(reason)); }

Verdict retry(std::string reason, std::optional<std::chrono::milliseconds> after)
{
    auto verdict = whole(Verdict::Kind::retry, std::move(reason));
    verdict.after = after;
    return verdict;
}

Verdict verdict_of_status(int status, std::string_view reply, std::optional<std::chrono::milliseconds> after)
{
    const auto text = excerpt(reply);
    auto reason = fmt::format("it answered {}{}{}", status, text.empty() ? "" : ": ", text);
    if (status >= 200 && status < 300) return accepted();
    if (status == 413) return too_large(std::move(reason));
    if (status == 408 || status == 425 || status == 429 || status >= 500 || status < 200)
        return retry(std::move(reason), after);
    if (status < 400) return keep(reason + "; redirects are not followed, give the address it leads to");
    if (status == 401 || status == 403 || status == 407)
        return keep(reason + "; check the credentials and rights of this output");
    if (status == 404 || status == 405 || status == 410)
        return keep(reason + "; check the address of this output");
    return refused(std::move(reason));
}

std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value, WallTime now)
{
    std::uint32_t seconds = 0;
    const auto* end = value.data() + value.size();
    const auto [last, ec] = std::from_chars(value.data(), end, seconds);
    if (ec == std::errc{} && last == end)
        return std::min<std::chrono::milliseconds>(std::chrono::seconds{seconds}, longest_after);
    const auto date = http_date(value);
    if (!date) return std::nullopt;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(*date - now);
    return std::clamp<std::chrono::milliseconds>(left, 0ms, longest_after);
}

std::string excerpt(std::string_view text)
{
    std::string line;
    bool space = false;
    for (const char c : text.substr(0, 4 * longest_excerpt)) {
        if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f) {
            space = !line.empty();
            continue;
        }
        if (space) line += ' ';
        space = false;
        line += static_cast<unsigned char>(c) < 0x80 ? c : '?';  // a cut character would be no UTF-8
        if (line.size() >= longest_excerpt) return line + "...";
    }
    return line;
}

}  // namespace opsd::pipeline
