#pragma once
// Tokens, users and the signing secret: kept in auth.json, answered from memory. A file that is damaged or
// unreadable refuses everybody, with the reason; it is never taken as empty and never overwritten.

#include "http/auth_file.hpp"
#include "http/jwt.hpp"
#include "opsd/worker.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::http {

/// A token as others may see it.
struct TokenInfo {
    std::string id;
    std::string name;
    Role role = Role::none;
    WallTime created{};
    std::optional<WallTime> expires;
    std::optional<WallTime> last_used;  ///< since the daemon started
};

struct NewToken {
    TokenInfo info;
    std::string text;  ///< "opsd_<id>_<secret>": shown once, kept nowhere
};

struct UserInfo {
    std::string name;
    Role role = Role::none;
    WallTime changed{};  ///< of the password
};

/// Who gave a right password, and which of the user's passwords that was: a JWT is bound to it, so that it
/// ends with the password or the user whatever the clock says.
struct Login {
    Caller caller;
    std::string password;  ///< a fingerprint, not the password nor its hash
};

/// Called on the loop thread; files and scrypt have threads of their own. Must outlive the calls under way.
class TokenStore {
public:
    TokenStore(std::string path, const Clock& clock, ScryptCost cost = {});
    ~TokenStore();

    /// Reads the file, or makes it with a new secret. Blocks. On an error everybody is refused;
    /// Errc::unavailable when the same may succeed later (a full disk, say): a damaged file needs somebody.
    Result<> load();
    /// The same on the thread.
    Task<Result<>> reload();
    /// Why everybody is refused; "" when all is well.
    [[nodiscard]] std::string damage() const;

    /// Whose is this token? Errc::denied with a sentence. No more work than one hash.
    Result<Caller> check_token(std::string_view text);
    /// The JWT's caller: one of our own must be of a user who still exists, with the password it was made
    /// with; the role is the lesser of the token's and the user's. `rsa` may be empty.
    Result<Caller> check_jwt(std::string_view text, std::span<const RsaKey> rsa);
    /// Runs scrypt on its thread, also for a user who does not exist. Errc::denied, unavailable (too many at
    /// once).
    Task<Result<Login>> verify_user(std::string name, std::string password);
    /// A JWT for this login. One whose password was changed meanwhile is dead from the start.
    Result<std::string> issue_jwt(const Login& login, std::chrono::milliseconds ttl);

    Task<Result<NewToken>> create_token(std::string name, Role role,
                                        std::optional<WallTime> expires = std::nullopt);
    Task<Result<>> revoke_token(std::string id);
    Task<Result<>> add_user(std::string name, std::string password, Role role);
    Task<Result<>> set_password(std::string name, std::string password);
    Task<Result<>> remove_user(std::string name);
    [[nodiscard]] std::vector<TokenInfo> tokens() const;
    [[nodiscard]] std::vector<UserInfo> users() const;
    [[nodiscard]] bool has_user(std::string_view name) const;

    /// Lets the threads end by themselves, for an end that must not wait for a disk that hangs; `self` is
    /// this store, released after their last job. No call may follow.
    void retire(const std::shared_ptr<TokenStore>& self);

private:
    /// What is known: the state, or why there is none.
    struct View {
        AuthState state;
        std::string damage;
    };
    using Change = std::function<Result<>(AuthState&)>;

    [[nodiscard]] std::shared_ptr<const View> view() const;
    void publish(View view);
    Result<AuthState> read_or_make();
    Task<Result<>> change(Change change);
    Result<> change_on_thread(const Change& change);
    Task<Result<PasswordHash>> hash(std::string password);

    std::string path_;
    const Clock& clock_;
    ScryptCost cost_;
    mutable std::mutex mutex_;  // of view_: made on the file thread, read on the loop
    std::shared_ptr<const View> view_;
    std::map<std::string, WallTime, std::less<>> last_used_;
    WorkerThread file_thread_;
    WorkerThread hash_thread_;  // apart: a flood of logins must not delay a revocation
};

}  // namespace opsd::http
