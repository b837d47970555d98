#pragma once
// JSON written by hand, for the hot answers: no tree, no exceptions. Bytes that are not UTF-8 become U+FFFD;
// < > & and line separators are escaped as Go's encoder does, so that text is harmless inside HTML.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace opsd {

/// Length of the well-formed UTF-8 character at `at`; 0 when there is none.
[[nodiscard]] std::size_t utf8_length(std::string_view text, std::size_t at) noexcept;

/// Appends a quoted JSON string.
void append_quoted(std::string& out, std::string_view text);

/// Appends an object or array member by member, commas included.
class JsonText {
public:
    explicit JsonText(std::string& out) : out_{out} {}

    JsonText& open(char bracket);
    JsonText& close(char bracket);
    JsonText& key(std::string_view name);
    JsonText& text(std::string_view value);
    JsonText& number(std::int64_t value);
    JsonText& boolean(bool value);
    JsonText& null();
    /// Already JSON.
    JsonText& raw(std::string_view json);

    JsonText& text(std::string_view name, std::string_view value) { return key(name).text(value); }
    JsonText& number(std::string_view name, std::int64_t value) { return key(name).number(value); }
    JsonText& boolean(std::string_view name, bool value) { return key(name).boolean(value); }

private:
    void separate();

    std::string& out_;
    bool comma_ = false;
};

}  // namespace opsd
