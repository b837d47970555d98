#include "http/auth_default.hpp"
#include "http/auth_subject.hpp"

#include "io/files/files.hpp"
#include "jwt_keys.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

#include <unistd.h>

using namespace opsd;
using namespace opsd::http;
using opsd::http::test::issuer;
using opsd::test::run;
using opsd::test::TempDir;
using std::chrono::seconds;

namespace {

const WallTime default_day = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

struct DefaultAuth {
    TempDir dir;
    ManualClock clock{default_day};
    TokenStore store{dir / "auth.json", clock, ScryptCost{16, 1, 1}};
    AuthOptions options;
    std::unique_ptr<DefaultAuthenticator> authenticator;

    explicit DefaultAuth(const std::string& anonymous = "local")
    {
        EXPECT_TRUE(store.load());
        EXPECT_TRUE(files::write_atomic(dir / "issuer.pem", issuer().public_pem(), 0644));
        options.anonymous = anonymous;
        options.certificates = {{"CN=agent,O=ops", "operator"}};
        options.jwt = {{dir / "issuer.pem", "", "viewer", "operator"}};
        auto material = read_auth_material(options);
        EXPECT_TRUE(material) << material.error().message;
        material->peers = {{{1001, Role::operator_}}, {{4, Role::viewer}}};
        authenticator = std::make_unique<DefaultAuthenticator>(std::move(*material), store, clock);
    }
    Result<Caller> identify(const Credentials& c) { return authenticator->identify(c); }
};

Credentials from(std::string address, std::string authorization = {})
{
    Credentials c;
    c.loopback = address == "127.0.0.1";
    c.address = std::move(address);
    c.authorization = std::move(authorization);
    return c;
}

Credentials unix_peer(std::uint32_t uid, std::uint32_t gid)
{
    Credentials c;
    c.address = "unix";
    c.loopback = true;
    c.peer = Credentials::Peer{uid, gid, 1};
    return c;
}

std::string foreign_jwt(const std::string& more = "")
{
    const auto expires = std::chrono::floor<seconds>(default_day).time_since_epoch().count() + 60;
    return issuer().token(R"({"uid":"alice","exp":)" + std::to_string(expires) + more + "}");
}

}  // namespace

TEST(Auth, WithoutCredentialsTheAddressDecides)
{
    for (const auto& [word, role] :
         {std::pair{"none", Role::none}, {"local", Role::local}, {"viewer", Role::viewer}}) {
        DefaultAuth f{word};
        const auto near = f.identify(from("127.0.0.1"));
        EXPECT_EQ(near->role, role);
        EXPECT_EQ(near->via, "loopback");
        EXPECT_EQ(near->address, "127.0.0.1");
        const auto far = f.identify(from("10.0.0.7"));
        EXPECT_EQ(far->role, Role::none);
        EXPECT_EQ(far->via, "");
        EXPECT_EQ(far->address, "10.0.0.7");
    }
}

TEST(Auth, ATokenWorksInBothSpellings)
{
    DefaultAuth f;
    run([&]() -> Task<> {
        const auto made = co_await f.store.create_token("ci", Role::operator_);
        for (const auto* scheme : {"Bearer ", "bearer ", "BEARER  ", "token=", "Token=", "TOKEN= "}) {
            const auto caller = f.identify(from("10.0.0.7", scheme + made->text));
            EXPECT_TRUE(caller.has_value()) << scheme;
            if (caller) EXPECT_EQ(caller->role, Role::operator_);
            if (caller) EXPECT_EQ(caller->address, "10.0.0.7");
        }
    });
}

TEST(Auth, TheEmptyTokenOfTheDcosCommandLineIsNoCredential)
{
    DefaultAuth f;
    for (const auto* header : {"token=", "Token="}) {
        for (const auto* address : {"127.0.0.1", "10.0.0.7"}) {
            const auto with = f.identify(from(address, header));
            const auto without = f.identify(from(address, ""));
            ASSERT_TRUE(with.has_value()) << header;
            EXPECT_EQ(with->role, without->role) << address;
            EXPECT_EQ(with->via, without->via) << address;
            EXPECT_TRUE(with->name.empty());
        }
    }
}

TEST(Auth, AnythingElseInTheHeaderIsRefusedAlsoOnLoopback)
{
    DefaultAuth f;
    for (const auto* header : {"Basic YWRtaW46YWRtaW4=", "Bearer", "Bearer ", "token= ", "=", " ",
                               "opsd_aaaaaaaa_x", "Bearer x", "token=x.y.z", "Bearer=x", "token x"}) {
        for (const auto* address : {"127.0.0.1", "10.0.0.7"}) {
            const auto caller = f.identify(from(address, header));
            ASSERT_FALSE(caller) << header;
            EXPECT_EQ(caller.error().code, Errc::denied);
        }
    }
}

TEST(Auth, AForeignJwtByTheConfiguredKey)
{
    DefaultAuth f;
    const auto caller = f.identify(from("10.0.0.7", "token=" + foreign_jwt()));
    ASSERT_TRUE(caller) << caller.error().message;
    EXPECT_EQ(caller->name, "alice");
    EXPECT_EQ(caller->role, Role::viewer);
    EXPECT_EQ(caller->via, "jwt");
    EXPECT_EQ(f.identify(from("10.0.0.7", "token=" + foreign_jwt(R"(,"role":"admin")")))->role,
              Role::operator_)
        << "the issuer's max_role";
}

TEST(Auth, ALoginGivesAJwtThatWorks)
{
    DefaultAuth f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto added = co_await f.store.add_user("bob", "password1", Role::operator_);
        const Caller nobody{"", Role::none, "", "10.0.0.7"};
        const auto token = co_await f.authenticator->log_in("bob", "password1", nobody);
        const auto caller = f.identify(from("10.0.0.7", "token=" + *token));
        EXPECT_EQ(caller->name, "bob");
        EXPECT_EQ(caller->role, Role::operator_);
        f.clock.step_wall(f.options.token_ttl);
        EXPECT_FALSE(f.identify(from("10.0.0.7", "token=" + *token)));
    });
}

TEST(Auth, PeersHaveTheirRolesAndNobodyLessThanAnonymous)
{
    DefaultAuth f;
    EXPECT_EQ(f.identify(unix_peer(0, 0))->role, Role::admin);
    EXPECT_EQ(f.identify(unix_peer(0, 0))->name, "uid 0");
    EXPECT_EQ(f.identify(unix_peer(1001, 7))->role, Role::operator_);
    EXPECT_EQ(f.identify(unix_peer(5000, 4))->role, Role::viewer);
    EXPECT_EQ(f.identify(unix_peer(5000, 5000))->role, Role::local);
    EXPECT_EQ(f.identify(unix_peer(5000, 5000))->via, "peer");
    DefaultAuth strict{"none"};
    EXPECT_EQ(strict.identify(unix_peer(5000, 5000))->role, Role::none);
    auto with_token = unix_peer(0, 0);
    with_token.authorization = "Bearer wrong";
    EXPECT_FALSE(f.identify(with_token)) << "what is presented must be right, also from root";
}

TEST(Auth, CertificatesByTheirSubject)
{
    DefaultAuth f;
    auto credentials = from("10.0.0.7");
    credentials.certificate_subject = "CN=agent,O=ops";
    EXPECT_EQ(f.identify(credentials)->role, Role::operator_);
    EXPECT_EQ(f.identify(credentials)->name, "CN=agent,O=ops");
    credentials.certificate_subject = "CN=agent,O=ops,C=X";
    EXPECT_EQ(f.identify(credentials).error().code, Errc::denied);
}

TEST(Auth, APatternTakesEveryNodeOfACluster)
{
    DefaultAuth f;
    AuthMaterial material;
    material.options.certificates = {
        {"*", "viewer"}, {"CN=*,OU=dc1,O=opsd node", "operator"}, {"CN=master,OU=dc1,O=opsd node", "admin"}};
    DefaultAuthenticator authenticator{std::move(material), f.store, f.clock};
    const auto role_of = [&](const char* subject) {
        auto credentials = from("10.0.0.7");
        credentials.certificate_subject = subject;
        return authenticator.identify(credentials)->role;
    };
    EXPECT_EQ(role_of("CN=agent1,OU=dc1,O=opsd node"), Role::operator_) << "the pattern goes before the star";
    EXPECT_EQ(role_of("CN=master,OU=dc1,O=opsd node"), Role::admin)
        << "the exact one goes before the pattern";
    EXPECT_EQ(role_of("CN=agent1,OU=dc2,O=opsd node"), Role::viewer);
}

TEST(Auth, ASubjectFitsAPatternPartByPart)
{
    for (const auto* subject :
         {"CN=a,OU=b,O=c", R"(CN=a\,b,OU=b,O=c)", R"(CN=a\+x,OU=b,O=c)", "CN=*,OU=b,O=c"})
        EXPECT_TRUE(subject_fits("CN=*,OU=b,O=c", subject)) << subject;
    for (const auto* subject :
         {"", "CN=,OU=b,O=c", "CN=a,OU=b", "CN=a,OU=b,O=c,C=d", "O=c,OU=b,CN=a", "UID=a,OU=b,O=c",
          "CN=a+UID=x,OU=b,O=c", "CN=a,x,OU=b,O=c", R"(CN=a\,OU=b,O=c)", "CN=a,OU=B,O=c"})
        EXPECT_FALSE(subject_fits("CN=*,OU=b,O=c", subject)) << subject;
    EXPECT_FALSE(subject_fits("=*", "CN=a"));
    EXPECT_FALSE(subject_fits("CN=a*", "CN=ab")) << "a star is a whole value or itself";
    EXPECT_TRUE(subject_fits("CN=a*", "CN=a*"));
}

TEST(Auth, ACertificateThatExpiresDuringTheConnectionIsRefusedFromThenOn)
{
    DefaultAuth f;
    auto credentials = from("10.0.0.7");
    credentials.certificate_subject = "CN=agent,O=ops";
    credentials.certificate_not_after = default_day + seconds{60};
    EXPECT_TRUE(f.identify(credentials));
    f.clock.step_wall(seconds{60});
    EXPECT_EQ(f.identify(credentials).error().message,
              "cannot accept the client certificate of \"CN=agent,O=ops\": it expired at "
              "2026-11-22T00:01:00.000Z; connect again with a new one");
}

TEST(Auth, AnIssuersRoleAboveItsMaximumIsAMistake)
{
    AuthOptions options;
    options.jwt = {{.public_key_file = "a"}, {.public_key_file = "b", .role = "operator"}};
    config::Mistakes mistakes;
    check_issuers(options, mistakes);
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_EQ(mistakes[0].path, "auth.jwt[1].role");
    options.jwt[1].max_role = "admin";
    mistakes.clear();
    check_issuers(options, mistakes);
    EXPECT_TRUE(mistakes.empty());
}

TEST(Auth, AStarTakesEveryVerifiedCertificate)
{
    DefaultAuth f;
    AuthMaterial material;
    material.options.certificates = {{"*", "viewer"}, {"CN=boss", "admin"}};
    DefaultAuthenticator authenticator{std::move(material), f.store, f.clock};
    auto credentials = from("10.0.0.7");
    credentials.certificate_subject = "CN=anybody";
    EXPECT_EQ(authenticator.identify(credentials)->role, Role::viewer);
    credentials.certificate_subject = "CN=boss";
    EXPECT_EQ(authenticator.identify(credentials)->role, Role::admin) << "the exact one wins";
}

TEST(Auth, AfterTenFailuresAnAddressGetsNoMoreCostlyChecks)
{
    DefaultAuth f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto added = co_await f.store.add_user("bob", "password1", Role::operator_);
        const auto made = co_await f.store.create_token("ci", Role::viewer);
        const Caller attacker{"", Role::none, "", "10.0.0.7"};
        for (int i = 0; i < 10; ++i) {
            const auto wrong = co_await f.authenticator->log_in("bob", "wrong password", attacker);
            EXPECT_EQ(wrong.error().message, "cannot log in: the name or the password is wrong");
        }
        const auto blocked = co_await f.authenticator->log_in("bob", "password1", attacker);
        EXPECT_EQ(blocked.error().message,
                  "cannot check the credentials: too many attempts failed from this address; wait 10 s");
        EXPECT_EQ(blocked.error().code, Errc::denied);
        EXPECT_FALSE(f.identify(from("10.0.0.7", "token=" + foreign_jwt())));
        EXPECT_TRUE(f.identify(from("10.0.0.7", "token=" + made->text)))
            << "a token cannot be guessed and is not locked out";
        EXPECT_TRUE(f.identify(from("10.0.0.8", "token=" + foreign_jwt()))) << "others do not suffer";

        f.clock.advance(seconds{10}, [] {});
        const auto patient = co_await f.authenticator->log_in("bob", "password1", attacker);
        EXPECT_TRUE(patient.has_value());
    });
}

TEST(Auth, NewMaterialIsReadBesideTheOldOne)
{
    DefaultAuth f;
    auto bad = f.options;
    bad.jwt.front().public_key_file = f.dir / "missing.pem";
    EXPECT_EQ(read_auth_material(bad).error().code, Errc::not_found);
    EXPECT_TRUE(f.identify(from("10.0.0.7", "token=" + foreign_jwt())));
    auto without = f.options;
    without.jwt.clear();
    without.anonymous = "viewer";
    auto material = read_auth_material(without);
    ASSERT_TRUE(material);
    EXPECT_TRUE(f.identify(from("10.0.0.7", "token=" + foreign_jwt()))) << "reading changes nothing";
    f.authenticator->use(std::move(*material));
    EXPECT_FALSE(f.identify(from("10.0.0.7", "token=" + foreign_jwt())));
    EXPECT_EQ(f.identify(from("127.0.0.1"))->role, Role::viewer);
}

TEST(Auth, MaterialNamesTheKeyFileThatIsWrong)
{
    const TempDir dir;
    ASSERT_TRUE(files::write_atomic(dir / "k.pem", "rubbish", 0600));
    AuthOptions options;
    options.jwt = {{.public_key_file = dir / "k.pem"}};
    const auto material = read_auth_material(options);
    ASSERT_FALSE(material);
    EXPECT_NE(material.error().message.find(dir / "k.pem"), std::string::npos);
}

TEST(Auth, TheClusterTokenIsAViewerAndNothingShortIsTaken)
{
    DefaultAuth f;
    const std::string secret(40, 's');
    ASSERT_TRUE(files::write_atomic(f.dir / "cluster", secret + "\n", 0600));
    f.options.cluster_token = {config::Secret::From::file, f.dir / "cluster"};
    auto material = read_auth_material(f.options);
    ASSERT_TRUE(material) << material.error().message;
    DefaultAuthenticator authenticator{std::move(*material), f.store, f.clock};
    const auto caller = authenticator.identify(from("10.0.0.7", "Bearer " + secret));
    ASSERT_TRUE(caller) << caller.error().message;
    EXPECT_EQ(caller->role, Role::viewer);
    EXPECT_EQ(caller->name, "cluster");
    EXPECT_FALSE(authenticator.identify(from("10.0.0.7", "Bearer " + secret + "s")));
    EXPECT_FALSE(f.identify(from("10.0.0.7", "Bearer " + secret))) << "where none is configured";
    ASSERT_TRUE(files::write_atomic(f.dir / "cluster", "short", 0600));
    const auto refused = read_auth_material(f.options);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("at least 32"), std::string::npos) << refused.error().message;
}

TEST(Auth, TheOptionsAreASchema)
{
    const auto parsed = config::parse_yaml("admin_groups: [wheel]\n"
                                           "certificates:\n"
                                           "  - {subject: CN=agent, role: operator}\n"
                                           "jwt:\n"
                                           "  - {public_key_file: /etc/opsd/dcos.pem, role: viewer}\n"
                                           "token_ttl: 1h\n",
                                           "opsd.yaml");
    ASSERT_TRUE(parsed);
    config::Mistakes mistakes;
    const auto options = auth_schema().parse(&*parsed, "auth", mistakes);
    for (const auto& mistake : mistakes)
        ADD_FAILURE() << mistake.to_string();
    EXPECT_EQ(options.admin_groups.at(0), "wheel");
    EXPECT_EQ(options.certificates.at(0).role, "operator");
    EXPECT_EQ(options.jwt.at(0).public_key_file, "/etc/opsd/dcos.pem");
    EXPECT_EQ(options.token_ttl, std::chrono::hours{1});
    const auto odd =
        config::parse_yaml("token_ttl: 1s\njwt: [{public_key_file: \"\", role: root}]\n", "opsd.yaml");
    (void)auth_schema().parse(&*odd, "auth", mistakes);
    EXPECT_EQ(mistakes.size(), 3U);
}
