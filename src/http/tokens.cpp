#include "http/tokens.hpp"

#include "http/auth_text.hpp"
#include "io/files/files.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::http {
namespace {

constexpr std::string_view prefix = "opsd_";
constexpr std::size_t id_size = 8;
constexpr std::size_t secret_bytes = 32;
constexpr std::size_t secret_text = 43;  ///< of 32 bytes in base64url
constexpr std::size_t max_changes_waiting = 64;
constexpr std::size_t max_logins_waiting = 16;

/// Five bits a letter; none that reads like another.
std::string new_id(const AuthState& state)
{
    constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyz23456789";
    for (;;) {
        auto id = random_bytes(id_size);
        for (auto& c : id)
            c = letters[static_cast<unsigned char>(c) & 31U];
        if (state.token(id) == nullptr) return id;
    }
}

struct TokenText {
    std::string_view id;
    std::string_view secret;
};

std::optional<TokenText> parse(std::string_view text)
{
    if (!text.starts_with(prefix) || text.size() != prefix.size() + id_size + 1 + secret_text)
        return std::nullopt;
    text.remove_prefix(prefix.size());
    if (text[id_size] != '_') return std::nullopt;
    return TokenText{text.substr(0, id_size), text.substr(id_size + 1)};
}

std::unexpected<Error> wrong_token()
{
    return fail(Errc::denied,
                "cannot accept the token: it is unknown or was revoked; create one with: opsd token create");
}

Result<> no_such(std::string_view what, std::string_view name)
{
    return fail(Errc::not_found, fmt::format("cannot find the {} \"{}\"", what, name.substr(0, 64)));
}

/// Every new password has a new salt, also the same one of a user who was removed and added again.
std::string fingerprint(const PasswordHash& password)
{
    return base64url(sha256("opsd login " + password.salt)).substr(0, 16);
}

TokenInfo info_of(const Token& token)
{
    return {token.id, token.name, token.role, token.created, token.expires, {}};
}

}  // namespace

TokenStore::TokenStore(std::string path, const Clock& clock, ScryptCost cost)
  : path_{std::move(path)}
  , clock_{clock}
  , cost_{cost}
  , view_{std::make_shared<const View>(
        View{{}, "cannot check credentials: they were not read yet; try again"})}
  , file_thread_{"opsd-auth", max_changes_waiting}
  , hash_thread_{"opsd-scrypt", max_logins_waiting}
{}

TokenStore::~TokenStore() = default;

void TokenStore::retire(const std::shared_ptr<TokenStore>& self)
{
    file_thread_.retire(self);
    hash_thread_.retire(self);
}

std::shared_ptr<const TokenStore::View> TokenStore::view() const
{
    const std::lock_guard lock{mutex_};
    return view_;
}

void TokenStore::publish(View view)
{
    auto next = std::make_shared<const View>(std::move(view));
    const std::lock_guard lock{mutex_};
    view_.swap(next);
}

std::string TokenStore::damage() const { return view()->damage; }

Result<AuthState> TokenStore::read_or_make()
{
    const auto text = files::read_file(path_, max_auth_file);
    if (text) return parse_auth_state(*text, path_);
    if (text.error().code != Errc::not_found)
        return fail(Errc::unavailable, "cannot check credentials: " + text.error().message);
    auto state = new_auth_state();
    const auto written = files::write_atomic(path_, render(state), 0600);
    if (!written) return fail(Errc::unavailable, "cannot check credentials: " + written.error().message);
    return state;
}

Result<> TokenStore::load()
{
    auto state = read_or_make();
    if (state) {
        publish({std::move(*state), {}});
        return {};
    }
    publish({{}, state.error().message});
    return fail(std::move(state).error());
}

Task<Result<>> TokenStore::reload()
{
    auto job = [this] { return load(); };
    co_return co_await file_thread_.run(std::move(job));
}

Result<> TokenStore::change_on_thread(const Change& change)
{
    // The file is the truth: somebody may have put back a copy. Only a file that is gone is made again from
    // memory.
    const auto text = files::read_file(path_, max_auth_file);
    Result<AuthState> state = view()->state;
    if (text)
        state = parse_auth_state(*text, path_);
    else if (text.error().code != Errc::not_found)
        return fail(text.error());
    else if (auto why = damage(); !why.empty())
        return fail(Errc::unavailable, std::move(why));
    if (!state) return fail(Errc::unavailable, std::move(state).error().message);
    auto changed = change(*state);
    if (!changed) return changed;
    auto written = files::write_atomic(path_, render(*state), 0600);
    // Also when the caller has gone meanwhile: what the file says holds.
    if (written) publish({std::move(*state), {}});
    return written;
}

Task<Result<>> TokenStore::change(Change change)
{
    auto job = [this, change = std::move(change)] { return change_on_thread(change); };
    co_return co_await file_thread_.run(std::move(job));
}

Result<Caller> TokenStore::check_token(std::string_view text)
{
    const auto now = view();
    if (!now->damage.empty()) return fail(Errc::denied, now->damage);
    const auto parts = parse(text);
    if (!parts)
        return fail(Errc::denied,
                    "cannot accept the token: it does not look like opsd_<id>_<secret>; was it cut?");
    const auto* token = now->state.token(parts->id);
    if (token == nullptr || !equal_secrets(sha256(parts->secret), token->sha256)) return wrong_token();
    const auto time = clock_.now();
    if (token->expires && *token->expires <= time) {
        return fail(Errc::denied, fmt::format("cannot accept the token: it expired at {}; create a new one",
                                              rfc3339(*token->expires)));
    }
    last_used_.insert_or_assign(token->id, time);
    if (last_used_.size() > max_tokens) {
        std::erase_if(last_used_, [&](const auto& used) { return now->state.token(used.first) == nullptr; });
    }
    return Caller{token->name, token->role, "token", {}};
}

Result<Caller> TokenStore::check_jwt(std::string_view text, std::span<const RsaKey> rsa)
{
    const auto now = view();
    if (!now->damage.empty()) return fail(Errc::denied, now->damage);
    const auto claims = verify_jwt(text, {now->state.secret, rsa}, clock_.now());
    if (!claims) return fail(claims.error());
    auto role = claims->role;
    if (claims->own) {
        const auto* user = now->state.user(claims->subject);
        if (user == nullptr || !equal_secrets(claims->login, fingerprint(user->password))) {
            return fail(Errc::denied,
                        "cannot accept the token: its user was removed or has a new password; log in again");
        }
        role = std::min(role, user->role);
    }
    return Caller{claims->subject, role, "jwt", {}, !claims->own};
}

Task<Result<Login>> TokenStore::verify_user(std::string name, std::string password)
{
    auto now = view();
    if (!now->damage.empty()) co_return fail(Errc::denied, now->damage);
    const auto* user = now->state.user(name);
    // A user who does not exist costs the same time.
    const auto stored =
        user != nullptr ? user->password : PasswordHash{cost_, std::string(16, 's'), std::string(32, 'h')};
    auto job = [password = std::move(password), stored] { return matches(password, stored); };
    const auto matched = co_await hash_thread_.run(std::move(job));
    if (!matched) co_return fail(matched.error());
    // The wait may have been long: what matched must still be the user's password.
    now = view();
    if (!now->damage.empty()) co_return fail(Errc::denied, now->damage);
    user = now->state.user(name);
    const bool same =
        user != nullptr && user->password.salt == stored.salt && user->password.hash == stored.hash;
    if (!same || !*matched) co_return fail(Errc::denied, "cannot log in: the name or the password is wrong");
    co_return Login{Caller{user->name, user->role, "jwt", {}}, fingerprint(stored)};
}

Result<std::string> TokenStore::issue_jwt(const Login& login, std::chrono::milliseconds ttl)
{
    const auto now = view();
    if (!now->damage.empty()) return fail(Errc::denied, now->damage);
    const auto time = clock_.now();
    const auto& [caller, password] = login;
    return sign_jwt({caller.name, caller.role, time, time + ttl, true, password}, now->state.secret);
}

Task<Result<NewToken>> TokenStore::create_token(std::string name, Role role, std::optional<WallTime> expires)
{
    if (!valid_name(name)) {
        co_return fail(Errc::invalid_argument,
                       "cannot create a token: its name must be 1 to 64 of letters, digits and . _ @ -");
    }
    const auto time = clock_.now();
    if (expires && *expires <= time)
        co_return fail(Errc::invalid_argument, "cannot create a token: it would have expired already");
    const auto made = std::make_shared<NewToken>();
    Change append = [made, name = std::move(name), role, expires, time](AuthState& state) -> Result<> {
        if (state.tokens.size() >= max_tokens) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot create a token: there are {}; revoke some", max_tokens));
        }
        const auto secret = base64url(random_bytes(secret_bytes));
        state.tokens.push_back({new_id(state), name, role, sha256(secret), time, expires});
        made->info = info_of(state.tokens.back());
        made->text = fmt::format("{}{}_{}", prefix, made->info.id, secret);
        return {};
    };
    auto done = co_await change(std::move(append));
    if (!done) co_return fail(std::move(done).error());
    co_return std::move(*made);
}

Task<Result<>> TokenStore::revoke_token(std::string id)
{
    Change remove = [id](AuthState& state) -> Result<> {
        return std::erase_if(state.tokens, [&](const Token& t) { return t.id == id; }) > 0
                   ? Result<>{}
                   : no_such("token", id);
    };
    auto done = co_await change(std::move(remove));
    if (done) last_used_.erase(id);
    co_return done;
}

Task<Result<PasswordHash>> TokenStore::hash(std::string password)
{
    const auto good = check_new_password(password);
    if (!good) co_return fail(good.error());
    auto job = [password = std::move(password), cost = cost_] { return hash_password(password, cost); };
    co_return co_await hash_thread_.run(std::move(job));
}

Task<Result<>> TokenStore::add_user(std::string name, std::string password, Role role)
{
    if (!valid_name(name)) {
        co_return fail(Errc::invalid_argument,
                       "cannot add a user: the name must be 1 to 64 of letters, digits and . _ @ -");
    }
    auto hashed = co_await hash(std::move(password));
    if (!hashed) co_return fail(std::move(hashed).error());
    Change append =
        [user = User{std::move(name), role, std::move(*hashed), clock_.now()}](AuthState& state) -> Result<> {
        if (state.user(user.name) != nullptr) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot add the user \"{}\": there is one already", user.name));
        }
        if (state.users.size() >= max_users) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot add a user: there are {}; remove some", max_users));
        }
        state.users.push_back(user);
        return {};
    };
    co_return co_await change(std::move(append));
}

Task<Result<>> TokenStore::set_password(std::string name, std::string password)
{
    auto hashed = co_await hash(std::move(password));
    if (!hashed) co_return fail(std::move(hashed).error());
    Change replace = [name = std::move(name), password_hash = std::move(*hashed),
                      time = clock_.now()](AuthState& state) -> Result<> {
        const auto at = std::ranges::find(state.users, name, &User::name);
        if (at == state.users.end()) return no_such("user", name);
        at->password = password_hash;
        at->changed = time;
        return {};
    };
    co_return co_await change(std::move(replace));
}

Task<Result<>> TokenStore::remove_user(std::string name)
{
    Change remove = [name = std::move(name)](AuthState& state) -> Result<> {
        return std::erase_if(state.users, [&](const User& u) { return u.name == name; }) > 0
                   ? Result<>{}
                   : no_such("user", name);
    };
    co_return co_await change(std::move(remove));
}

std::vector<TokenInfo> TokenStore::tokens() const
{
    std::vector<TokenInfo> all;
    for (const auto now = view(); const auto& token : now->state.tokens) {
        all.push_back(info_of(token));
        if (const auto used = last_used_.find(token.id); used != last_used_.end())
            all.back().last_used = used->second;
    }
    return all;
}

bool TokenStore::has_user(std::string_view name) const { return view()->state.user(name) != nullptr; }

std::vector<UserInfo> TokenStore::users() const
{
    std::vector<UserInfo> all;
    for (const auto now = view(); const auto& user : now->state.users)
        all.push_back({user.name, user.role, user.changed});
    return all;
}

}  // namespace opsd::http
