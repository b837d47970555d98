#include "opsd/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>

namespace opsd {

using namespace std::chrono;

std::string rfc3339(WallTime time)
{
    if (time.time_since_epoch().count() < 0) time = WallTime{};
    const auto day = floor<days>(time);
    const year_month_day date{day};
    const hh_mm_ss clock{floor<milliseconds>(time - day)};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

namespace {

/// Takes `digits` decimal digits and the separator after them ('\0': none) off the front of `text`.
bool take(std::string_view& text, std::size_t digits, char separator, int& value)
{
    if (text.size() < digits + (separator != '\0' ? 1 : 0)) return false;
    if (text.front() == '-') return false;  // from_chars would take "-0"
    const auto [end, ec] = std::from_chars(text.data(), text.data() + digits, value);
    if (ec != std::errc{} || end != text.data() + digits || value < 0) return false;
    text.remove_prefix(digits);
    if (separator == '\0') return true;
    if (text.front() != separator) return false;
    text.remove_prefix(1);
    return true;
}

bool take_fraction(std::string_view& text, microseconds& fraction)
{
    if (!text.starts_with('.')) return true;
    text.remove_prefix(1);
    std::int64_t value = 0;
    std::size_t digits = 0;
    for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
        if (digits < 6) value = value * 10 + (text[digits] - '0');
    }
    if (digits == 0 || digits > 9) return false;
    for (auto missing = digits; missing < 6; ++missing)
        value *= 10;
    text.remove_prefix(digits);
    fraction = microseconds{value};
    return true;
}

bool take_offset(std::string_view text, minutes& offset)
{
    if (text == "Z" || text == "z") return true;
    if (text.size() != 6 || (text[0] != '+' && text[0] != '-')) return false;
    const bool west = text[0] == '-';
    text.remove_prefix(1);
    int hour = 0;
    int minute = 0;
    if (!take(text, 2, ':', hour) || !take(text, 2, '\0', minute) || hour > 23 || minute > 59) return false;
    offset = minutes{hour * 60 + minute} * (west ? -1 : 1);
    return true;
}

}  // namespace

Result<WallTime> parse_rfc3339(std::string_view text)
{
    const auto bad = [text] {
        return fail(Errc::invalid_argument,
                    fmt::format("cannot read the time \"{}\": write it like 2026-11-22T17:39:05Z",
                                text.substr(0, 64)));
    };
    auto rest = text;
    int y = 0, mo = 0, d = 0, h = 0, mi = 0, s = 0;
    if (!take(rest, 4, '-', y) || !take(rest, 2, '-', mo) || !take(rest, 2, '\0', d)) return bad();
    if (rest.empty() || (rest.front() != 'T' && rest.front() != 't' && rest.front() != ' ')) return bad();
    rest.remove_prefix(1);
    if (!take(rest, 2, ':', h) || !take(rest, 2, ':', mi) || !take(rest, 2, '\0', s)) return bad();
    microseconds fraction{};
    minutes offset{};
    if (!take_fraction(rest, fraction) || !take_offset(rest, offset)) return bad();
    const year_month_day date{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
    if (!date.ok() || h > 23 || mi > 59 || s > 60) return bad();
    return WallTime{sys_days{date} + hours{h} + minutes{mi} + seconds{s} + fraction - offset};
}

std::string human_duration(milliseconds time)
{
    const auto ms = time.count() < 0 ? -time.count() : time.count();
    const auto two = [](std::int64_t big, const char* big_unit, std::int64_t small, const char* small_unit) {
        return small == 0 ? fmt::format("{} {}", big, big_unit)
                          : fmt::format("{} {} {} {}", big, big_unit, small, small_unit);
    };
    if (ms < 1000) return fmt::format("{} ms", ms);
    if (ms < 60'000) return fmt::format("{} s", ms / 1000);
    if (ms < 3'600'000) return two(ms / 60'000, "min", ms / 1000 % 60, "s");
    if (ms < 86'400'000) return two(ms / 3'600'000, "h", ms / 60'000 % 60, "min");
    return two(ms / 86'400'000, "d", ms / 3'600'000 % 24, "h");
}

WallTime SystemClock::now() const { return time_point_cast<microseconds>(system_clock::now()); }

Monotonic SystemClock::monotonic() const
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return seconds{now.tv_sec} + duration_cast<microseconds>(nanoseconds{now.tv_nsec});
}

Task<> SystemClock::sleep_for(milliseconds time)
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, time};
    co_await timer.async_wait(asio::use_awaitable);
}

Task<> SystemClock::wait_for(asio::steady_timer& event, milliseconds time)
{
    event.expires_after(time);
    co_await wait_event(event);
}

Task<> ManualClock::sleep_for(milliseconds time)
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer alarm{executor, never};
    co_await wait_for(alarm, time);
}

Task<> ManualClock::wait_for(asio::steady_timer& event, milliseconds time)
{
    event.expires_at(never);
    bool rung = false;
    struct Leave {
        std::multimap<Monotonic, Sleeper>& all;
        std::multimap<Monotonic, Sleeper>::iterator at;
        const bool& rung;
        ~Leave()
        {
            if (!rung) all.erase(at);
        }
    };
    const auto due = monotonic_ + std::max(time, milliseconds{0});
    const Leave leave{sleepers_, sleepers_.emplace(due, Sleeper{&event, &rung}), rung};
    co_await wait_event(event);
}

}  // namespace opsd
