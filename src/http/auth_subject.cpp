#include "http/auth_subject.hpp"

namespace opsd::http {
namespace {

/// Where the separator stands that no backslash escapes; the size when there is none.
std::size_t find_plain(std::string_view text, char separator) noexcept
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (text[i] == separator)
            return i;
    }
    return text.size();
}

bool part_fits(std::string_view pattern, std::string_view part) noexcept
{
    if (pattern == part) return true;
    if (!pattern.ends_with("=*")) return false;
    const auto type = pattern.substr(0, pattern.size() - 1);
    // "CN=a+UID=b" is one part with two values: no "CN=*"
    return type.size() > 1 && part.starts_with(type) && part.size() > type.size()
           && find_plain(part, '+') == part.size();
}

}  // namespace

bool subject_fits(std::string_view pattern, std::string_view subject) noexcept
{
    for (;;) {
        const auto of_pattern = find_plain(pattern, ',');
        const auto of_subject = find_plain(subject, ',');
        if (!part_fits(pattern.substr(0, of_pattern), subject.substr(0, of_subject))) return false;
        const bool last = of_pattern == pattern.size();
        if (last || of_subject == subject.size()) return last && of_subject == subject.size();
        pattern.remove_prefix(of_pattern + 1);
        subject.remove_prefix(of_subject + 1);
    }
}

}  // namespace opsd::http
