#include "pipeline/sinks/stamp.hpp"

#include "opsd/clock.hpp"

#include <algorithm>

namespace opsd::pipeline {
namespace {

constexpr std::int64_t second = 1'000'000;
constexpr std::int64_t last_time = 253'402'300'799 * second;  // of the year 9999

}  // namespace

void append_digits(std::string& out, std::uint64_t number, std::size_t digits)
{
    const auto begin = out.size();
    out.append(digits, '0');
    for (auto at = begin + digits; at > begin; number /= 10)
        out[--at] = static_cast<char>('0' + number % 10);
}

void Stamp::set(std::int64_t at)
{
    if (at == second_) return;
    second_ = at;
    text_ = rfc3339(WallTime{std::chrono::seconds{at}}).substr(0, 19);
}

void Stamp::append(std::string& out, std::int64_t time)
{
    time = std::clamp<std::int64_t>(time, 0, last_time);
    set(time / second);
    out.append(text_).append(1, '.');
    append_digits(out, static_cast<std::uint64_t>(time % second), 6);
    out += 'Z';
}

std::string_view Stamp::day(std::int64_t time)
{
    set(std::clamp<std::int64_t>(time, 0, last_time) / second);
    return std::string_view{text_}.substr(0, 10);
}

}  // namespace opsd::pipeline
