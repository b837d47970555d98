#include "io/systemd/journal_entry.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace opsd::systemd {
namespace {

/// Takes "<key>=<hexadecimal digits>" and the semicolon that separates it from what follows off the front.
std::optional<std::string_view> take_part(std::string_view& rest, char key)
{
    if (rest.size() < 3 || rest[0] != key || rest[1] != '=') return std::nullopt;
    const auto end = std::min(rest.find(';'), rest.size());
    const auto digits = rest.substr(2, end - 2);
    const bool hex =
        std::ranges::all_of(digits, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
    if (digits.empty() || digits.size() > 32 || !hex) return std::nullopt;
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return digits;
}

std::optional<std::uint64_t> number(std::optional<std::string_view> digits)
{
    std::uint64_t value = 0;
    if (!digits) return std::nullopt;
    const auto [end, error] = std::from_chars(digits->data(), digits->data() + digits->size(), value, 16);
    if (error != std::errc{} || end != digits->data() + digits->size()) return std::nullopt;
    return value;
}

}  // namespace

std::optional<std::string_view> JournalEntry::find(std::string_view name) const noexcept
{
    const auto field = std::ranges::find(fields, name, &JournalField::name);
    return field == fields.end() ? std::nullopt : std::optional{field->value};
}

bool same_entry(std::string_view cursor, std::string_view other) noexcept
{
    const auto at = cursor.find(";b=");
    const auto other_at = other.find(";b=");
    if (at == std::string_view::npos || other_at == std::string_view::npos) return cursor == other;
    return cursor.substr(at) == other.substr(other_at);
}

Result<CursorParts> parse_cursor(std::string_view cursor)
{
    auto rest = cursor;
    const auto sequence_id = take_part(rest, 's');
    const auto sequence = number(take_part(rest, 'i'));
    const auto boot = take_part(rest, 'b');
    const auto monotonic = number(take_part(rest, 'm'));
    const auto realtime = number(take_part(rest, 't'));
    const auto hash = number(take_part(rest, 'x'));
    const bool whole = sequence_id && sequence_id->size() == 32 && sequence && boot && boot->size() == 32
                       && monotonic && realtime && hash && rest.empty() && !cursor.ends_with(';');
    if (!whole)
        return fail(
            Errc::invalid_argument,
            fmt::format("cannot read from the cursor \"{}\": it is none of journald's, which look like "
                        "s=<32 digits>;i=...;b=<32 digits>;m=...;t=...;x=...",
                        cursor.substr(0, 200)));
    return CursorParts{.sequence_id = std::string{*sequence_id},
                       .sequence = *sequence,
                       .boot_id = std::string{*boot},
                       .monotonic = *monotonic,
                       .realtime = static_cast<std::int64_t>(*realtime)};
}

bool surely_before(std::string_view cursor, std::string_view other)
{
    const auto one = parse_cursor(cursor);
    const auto two = parse_cursor(other);
    if (!one || !two) return false;
    if (one->sequence_id == two->sequence_id) return one->sequence < two->sequence;
    return one->boot_id == two->boot_id && one->monotonic < two->monotonic;
}

}  // namespace opsd::systemd
