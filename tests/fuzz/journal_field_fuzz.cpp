// Anybody on the node writes into the journal; what we make of it goes into JSON and onto terminals.

#include "io/systemd/journal_text.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void require(bool promise)
{
    if (!promise) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    using namespace opsd::systemd;
    if (size == 0) return 0;
    const std::size_t limit = data[0] == 255 ? size * 3 : data[0];
    const std::string_view field{reinterpret_cast<const char*>(data) + 1, size - 1};

    const auto text = printable_text(field, limit);
    require(text.size() <= limit);
    const auto json = nlohmann::json(text).dump();  // throws on invalid UTF-8
    require(nlohmann::json::parse(json).get<std::string>() == text);
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        require((byte >= 0x20 && byte != 0x7F) || c == '\n' || c == '\t');
    }
    require(printable_text(text, limit) == text);  // what is clean stays

    const auto number = number_field(field, 7);
    require(number == 7 || field.find_first_not_of("0123456789") == std::string_view::npos);
    return 0;
}
