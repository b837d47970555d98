#pragma once
// auth.json: tokens, users and the signing secret. Pure: text in, values out. Anything odd in it condemns the
// whole file, for half of an access list is none.

#include "http/password.hpp"
#include "opsd/clock.hpp"
#include "opsd/http.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::http {

inline constexpr std::size_t max_tokens = 1000;
inline constexpr std::size_t max_users = 1000;
inline constexpr std::size_t max_auth_file = 2 << 20;

struct Token {
    std::string id;  ///< 8 letters and digits
    std::string name;
    Role role = Role::none;
    std::string sha256;  ///< of the secret; bytes
    WallTime created{};
    std::optional<WallTime> expires;
};

struct User {
    std::string name;
    Role role = Role::none;
    PasswordHash password;
    WallTime changed{};  ///< of the password
};

struct AuthState {
    std::string secret;  ///< signs our own JWTs; 32 bytes
    std::vector<Token> tokens;
    std::vector<User> users;
    [[nodiscard]] const Token* token(std::string_view id) const noexcept;
    [[nodiscard]] const User* user(std::string_view name) const noexcept;
};

/// 1 to 64 of letters, digits, ".", "_", "@", "-".
[[nodiscard]] bool valid_name(std::string_view name) noexcept;

/// With a new secret and nobody in it.
[[nodiscard]] AuthState new_auth_state();

/// `file` is for the sentence.
Result<AuthState> parse_auth_state(std::string_view text, const std::string& file);
[[nodiscard]] std::string render(const AuthState& state);

}  // namespace opsd::http
