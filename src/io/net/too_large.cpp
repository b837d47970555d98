#include "io/net/too_large.hpp"

#include <fmt/format.h>

namespace opsd::net {
namespace {

constexpr std::string_view beginning = "cannot take the answer: its body has more than ";

}  // namespace

Error answer_too_large(std::size_t max_body)
{
    return {Errc::protocol, fmt::format("{}{} bytes", beginning, max_body)};
}

bool is_answer_too_large(const Error& error) noexcept
{
    return error.code == Errc::protocol && error.message.contains(beginning);
}

}  // namespace opsd::net
