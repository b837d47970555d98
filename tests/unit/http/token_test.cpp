#include "http/tokens.hpp"

#include "http/auth_text.hpp"
#include "io/files/files.hpp"
#include "jwt_keys.hpp"
#include "opsd/task_group.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

#include <sys/stat.h>

#include <set>

using namespace opsd;
using namespace opsd::http;
using opsd::test::run;
using opsd::test::TempDir;
using std::chrono::hours;

namespace {

constexpr ScryptCost cheap{16, 1, 1};
const WallTime token_day = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

std::string content(const std::string& path) { return files::read_file(path, 4 << 20).value_or(""); }

/// A store on a file of its own.
struct TokenNode {
    TempDir dir;
    ManualClock clock{token_day};
    std::string path = dir / "auth.json";
    TokenStore store{path, clock, cheap};
    TokenNode() { EXPECT_TRUE(store.load()); }
};

Task<NewToken> create(TokenStore& store, std::string name, Role role, std::optional<WallTime> expires = {})
{
    auto made = co_await store.create_token(std::move(name), role, expires);
    if (!made) throw std::runtime_error{made.error().message};
    co_return std::move(*made);
}

Task<std::string> logged_in(TokenStore& store, std::string name, std::string password)
{
    const auto caller = co_await store.verify_user(std::move(name), std::move(password));
    if (!caller) throw std::runtime_error{caller.error().message};
    auto token = store.issue_jwt(*caller, hours{1});
    if (!token) throw std::runtime_error{token.error().message};
    co_return std::move(*token);
}

}  // namespace

TEST(Tokens, AreCheckedListedAndRevoked)
{
    TokenNode f;
    run([&]() -> Task<> {
        const auto made = co_await create(f.store, "ci", Role::operator_);
        EXPECT_TRUE(made.text.starts_with("opsd_" + made.info.id + "_"));
        EXPECT_EQ(made.text.size(), 5U + 8 + 1 + 43);
        const auto caller = f.store.check_token(made.text);
        EXPECT_EQ(caller->name, "ci");
        EXPECT_EQ(caller->role, Role::operator_);
        EXPECT_EQ(caller->via, "token");
        EXPECT_EQ(f.store.tokens().at(0).last_used, token_day);
        EXPECT_EQ(content(f.path).find(made.text.substr(14)), std::string::npos)
            << "the secret is in the file";

        auto wrong = made.text;
        wrong.back() = wrong.back() == 'A' ? 'B' : 'A';
        EXPECT_EQ(f.store.check_token(wrong).error().code, Errc::denied);
        EXPECT_EQ(f.store.check_token(made.text + "x").error().code, Errc::denied);
        EXPECT_EQ(f.store.check_token("").error().code, Errc::denied);

        const auto revoked = co_await f.store.revoke_token(made.info.id);
        EXPECT_TRUE(revoked.has_value());
        EXPECT_EQ(f.store.check_token(made.text).error().code, Errc::denied);
        EXPECT_TRUE(f.store.tokens().empty());
        const auto again = co_await f.store.revoke_token(made.info.id);
        EXPECT_EQ(again.error().code, Errc::not_found);
    });
}

TEST(Tokens, SurviveARestart)
{
    TokenNode f;
    run([&]() -> Task<> {
        const auto made = co_await create(f.store, "ci", Role::viewer, token_day + hours{48});
        TokenStore later{f.path, f.clock, cheap};
        EXPECT_EQ(later.check_token(made.text).error().code, Errc::denied)
            << "before the file was read nobody may enter";
        EXPECT_TRUE(later.load());
        EXPECT_EQ(later.check_token(made.text)->role, Role::viewer);
        EXPECT_EQ(later.tokens().at(0).created, token_day);
        EXPECT_EQ(later.tokens().at(0).expires, token_day + hours{48});
    });
    struct stat now{};
    ASSERT_EQ(::stat(f.path.c_str(), &now), 0);
    EXPECT_EQ(now.st_mode & 0777U, 0600U);
}

TEST(Tokens, Expire)
{
    TokenNode f;
    run([&]() -> Task<> {
        const auto made = co_await create(f.store, "ci", Role::viewer, token_day + hours{1});
        EXPECT_TRUE(f.store.check_token(made.text));
        f.clock.step_wall(hours{1});
        const auto refused = f.store.check_token(made.text);
        EXPECT_EQ(refused.error().message,
                  "cannot accept the token: it expired at 2026-11-22T01:00:00.000Z; create a new one");
        const auto past = co_await f.store.create_token("ci", Role::viewer, token_day);
        EXPECT_EQ(past.error().code, Errc::invalid_argument);
    });
}

TEST(Tokens, AreBounded)
{
    TokenNode f;
    auto state = parse_auth_state(content(f.path), f.path).value();
    for (std::size_t i = 0; i < max_tokens; ++i) {
        state.tokens.push_back(
            {"id" + std::to_string(100'000 + i), "t", Role::viewer, std::string(32, 'x'), token_day, {}});
    }
    ASSERT_TRUE(files::write_atomic(f.path, render(state), 0600));
    ASSERT_TRUE(f.store.load());
    run([&]() -> Task<> {
        const auto one_more = co_await f.store.create_token("ci", Role::viewer);
        EXPECT_EQ(one_more.error().message, "cannot create a token: there are 1000; revoke some");
    });
    state.tokens.push_back({"id999999", "t", Role::viewer, std::string(32, 'x'), token_day, {}});
    EXPECT_FALSE(parse_auth_state(render(state), f.path));
}

TEST(Tokens, OddNamesAreRefused)
{
    TokenNode f;
    run([&]() -> Task<> {
        for (const auto* bad : {"", "a b", "a/b", "a\n", "\xc3\xa9"}) {
            const auto made = co_await f.store.create_token(bad, Role::viewer);
            EXPECT_EQ(made.error().code, Errc::invalid_argument) << bad;
        }
        const auto too_long = co_await f.store.create_token(std::string(65, 'a'), Role::viewer);
        EXPECT_FALSE(too_long.has_value());
    });
}

TEST(Tokens, ADamagedFileRefusesEverybodyAndIsKept)
{
    TokenNode f;
    run([&]() -> Task<> {
        const auto made = co_await create(f.store, "ci", Role::admin);
        const auto added = co_await f.store.add_user("bob", "password1", Role::viewer);
        EXPECT_TRUE(added.has_value());
        const auto jwt = co_await logged_in(f.store, "bob", "password1");
        const auto whole = content(f.path);
        const auto damaged = whole.substr(0, whole.size() / 2);
        EXPECT_TRUE(files::write_atomic(f.path, damaged, 0600));

        const auto changed = co_await f.store.create_token("x", Role::viewer);
        EXPECT_EQ(changed.error().code, Errc::unavailable);
        EXPECT_EQ(content(f.path), damaged) << "a damaged file must never be overwritten";

        const auto reloaded = co_await f.store.reload();
        EXPECT_FALSE(reloaded.has_value());
        EXPECT_FALSE(reloaded.error().retryable()) << "reading it again does not mend it";
        for (const auto& refused : {f.store.check_token(made.text), f.store.check_jwt(jwt, {})}) {
            EXPECT_EQ(refused.error().code, Errc::denied);
            EXPECT_EQ(refused.error().message,
                      "cannot check credentials: " + f.path
                          + " is damaged: it is not JSON; put back a copy, or remove it to begin "
                            "without tokens and users, then reload opsd");
        }
        const auto login = co_await f.store.verify_user("bob", "password1");
        EXPECT_EQ(login.error().code, Errc::denied);
        EXPECT_EQ(content(f.path), damaged);

        EXPECT_TRUE(files::write_atomic(f.path, whole, 0600));
        const auto repaired = co_await f.store.reload();
        EXPECT_TRUE(repaired.has_value());
        EXPECT_TRUE(f.store.check_token(made.text));
        EXPECT_TRUE(f.store.check_jwt(jwt, {}));
    });
}

TEST(Tokens, AnythingOddCondemnsTheWholeFile)
{
    TokenNode f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto made = co_await create(f.store, "ci", Role::admin);
        const auto added = co_await f.store.add_user("bob", "password1", Role::viewer);
        EXPECT_TRUE(added.has_value());
    });
    const auto good = content(f.path);
    ASSERT_TRUE(parse_auth_state(good, f.path));
    const std::pair<const char*, const char*> changes[]{{"\"version\": 1", "\"version\": 2"},
                                                        {"\"admin\"", "\"root\""},
                                                        {"\"tokens\"", "\"token\""},
                                                        {"\"n\": 16", "\"n\": 17"},
                                                        {"\"n\": 16", "\"n\": 1073741824"},
                                                        {"\"n\": 16", "\"n\": -16"},
                                                        {"\"bob\"", "7"},
                                                        {"\"secret\": \"", "\"secret\": \"!"},
                                                        {"\"sha256\": \"", "\"sha256\": \"AAAA\", \"x\": \""},
                                                        {"2026-11-22", "2026-13-22"}};
    for (const auto& [from, to] : changes) {
        auto odd = good;
        const auto at = odd.find(from);
        ASSERT_NE(at, std::string::npos) << from;
        odd.replace(at, std::string_view{from}.size(), to);
        EXPECT_FALSE(parse_auth_state(odd, f.path)) << from << " -> " << to;
    }
    for (const auto* odd : {"", "[]", "null", "{}", "{\"version\":1}"})
        EXPECT_FALSE(parse_auth_state(odd, f.path)) << odd;
}

TEST(Tokens, AnUnusableDirectoryRefusesEverybodyWithTheReason)
{
    const TempDir dir;
    const ManualClock clock{token_day};
    TokenStore store{dir / "missing/auth.json", clock, cheap};
    const auto loaded = store.load();
    ASSERT_FALSE(loaded);
    EXPECT_TRUE(loaded.error().retryable()) << "somebody may make the directory";
    EXPECT_NE(loaded.error().message.find(dir / "missing/auth.json"), std::string::npos);
    EXPECT_EQ(store.check_token("opsd_x").error().message, loaded.error().message);
}

TEST(Tokens, AFullDiskLosesNothingAndSaysSo)
{
    TempDir dir;
    const auto problem = dir.shrink("64k");
    if (!problem.empty()) GTEST_SKIP() << "NOT TESTED: the full disk; cannot mount a tmpfs: " << problem;
    const ManualClock clock{token_day};
    TokenStore store{dir / "auth.json", clock, cheap};
    ASSERT_TRUE(store.load());
    run([&]() -> Task<> {
        const auto made = co_await create(store, "ci", Role::admin);
        for (int i = 0;
             i < 16
             && files::write_atomic(dir / ("ballast" + std::to_string(i)), std::string(4096, 'b'), 0600);
             ++i) {
        }
        const auto refused = co_await store.create_token("more", Role::viewer);
        EXPECT_EQ(refused.error().code, Errc::unavailable) << refused.error().message;
        EXPECT_TRUE(store.check_token(made.text));
        EXPECT_EQ(store.tokens().size(), 1U) << "what could not be written must not be in force";
        EXPECT_TRUE(store.load());
        EXPECT_TRUE(store.check_token(made.text));
    });
}

TEST(Tokens, ChangesAtOnceAreAllKept)
{
    using namespace boost::asio::experimental::awaitable_operators;
    TokenNode f;
    run([&]() -> Task<> {
        const auto some = [](TokenStore& store, std::string name) -> Task<> {
            for (int i = 0; i < 10; ++i) [[maybe_unused]]
                const auto made = co_await create(store, name, Role::viewer);
        };
        co_await (some(f.store, "a") && some(f.store, "b") && some(f.store, "c"));
    });
    EXPECT_EQ(f.store.tokens().size(), 30U);
    EXPECT_EQ(parse_auth_state(content(f.path), f.path)->tokens.size(), 30U);
}

TEST(Tokens, ARevocationHoldsAlsoWhenItsCallerHasGone)
{
    using namespace boost::asio::experimental::awaitable_operators;
    TokenNode f;
    run([&]() -> Task<> {
        const auto made = co_await create(f.store, "ci", Role::admin);
        const auto gone = []() -> Task<> { co_return; };
        const auto first = co_await (gone() || f.store.revoke_token(made.info.id));
        EXPECT_EQ(first.index(), 0U);
        const auto next = co_await f.store.revoke_token("other");  // behind it on the same thread
        EXPECT_FALSE(next.has_value());
        EXPECT_FALSE(f.store.check_token(made.text));
    });
}

TEST(Users, LogInWithTheirPasswordOnly)
{
    TokenNode f;
    run([&]() -> Task<> {
        const auto added = co_await f.store.add_user("bob", "password1", Role::operator_);
        EXPECT_TRUE(added.has_value());
        const auto twice = co_await f.store.add_user("bob", "password2", Role::admin);
        EXPECT_EQ(twice.error().message, "cannot add the user \"bob\": there is one already");
        const auto caller = co_await f.store.verify_user("bob", "password1");
        EXPECT_EQ(caller->caller.name, "bob");
        EXPECT_EQ(caller->caller.role, Role::operator_);
        const auto wrong = co_await f.store.verify_user("bob", "password2");
        const auto nobody = co_await f.store.verify_user("eve", "password1");
        EXPECT_EQ(wrong.error().message, "cannot log in: the name or the password is wrong");
        EXPECT_EQ(nobody.error().message, wrong.error().message) << "nobody learns which names exist";
        EXPECT_EQ(content(f.path).find("password1"), std::string::npos);
        const auto weak = co_await f.store.add_user("eve", "short", Role::viewer);
        EXPECT_EQ(weak.error().code, Errc::invalid_argument);
        EXPECT_EQ(f.store.users().size(), 1U);
    });
}

TEST(Users, ANewPasswordEndsTheOldTokens)
{
    TokenNode f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto added = co_await f.store.add_user("bob", "password1", Role::operator_);
        const auto jwt = co_await logged_in(f.store, "bob", "password1");
        EXPECT_EQ(f.store.check_jwt(jwt, {})->role, Role::operator_);
        const auto changed = co_await f.store.set_password("bob", "password2");
        EXPECT_TRUE(changed.has_value());
        EXPECT_EQ(f.store.check_jwt(jwt, {}).error().code, Errc::denied) << "in the same second, too";
        const auto fresh = co_await logged_in(f.store, "bob", "password2");
        EXPECT_TRUE(f.store.check_jwt(fresh, {})) << "a new login in that second works";
        f.clock.step_wall(std::chrono::seconds{-3600});
        EXPECT_FALSE(f.store.check_jwt(jwt, {})) << "whatever the clock says";
        const auto nobody = co_await f.store.set_password("eve", "password2");
        EXPECT_EQ(nobody.error().code, Errc::not_found);
    });
}

TEST(Users, ARemovedUserIsOutAtOnce)
{
    TokenNode f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto added = co_await f.store.add_user("bob", "password1", Role::admin);
        const auto jwt = co_await logged_in(f.store, "bob", "password1");
        const auto removed = co_await f.store.remove_user("bob");
        EXPECT_TRUE(removed.has_value());
        EXPECT_FALSE(f.store.check_jwt(jwt, {}));
        const auto again = co_await f.store.remove_user("bob");
        EXPECT_EQ(again.error().code, Errc::not_found);
        [[maybe_unused]] const auto readded = co_await f.store.add_user("bob", "password1", Role::admin);
        EXPECT_FALSE(f.store.check_jwt(jwt, {})) << "another of the same name does not revive the token";
        const auto fresh = co_await logged_in(f.store, "bob", "password1");
        EXPECT_TRUE(f.store.check_jwt(fresh, {}));
    });
}

TEST(Users, ALoginWhosePasswordChangesBeforeItsTokenIsMadeIsDead)
{
    TokenNode f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto added = co_await f.store.add_user("bob", "password1", Role::admin);
        const auto login = co_await f.store.verify_user("bob", "password1");
        [[maybe_unused]] const auto changed = co_await f.store.set_password("bob", "password2");
        const auto token = f.store.issue_jwt(*login, hours{1});
        EXPECT_FALSE(f.store.check_jwt(*token, {}));
    });
}

TEST(Users, ATokenThatNamesNoPasswordIsRefused)
{
    TokenNode f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto added = co_await f.store.add_user("bob", "password1", Role::admin);
        const auto secret = parse_auth_state(content(f.path), f.path)->secret;
        const auto token = sign_jwt({"bob", Role::admin, token_day, token_day + hours{1}, true}, secret);
        EXPECT_FALSE(f.store.check_jwt(token, {}));
    });
}

TEST(Users, APasswordThatChangesWhileItIsCheckedLetsNobodyIn)
{
    for (const bool removed : {false, true}) {
        TokenNode f;
        run([&]() -> Task<> {
            [[maybe_unused]] const auto added = co_await f.store.add_user("bob", "password1", Role::admin);
            TokenStore other{f.path, f.clock, cheap};
            EXPECT_TRUE(other.load());
            auto changed = removed ? other.remove_user("bob") : other.set_password("bob", "password2");
            const auto done = co_await std::move(changed);
            EXPECT_TRUE(done);
            const auto before = co_await f.store.verify_user("bob", "password1");
            EXPECT_TRUE(before) << "the store has not read the change yet";

            std::optional<Result<Login>> answer;
            const auto log_in = [&]() -> Task<> {
                answer = co_await f.store.verify_user("bob", "password1");
            };
            TaskGroup group{co_await asio::this_coro::executor, [](std::string_view, std::exception_ptr e) {
                                ADD_FAILURE() << describe(e).what;
                            }};
            group.spawn("login", log_in());  // its hash is being made now
            EXPECT_FALSE(answer);
            EXPECT_TRUE(f.store.load());
            co_await group.join();
            EXPECT_TRUE(answer && !*answer && answer->error().code == Errc::denied);
        });
    }
}

TEST(Users, TheSecretIsMadeOnceAndDiffersBetweenNodes)
{
    TokenNode a;
    TokenNode b;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto one = co_await a.store.add_user("bob", "password1", Role::admin);
        [[maybe_unused]] const auto two = co_await b.store.add_user("bob", "password1", Role::admin);
        const auto jwt = co_await logged_in(a.store, "bob", "password1");
        EXPECT_TRUE(a.store.load());
        EXPECT_TRUE(a.store.check_jwt(jwt, {}));
        EXPECT_FALSE(b.store.check_jwt(jwt, {}));
    });
}

TEST(Users, AFloodOfLoginsIsUnavailableNotAQueueWithoutEnd)
{
    const TempDir dir;
    const ManualClock clock{token_day};
    TokenStore store{dir / "auth.json", clock, {1U << 14, 8, 1}};
    ASSERT_TRUE(store.load());
    std::map<Errc, int> answers;
    asio::io_context io{1};
    const auto try_once = [&]() -> Task<> {
        const auto result = co_await store.verify_user("bob", "password1");
        ++answers[result.error().code];
    };
    for (int i = 0; i < 40; ++i)
        asio::co_spawn(io, try_once(), [](const std::exception_ptr& e) { EXPECT_FALSE(e); });
    io.run();
    EXPECT_GE(answers[Errc::denied], 16);
    EXPECT_GE(answers[Errc::unavailable], 20);
}
