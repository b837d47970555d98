// The Prefer header of a stranger.

#include "http/prefer.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    const auto wait =
        opsd::http::wait_preference(std::string_view{reinterpret_cast<const char*>(data), size});
    if (wait && (wait->count() < 0 || wait->count() > 86'400)) std::abort();
    return 0;
}
