// Whatever bytes dpkg's log holds, changes have plausible times and plain names; and journal lines give paths
// and addresses that are parts of them.

#include "modules/health/explain/clues.hpp"
#include "modules/health/explain/dpkg_log.hpp"

#include <cstdint>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace opsd::health::explain;
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto changes = parse_dpkg_log(text, 100);
    if (changes.size() > 100) std::abort();
    for (const auto& one : changes) {
        if (one.month < 1 || one.month > 12 || one.day < 1 || one.day > 31 || one.hour > 23) std::abort();
        if (one.package.empty() || one.package.find_first_of(" \n'\"$`;/") != std::string::npos) std::abort();
    }
    (void)dpkg_log_begins_before(text, "2026-11-27 10:00:00");
    Lines lines(1);
    lines[0].message = text;
    const auto clue = last_clue(lines, {});
    if (clue && !clue->path.empty() && text.find(clue->path) == std::string_view::npos) std::abort();
    const auto path = path_near(text, size / 2);
    if (!path.empty() && path.front() != '/') std::abort();
    const auto address = address_in(text);
    if (!address.empty() && port_of(address).find_first_not_of("0123456789") != std::string_view::npos)
        std::abort();
    return 0;
}
