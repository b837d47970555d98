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

}  // namespace

std::unexpected<Error> token_refused()
{
    return fail(Errc::denied,
                "cannot let this node join: its token is unknown, used up or expired; get a new one with "
                "`opsd cluster token create`");
}

Task<Result<JoinToken>> JoinTokens::create(TokenTerms terms)
{
    const auto now = clock_.now();
    Statement tidy{"DELETE FROM join_token WHERE expires <= ?1 OR uses <= 0", {micros(now)}};
    const auto tidied = co_await tables_.write(std::move(tidy));
    if (!tidied) co_return fail(tidied.error());
    JoinToken token{{}, new_id(), now + terms.lifetime};
    const auto secret = http::base64url(http::random_bytes(secret_bytes));
    Statement keep{"INSERT INTO join_token (id, hash, expires, uses, node, replaces) "
                   "SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM join_token) < ?7",
                   {token.id, kept(secret), micros(token.expires), terms.uses, std::move(terms.node),
                    std::int64_t{terms.replace}, most_}};
    const auto written = co_await tables_.write(std::move(keep));
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

Task<Result<TokenGrant>> JoinTokens::check(std::string text)
{
    const auto parts = parts_of(text);
    if (!parts) co_return token_refused();
    Statement query{fmt::format("SELECT hash, node, replaces FROM join_token WHERE {}", token_is_good),
                    {parts->id, micros(clock_.now())}};
    const auto rows = co_await tables_.read(std::move(query), 1);
    if (!rows) co_return fail(rows.error());
    if (rows->empty() || !http::equal_secrets(as_text(rows->front()[0]), kept(parts->secret)))
        co_return token_refused();
    const auto& found = rows->front();
    co_return TokenGrant{parts->id, as_text(found[1]), as_integer(found[2]) != 0};
}

Task<Result<std::int64_t>> JoinTokens::revoke_all()
{
    Statement forget{"DELETE FROM join_token", {}};
    const auto written = co_await tables_.write(std::move(forget));
    if (!written) co_return fail(written.error());
    co_return written->rows;
}

}  // namespace opsd::pki
