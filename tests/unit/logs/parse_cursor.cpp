// Stands in for the one of io/systemd until that is there.

#include "io/systemd/journal_entry.hpp"

namespace opsd::systemd {

Result<CursorParts> parse_cursor(std::string_view cursor)
{
    CursorParts parts;
    bool sequence = false;
    while (!cursor.empty()) {
        const auto end = std::min(cursor.find(';'), cursor.size());
        const auto part = cursor.substr(0, end);
        cursor.remove_prefix(std::min(end + 1, cursor.size()));
        const bool good = part.size() > 2 && part[1] == '='
                          && std::string_view{"sibmtx"}.find(part[0]) != std::string_view::npos
                          && part.find_first_not_of("0123456789abcdef", 2) == std::string_view::npos;
        if (!good) return fail(Errc::invalid_argument, "cannot read the cursor");
        sequence = sequence || part[0] == 's';
    }
    if (!sequence) return fail(Errc::invalid_argument, "cannot read the cursor");
    return parts;
}

}  // namespace opsd::systemd
