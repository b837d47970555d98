#pragma once
// Join tokens: secrets that let a new node ask for a certificate, so often and until then. Kept in the store
// as hashes, so that a restart of the daemon does not make them useless.

#include "modules/pki/tables.hpp"

#include <string>
#include <string_view>

namespace opsd::pki {

/// What a token is made for.
struct TokenTerms {
    std::chrono::milliseconds lifetime{30LL * 60 * 1000};
    std::int64_t uses = 1;
    std::string node;      ///< the one node that may use it; "": any
    bool replace = false;  ///< that node may take its name over from a certificate that still runs
};

struct JoinToken {
    std::string text;  ///< "join_<id>_<secret>": shown once, kept nowhere
    std::string id;    ///< 8 letters and digits, for the log
    WallTime expires;
};

/// A good token: what it is good for.
struct TokenGrant {
    std::string id;
    std::string node;
    bool replace = false;
};

/// SQL: is the token of id ?1 good at the time ?2.
inline constexpr std::string_view token_is_good = "id = ?1 AND uses > 0 AND expires > ?2";
/// The refusal of one that is not.
[[nodiscard]] std::unexpected<Error> token_refused();

class JoinTokens {
public:
    /// At most `most` wait to be used. The references must outlive the calls under way.
    JoinTokens(Tables& tables, const Clock& clock, std::int64_t most)
      : tables_{tables}
      , clock_{clock}
      , most_{most}
    {}

    /// Errc::unavailable when there are too many, or the store cannot keep it.
    Task<Result<JoinToken>> create(TokenTerms terms);
    /// A good token, of which this takes no use (Ledger::join does). Errc::denied: unknown, used up or
    /// expired.
    Task<Result<TokenGrant>> check(std::string text);
    /// Makes all of them useless; how many there were.
    Task<Result<std::int64_t>> revoke_all();

private:
    Tables& tables_;
    const Clock& clock_;
    std::int64_t most_;
};

}  // namespace opsd::pki
