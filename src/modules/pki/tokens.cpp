#include "modules/pki/tokens.hpp"

#include "http/auth_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace opsd::pki {
namespace {

constexpr std::string_view prefix = "join_";
constexpr std::size_t id_size = 8;
constexpr std::size_t secret_bytes = 32;

std::unexpected<Error> refused()
{
    return fail(Errc::denied,
                "cannot let this node join: its token is unknown, used up or expired; get a new one "
                "with `opsd cluster token`");
}

std::string new_id()
{
    constexpr std::string_view letters = "abcdefghijkmnpqrstuvwxyz23456789";  // 32: no bias
    auto id = http::random_bytes(id_size);
    std::ranges::transform(id, id.begin(),
                           [&](char c) { return letters[static_cast<unsigned char>(c) % 32]; });
    return id;
}

struct Parts {
    std::string id;
    std::string secret;
};

std::optional<Parts> parts_of(std::string_view text)
{
    if (!text.starts_with(prefix)) return std::nullopt;
    text.remove_prefix(prefix.size());
    if (text.size() < id_size + 2 || text[id_size] != '_' || text.size() > 128) return std::nullopt;
    return Parts{std::string{text.substr(0, id_size)}, std::string{text.substr(id_size + 1)}};
}

/// What is kept of a secret: it has 256 random bits, so one hash is enough.
std::string kept(std::string_view secret) { return http::base64url(http::sha256(secret)); }

// On the wall clock: a token's end must hold across restarts.
std::int64_t micros(WallTime time) { return time.time_since_epoch().count(); }

}  // namespace

Task<Result<>> JoinTokens::open()
{
    if (open_) co_return Result<>{};
    std::vector<std::string> steps{"CREATE TABLE join_token (id TEXT PRIMARY KEY, hash TEXT NOT NULL, "
                                   "expires INTEGER NOT NULL, uses INTEGER NOT NULL)"};
    auto done = co_await store_.migrate("pki", std::move(steps));
    open_ = done.has_value();
    co_return done;
}

Task<Result<Written>> JoinTokens::write(Statement statement)
{
    auto ready = co_await open();
    if (!ready) co_return fail(std::move(ready).error());
    std::vector<Statement> all;
    all.push_back(std::move(statement));
    auto written = co_await store_.write(std::move(all));
    co_return written;
}

Task<Result<JoinToken>> JoinTokens::create(std::chrono::milliseconds lifetime, std::int64_t uses)
{
    const auto now = clock_.now();
    Statement tidy{"DELETE FROM join_token WHERE expires <= ?1 OR uses <= 0", {micros(now)}};
    const auto tidied = co_await write(std::move(tidy));
    if (!tidied) co_return fail(tidied.error());
    JoinToken token{{}, new_id(), now + lifetime, uses};
    const auto secret = http::base64url(http::random_bytes(secret_bytes));
    Statement keep{"INSERT INTO join_token (id, hash, expires, uses) "
                   "SELECT ?1, ?2, ?3, ?4 WHERE (SELECT count(*) FROM join_token) < ?5",
                   {token.id, kept(secret), micros(token.expires), uses, most_}};
    const auto written = co_await write(std::move(keep));
    if (!written) co_return fail(written.error());
    if (written->rows != 1) {
        co_return fail(
            Errc::unavailable,
            fmt::format("cannot make a join token: {} wait already (pki.join_tokens); use or revoke them",
                        most_));
    }
    token.text = fmt::format("{}{}_{}", prefix, token.id, secret);
    co_return token;
}

Task<Result<std::string>> JoinTokens::check(std::string text)
{
    const auto parts = parts_of(text);
    if (!parts) co_return refused();
    const auto ready = co_await open();
    if (!ready) co_return fail(ready.error());
    Statement query{"SELECT hash FROM join_token WHERE id = ?1 AND uses > 0 AND expires > ?2",
                    {parts->id, micros(clock_.now())}};
    const auto rows = co_await store_.read(std::move(query), 1);
    if (!rows) co_return fail(rows.error());
    if (rows->empty() || !http::equal_secrets(as_text(rows->front().front()), kept(parts->secret)))
        co_return refused();
    co_return parts->id;
}

Task<Result<>> JoinTokens::use(std::string id)
{
    Statement take{"UPDATE join_token SET uses = uses - 1 WHERE id = ?1 AND uses > 0 AND expires > ?2",
                   {std::move(id), micros(clock_.now())}};
    const auto written = co_await write(std::move(take));
    if (!written) co_return fail(written.error());
    if (written->rows != 1) co_return refused();
    co_return Result<>{};
}

Task<Result<std::int64_t>> JoinTokens::revoke_all()
{
    Statement forget{"DELETE FROM join_token", {}};
    const auto written = co_await write(std::move(forget));
    if (!written) co_return fail(written.error());
    co_return written->rows;
}

}  // namespace opsd::pki
