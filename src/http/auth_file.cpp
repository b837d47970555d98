#include "http/auth_file.hpp"

#include "http/auth_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <set>
#include <stdexcept>

namespace opsd::http {
namespace {

using nlohmann::json;

constexpr int file_version = 1;
constexpr std::size_t secret_size = 32;

/// Thrown by the readers below, caught by parse_auth_state().
struct Odd : std::runtime_error {
    using std::runtime_error::runtime_error;
};

const json& member(const json& object, const char* key)
{
    const auto found = object.find(key);
    if (found == object.end()) throw Odd{fmt::format("\"{}\" is missing", key)};
    return *found;
}

std::string text(const json& object, const char* key)
{
    const auto& value = member(object, key);
    if (!value.is_string()) throw Odd{fmt::format("\"{}\" is not a text", key)};
    return value.get<std::string>();
}

std::uint64_t number(const json& object, const char* key)
{
    const auto& value = member(object, key);
    if (!value.is_number_unsigned()) throw Odd{fmt::format("\"{}\" is not a number", key)};
    return value.get<std::uint64_t>();
}

std::string bytes(const json& object, const char* key, std::size_t least)
{
    auto value = from_base64url(text(object, key));
    if (!value || value->size() < least)
        throw Odd{fmt::format("\"{}\" is not base64url of {} bytes", key, least)};
    return std::move(*value);
}

WallTime time(const json& object, const char* key)
{
    const auto value = parse_rfc3339(text(object, key));
    if (!value) throw Odd{fmt::format("\"{}\" is not a time", key)};
    return *value;
}

std::string name(const json& object, const char* key)
{
    auto value = text(object, key);
    if (!valid_name(value)) throw Odd{fmt::format("\"{}\" is not a name", key)};
    return value;
}

Role role(const json& object)
{
    const auto value = parse_role(text(object, "role"));
    if (!value) throw Odd{"\"role\" is not viewer, operator or admin"};
    return *value;
}

const json& list(const json& object, const char* key, std::size_t most)
{
    const auto& value = member(object, key);
    if (!value.is_array()) throw Odd{fmt::format("\"{}\" is not a list", key)};
    if (value.size() > most) throw Odd{fmt::format("\"{}\" has more than {} entries", key, most)};
    for (const auto& entry : value) {
        if (!entry.is_object()) throw Odd{fmt::format("\"{}\" holds something else than objects", key)};
    }
    return value;
}

Token token_of(const json& entry)
{
    Token token{name(entry, "id"),          name(entry, "name"),    role(entry),
                bytes(entry, "sha256", 32), time(entry, "created"), {}};
    if (entry.contains("expires")) token.expires = time(entry, "expires");
    return token;
}

User user_of(const json& entry)
{
    const auto& hash = member(entry, "scrypt");
    if (!hash.is_object()) throw Odd{"\"scrypt\" is not an object"};
    const ScryptCost cost{number(hash, "n"), number(hash, "r"), number(hash, "p")};
    if (!acceptable(cost)) throw Odd{"\"scrypt\" asks for more work than is allowed, or none"};
    return {name(entry, "name"),
            role(entry),
            {cost, bytes(hash, "salt", 16), bytes(hash, "hash", 32)},
            time(entry, "changed")};
}

AuthState state_of(const json& root)
{
    if (!root.is_object()) throw Odd{"it is not a JSON object"};
    if (number(root, "version") != file_version)
        throw Odd{"it is of another version; install the newer opsd again"};
    AuthState state;
    state.secret = bytes(root, "secret", secret_size);
    std::set<std::string> seen;
    for (const auto& entry : list(root, "tokens", max_tokens)) {
        state.tokens.push_back(token_of(entry));
        if (!seen.insert(state.tokens.back().id).second) throw Odd{"a token id is there twice"};
    }
    seen.clear();
    for (const auto& entry : list(root, "users", max_users)) {
        state.users.push_back(user_of(entry));
        if (!seen.insert(state.users.back().name).second) throw Odd{"a user is there twice"};
    }
    return state;
}

}  // namespace

const Token* AuthState::token(std::string_view id) const noexcept
{
    const auto at = std::ranges::find(tokens, id, &Token::id);
    return at == tokens.end() ? nullptr : &*at;
}

const User* AuthState::user(std::string_view wanted) const noexcept
{
    const auto at = std::ranges::find(users, wanted, &User::name);
    return at == users.end() ? nullptr : &*at;
}

bool valid_name(std::string_view text) noexcept
{
    return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.'
               || c == '_' || c == '@' || c == '-';
    });
}

AuthState new_auth_state()
{
    AuthState state;
    state.secret = random_bytes(secret_size);
    return state;
}

Result<AuthState> parse_auth_state(std::string_view content, const std::string& file)
{
    const auto damaged = [&file](std::string_view why) {
        return fail(
            Errc::denied,
            fmt::format("cannot check credentials: {} is damaged: {}; put back a copy, or remove it to "
                        "begin without tokens and users, then reload opsd",
                        file, why));
    };
    try {
        const auto root = json::parse(content, nullptr, false);
        if (root.is_discarded()) return damaged("it is not JSON");
        return state_of(root);
    } catch (const Odd& odd) {
        return damaged(odd.what());
    }
}

std::string render(const AuthState& state)
{
    auto tokens = json::array();
    for (const auto& token : state.tokens) {
        json entry{{"id", token.id},
                   {"name", token.name},
                   {"role", to_string(token.role)},
                   {"sha256", base64url(token.sha256)},
                   {"created", rfc3339(token.created)}};
        if (token.expires) entry["expires"] = rfc3339(*token.expires);
        tokens.push_back(std::move(entry));
    }
    auto users = json::array();
    for (const auto& user : state.users) {
        const auto& [cost, salt, hash] = user.password;
        users.push_back({{"name", user.name},
                         {"role", to_string(user.role)},
                         {"changed", rfc3339(user.changed)},
                         {"scrypt",
                          {{"n", cost.n},
                           {"r", cost.r},
                           {"p", cost.p},
                           {"salt", base64url(salt)},
                           {"hash", base64url(hash)}}}});
    }
    const json root{{"version", file_version},
                    {"secret", base64url(state.secret)},
                    {"tokens", std::move(tokens)},
                    {"users", std::move(users)}};
    return root.dump(1) + "\n";
}

}  // namespace opsd::http
