#include "modules/pki/ledger.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <utility>

namespace opsd::pki {
namespace {

constexpr std::size_t most_names = 2 * max_names;  // of one key, however often it joins
constexpr std::chrono::days withdrawn_kept{400};   // after its end: a clock that is ahead forgives nobody
constexpr std::chrono::days clock_step{1};         // so much more than was waited for is no passing of time

// The values of an Entry: ?1 token, ?2 now, ?3 key, ?4 node, ?5 serial, ?6 its end, ?7 names as JSON, ?8 how
// many certificates there may be, ?9 may the node replace.
constexpr std::string_view from_holders = "FROM issued i JOIN issued_name n ON n.key = i.key "
                                          "WHERE n.name IN (SELECT value FROM json_each(?7)) AND i.key <> ?3 "
                                          "AND i.not_after > ?2 "
                                          "AND NOT (?9 AND (i.node = ?4 OR i.withdrawn <> ''))";
constexpr std::string_view is_known = "EXISTS (SELECT 1 FROM issued WHERE key = ?3)";
constexpr std::string_view is_withdrawn = "key = ?3 AND withdrawn <> ''";
constexpr std::string_view all_its_names = "(SELECT count(*) FROM (SELECT name FROM issued_name WHERE key = "
                                           "?3 UNION SELECT value FROM json_each(?7)))";
// Each value is named once, as the statements want all of them.
constexpr std::string_view naming_all = "FROM (SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

Issue issue_of(const Row& row) { return {as_text(row[0]), as_text(row[1]), wall_time(row[2])}; }

/// Another key has the name: which, and how that is changed.
Error taken(const Row& holder, const std::string& node)
{
    const auto has = issue_of(holder);
    const auto withdrawn = as_text(holder[3]);
    const bool replaceable = has.node == node || !withdrawn.empty();
    auto text = fmt::format("cannot sign for {}: the certificate {} of {} has it until {}{}{}",
                            as_text(holder[4]), has.serial, has.node, rfc3339(has.not_after),
                            withdrawn.empty() ? "" : ", though ", withdrawn);
    text += replaceable
                ? "; if this is that machine installed anew, or that one is gone: on the signing node "
                : fmt::format("; if that machine has it no more: on the signing node `opsd cluster "
                              "revoke {}`, then ",
                              has.node);
    text += fmt::format("`opsd cluster token create --for {} --replace`, and join with that token", node);
    return {Errc::denied, std::move(text)};
}

/// As it is compared and kept.
std::string canonical(std::string text)
{
    if (auto address = canonical_address(text)) return std::move(*address);
    std::ranges::transform(text, text.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    return text;
}

}  // namespace

struct Ledger::Entry {
    Entry(const Certificate& says, const TokenGrant* token, WallTime at, std::int64_t most)
      : joins{token != nullptr}
      , replace{joins && token->replace}
      , node{says.parts.name}
    {
        auto all = says.names.hosts;
        all.insert(all.end(), says.names.addresses.begin(), says.names.addresses.end());
        values = {joins ? token->id : std::string{},
                  micros(at),
                  says.key,
                  node,
                  says.serial,
                  micros(says.not_after),
                  nlohmann::json(all).dump(),
                  most,
                  std::int64_t{replace}};
    }
    [[nodiscard]] const Cell& now() const { return values[1]; }
    [[nodiscard]] const Cell& key() const { return values[2]; }
    [[nodiscard]] const Cell& serial() const { return values[4]; }
    [[nodiscard]] const Cell& names() const { return values[6]; }
    [[nodiscard]] std::string good_token() const
    {
        return joins ? fmt::format("EXISTS (SELECT 1 FROM join_token WHERE {})", token_is_good) : "1";
    }
    /// Every condition is in the statement: two that ask at the same time cannot both find a name free.
    [[nodiscard]] Statement insert() const
    {
        // Whose key is known has its names already, and renews whatever others have.
        const auto unaffected = joins ? std::string{} : fmt::format("{} OR ", is_known);
        return {
            fmt::format("INSERT INTO issued (key, node, serial, not_after) SELECT ?3, ?4, ?5, ?6 WHERE {} "
                        "AND NOT EXISTS (SELECT 1 FROM issued WHERE {}) AND ({}NOT EXISTS (SELECT 1 {})) "
                        "AND ({} OR (SELECT count(*) FROM issued) < ?8) AND {} <= {} "
                        "ON CONFLICT (key) DO UPDATE SET node = excluded.node, serial = excluded.serial, "
                        "not_after = max(issued.not_after, excluded.not_after)",
                        good_token(), is_withdrawn, unaffected, from_holders, is_known, all_its_names,
                        most_names),
            values};
    }
    [[nodiscard]] std::vector<Statement> statements() const
    {
        std::vector<Statement> all;
        all.push_back(insert());
        const std::string entered = "EXISTS (SELECT 1 FROM issued WHERE serial = ?1)";
        all.push_back(
            {"INSERT OR IGNORE INTO issued_name (name, key) SELECT value, ?2 FROM json_each(?3) WHERE "
                 + entered,
             {serial(), key(), names()}});
        if (replace) {
            all.push_back(
                {"UPDATE issued SET withdrawn = 'replaced by ' || ?1 WHERE key <> ?2 AND not_after > ?4 AND "
                 "key IN (SELECT key FROM issued_name WHERE name IN (SELECT value FROM json_each(?3))) AND "
                     + entered,
                 {serial(), key(), names(), now()}});
        }
        if (joins)
            all.push_back({"UPDATE join_token SET uses = uses - 1 WHERE id = ?2 AND " + entered,
                           {serial(), values[0]}});
        return all;
    }

    bool joins;
    bool replace;
    std::string node;
    std::vector<Cell> values;
};

Task<Result<>> Ledger::enter(Entry entry)
{
    const auto tidied = co_await tidy();
    if (!tidied) co_return fail(tidied.error());
    const auto written = co_await tables_.write(entry.statements());
    if (!written) co_return fail(written.error());
    if (written->rows == 0) {
        const auto why = co_await refusal(std::move(entry));
        co_return fail(why);
    }
    (void)co_await count();  // for the gauge: what is entered stays so
    co_return Result<>{};
}

Task<Error> Ledger::refusal(Entry entry)
{
    Statement query{fmt::format("SELECT {}, (SELECT withdrawn FROM issued WHERE {}), {} {}",
                                entry.good_token(), is_withdrawn, all_its_names, naming_all),
                    entry.values};
    const auto found = co_await tables_.read(std::move(query), 1);
    if (!found) co_return found.error();
    const auto& row = found->front();
    if (as_integer(row[0]) == 0) co_return token_refused().error();
    if (const auto withdrawn = as_text(row[1]); !withdrawn.empty()) {
        co_return Error{
            Errc::denied,
            fmt::format("cannot sign for {}: the certificate of its key was {}; if that was wrong, "
                        "let it join anew with a token of `opsd cluster token create --for {} "
                        "--replace`",
                        entry.node, withdrawn, entry.node)};
    }
    Statement held{fmt::format("SELECT i.node, i.serial, i.not_after, i.withdrawn, n.name {} "
                               "ORDER BY n.name = i.node DESC, n.name LIMIT 1",
                               from_holders),
                   entry.values};
    const auto holders = co_await tables_.read(std::move(held), 1);
    if (!holders) co_return holders.error();
    if (!holders->empty()) co_return taken(holders->front(), entry.node);
    if (std::cmp_greater(as_integer(row[2]), most_names)) {
        co_return Error{
            Errc::invalid_argument,
            fmt::format("cannot sign for {}: its key has too many names already; join with a new key",
                        entry.node)};
    }
    co_return Error{Errc::unavailable,
                    fmt::format("cannot sign for {}: {} certificates run already (pki.issued_certificates); "
                                "raise that on the signing node and reload",
                                entry.node, most_)};
}

Task<Result<std::vector<Issue>>> Ledger::issues(Statement query)
{
    const auto rows = co_await tables_.read(std::move(query), static_cast<std::size_t>(most_));
    if (!rows) co_return fail(rows.error());
    std::vector<Issue> all;
    std::ranges::transform(*rows, std::back_inserter(all), issue_of);
    co_return all;
}

Task<Result<std::vector<Issue>>> Ledger::join(Certificate says, TokenGrant token)
{
    Entry entry{says, &token, clock_.now(), most_};
    const auto entered = co_await enter(std::move(entry));
    if (!entered) co_return fail(entered.error());
    Statement query{"SELECT node, serial, not_after FROM issued WHERE withdrawn = 'replaced by ' || ?1",
                    {says.serial}};
    co_return co_await issues(std::move(query));
}

Task<Result<bool>> Ledger::held(std::string address, Certificate says, TokenGrant token)
{
    says.names = {.hosts = {}, .addresses = {canonical(std::move(address))}};
    const Entry entry{says, &token, clock_.now(), most_};
    Statement query{fmt::format("SELECT EXISTS (SELECT 1 {}) {}", from_holders, naming_all), entry.values};
    const auto found = co_await tables_.read(std::move(query), 1);
    if (!found) co_return fail(found.error());
    co_return as_integer(found->front()[0]) != 0;
}

Task<Result<>> Ledger::renew(Certificate says)
{
    Entry entry{says, nullptr, clock_.now(), most_};
    co_return co_await enter(std::move(entry));
}

Task<Result<std::vector<Issue>>> Ledger::revoke(std::string which)
{
    const std::string of_which = "not_after > ?2 AND (node = ?1 OR serial = ?1 OR key IN "
                                 "(SELECT key FROM issued_name WHERE name = ?1))";
    const std::vector<Cell> values{canonical(which), micros(clock_.now())};
    Statement withdraw{"UPDATE issued SET withdrawn = 'revoked' WHERE withdrawn = '' AND " + of_which,
                       values};
    const auto written = co_await tables_.write(std::move(withdraw));
    if (!written) co_return fail(written.error());
    Statement query{"SELECT node, serial, not_after FROM issued WHERE " + of_which, values};
    auto revoked = co_await issues(std::move(query));
    if (revoked && revoked->empty()) {
        co_return fail(
            Errc::not_found,
            fmt::format("cannot revoke {}: no node whose certificate from here still runs has that name, "
                        "address or, in its newest certificate, serial number",
                        which.substr(0, 64)));
    }
    co_return revoked;
}

Task<Result<bool>> Ledger::tidy()
{
    if (may_forget()) {
        const auto now = clock_.now();
        std::vector<Statement> expire;
        expire.push_back({"DELETE FROM issued WHERE not_after <= ?1 AND (withdrawn = '' OR not_after <= ?2)",
                          {micros(now), micros(now - withdrawn_kept)}});
        // What is withdrawn and expired is kept where there is room for it and for one more node.
        expire.push_back({"DELETE FROM issued WHERE key IN (SELECT key FROM issued WHERE not_after <= ?1 "
                          "ORDER BY not_after LIMIT max(0, (SELECT count(*) FROM issued) - ?2 + 1))",
                          {micros(now), most_}});
        const auto tidied = co_await tables_.write(std::move(expire));
        if (!tidied) co_return fail(tidied.error());
    }
    const auto counted = co_await count();
    if (!counted) co_return fail(counted.error());
    co_return *counted < most_;
}

/// Not for a day after the wall clock was set far ahead: it may be wrong, and what runs by the right one
/// would be gone for good.
bool Ledger::may_forget()
{
    const Times times{clock_.now(), clock_.monotonic()};
    const auto last = std::exchange(last_tidy_, times);
    if (last) {
        const auto stepped = (times.wall - last->wall) - (times.monotonic - last->monotonic);
        if (stepped > clock_step) keep_until_ = times.monotonic + clock_step;
        if (stepped < -clock_step) keep_until_ = {};
    }
    return times.monotonic >= keep_until_;
}

/// All that are kept; the gauge shows those that run.
Task<Result<std::int64_t>> Ledger::count()
{
    Statement query{"SELECT count(*), count(*) FILTER (WHERE not_after > ?1) FROM issued",
                    {micros(clock_.now())}};
    const auto rows = co_await tables_.read(std::move(query), 1);
    if (!rows) co_return fail(rows.error());
    known_.set(static_cast<double>(as_integer(rows->front()[1])));
    co_return as_integer(rows->front()[0]);
}

}  // namespace opsd::pki
