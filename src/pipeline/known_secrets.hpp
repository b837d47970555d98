#pragma once
// Where secrets are in a text that anybody may have written: passwords in addresses, what follows a name that
// says so, the headers of HTTP that carry credentials. In doubt more is a secret than less. Pure, and linear
// in the text: every entry that leaves the node goes through here.

#include <cstddef>
#include <optional>
#include <string_view>

namespace opsd::pipeline {

struct SecretAt {
    std::size_t begin = 0;
    std::size_t end = 0;
};

/// What kind of text it is.
enum class SecretText {
    prose,        ///< lines, JSON, command lines, anything
    environment,  ///< lines of NAME=value: the value is all that is left of its line
};

/// The first secret from there on. Nothing, for nearly every text.
[[nodiscard]] std::optional<SecretAt> next_secret(std::string_view text, std::size_t from,
                                                  SecretText kind = SecretText::prose);

/// Is all of the value a secret, because of its name, as with DB_PASSWORD?
[[nodiscard]] bool names_a_secret(std::string_view name, std::string_view value);

}  // namespace opsd::pipeline
