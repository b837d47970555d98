// A line of the dead letters' file, torn or not; and letters of any bytes, written and read again.

#include "pipeline/dead_letters.hpp"

#include <cstdint>
#include <cstdlib>

using namespace opsd::pipeline;

namespace {

bool same(const DeadLetter& a, const DeadLetter& b)
{
    return a.id == b.id && a.position == b.position && a.time == b.time && a.died == b.died
           && a.reason == b.reason && a.bytes == b.bytes;
}

void survives(const DeadLetter& letter)
{
    const auto line = letter_line(letter);
    if (line.find('\n') != std::string::npos) std::abort();
    const auto back = parse_letter(line);
    if (!back || !same(*back, letter)) std::abort();
    if (parse_letter(std::string_view{line}.substr(0, line.size() - 1))) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const std::string text{reinterpret_cast<const char*>(data), size};
    if (const auto letter = parse_letter(text)) survives(*letter);
    const auto third = size / 3;
    survives({text.substr(0, third), text.substr(third, third), -7, static_cast<std::int64_t>(size),
              text.substr(third), text.substr(2 * third)});
    return 0;
}
