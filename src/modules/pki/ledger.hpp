#pragma once
// Which certificates of other nodes run: whose names are taken, and which of them are renewed no more. Kept
// in the store. Nothing is forgotten before it expires, and what is withdrawn not for 400 days more, as far
// as there is room: if the clock was wrong, it is renewed no more when the clock is right again.

#include "io/pki/pki.hpp"
#include "modules/pki/tables.hpp"
#include "modules/pki/tokens.hpp"
#include "opsd/telemetry.hpp"

#include <optional>
#include <string>
#include <vector>

namespace opsd::pki {

/// A certificate of the ledger.
struct Issue {
    std::string node;
    std::string serial;
    WallTime not_after;
};

class Ledger {
public:
    /// At most `most` certificates; `known` shows how many there are. The references must outlive the calls
    /// under way.
    Ledger(Tables& tables, const Clock& clock, std::int64_t most, telemetry::Gauge& known)
      : tables_{tables}
      , clock_{clock}
      , most_{most}
      , known_{known}
    {}

    /// Takes one use of the token and enters the certificate, before it is handed out: both or nothing. What
    /// it replaces is renewed no more, and returned. Errc::denied: the token is not good any more, or another
    /// key has one of the names; unavailable: there are too many certificates.
    Task<Result<std::vector<Issue>>> join(Certificate says, TokenGrant token);

    /// Has a running certificate of another key the address, so that this one cannot have it with the token?
    Task<Result<bool>> held(std::string address, Certificate says, TokenGrant token);

    /// Enters the renewed certificate for the old one of its key. Errc::denied when that was revoked or
    /// replaced; one that is not known here is entered as if it joined.
    Task<Result<>> renew(Certificate says);

    /// Renews the certificates of a node, a serial number, a name or an address no more; which ones. Errc::
    /// not_found when none runs.
    Task<Result<std::vector<Issue>>> revoke(std::string which);

    /// Removes what is expired, unless the wall clock was set far ahead within the last day; is there room
    /// for more?
    Task<Result<bool>> tidy();

private:
    struct Entry;
    struct Times {
        WallTime wall;
        Monotonic monotonic;
    };
    bool may_forget();
    Task<Result<>> enter(Entry entry);
    Task<Error> refusal(Entry entry);
    Task<Result<std::int64_t>> count();
    Task<Result<std::vector<Issue>>> issues(Statement query);

    Tables& tables_;
    const Clock& clock_;
    std::int64_t most_;
    telemetry::Gauge& known_;
    std::optional<Times> last_tidy_;
    Monotonic keep_until_{};
};

}  // namespace opsd::pki
