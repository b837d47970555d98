#include "opsd/store.hpp"

namespace opsd {

std::int64_t as_integer(const Cell& cell) noexcept
{
    const auto* value = std::get_if<std::int64_t>(&cell);
    return value == nullptr ? 0 : *value;
}

std::string as_text(const Cell& cell)
{
    const auto* value = std::get_if<std::string>(&cell);
    return value == nullptr ? std::string{} : *value;
}

}  // namespace opsd
