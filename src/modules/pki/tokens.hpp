#pragma once
// Join tokens: secrets that let a new node ask for a certificate, so often and until then. Kept in the store
// as hashes, so that a restart of the daemon does not make them useless.

#include "opsd/clock.hpp"
#include "opsd/store.hpp"

#include <string>
#include <string_view>

namespace opsd::pki {

struct JoinToken {
    std::string text;  ///< "join_<id>_<secret>": shown once, kept nowhere
    std::string id;    ///< 8 letters and digits, for the log
    WallTime expires;
    std::int64_t uses = 1;
};

class JoinTokens {
public:
    /// At most `most` wait to be used. The references must outlive the calls under way.
    JoinTokens(Store& store, const Clock& clock, std::int64_t most)
      : store_{store}
      , clock_{clock}
      , most_{most}
    {}

    /// Errc::unavailable when there are too many, or the store cannot keep it.
    Task<Result<JoinToken>> create(std::chrono::milliseconds lifetime, std::int64_t uses);
    /// The id of a good token, which is not used up by this. Errc::denied: unknown, used up or expired.
    Task<Result<std::string>> check(std::string text);
    /// Takes one use. Of two calls for the last one, one is Errc::denied.
    Task<Result<>> use(std::string id);
    /// Makes all of them useless; how many there were.
    Task<Result<std::int64_t>> revoke_all();

private:
    Task<Result<>> open();
    Task<Result<Written>> write(Statement statement);

    Store& store_;
    const Clock& clock_;
    std::int64_t most_;
    bool open_ = false;
};

}  // namespace opsd::pki
