// `opsd cluster` on directories of the test's own; what needs other nodes is in tests/cluster.

#include "cli/cli.hpp"
#include "io/files/files.hpp"
#include "modules/pki/policy.hpp"

#include "command.hpp"
#include "temp_dir.hpp"

#include <pwd.h>
#include <sys/stat.h>

using namespace opsd;
using namespace opsd::cli;
using opsd::test::Outcome;
using opsd::test::run_opsd;
using opsd::test::TempDir;

namespace {

std::string account()
{
    const auto* entry = ::getpwuid(::getuid());
    return entry != nullptr ? entry->pw_name : "root";
}

/// A node's directories.
struct Place {
    TempDir dir;
    std::string cluster = dir / "cluster";

    [[nodiscard]] Outcome init(std::vector<std::string> more = {}) const
    {
        std::vector<std::string> words{"cluster",     "init",       "--name",       "dc1",
                                       "--directory", cluster,      "--user",       account(),
                                       "--address",   "198.18.0.2", "--config-dir", dir / "conf.d"};
        words.insert(words.end(), more.begin(), more.end());
        return run_opsd(std::move(words));
    }
    [[nodiscard]] std::string read(const std::string& name) const
    {
        return files::read_file(cluster + "/" + name, 64 * 1024).value_or("");
    }
    [[nodiscard]] unsigned mode(const std::string& name) const
    {
        struct stat now{};
        return ::stat((cluster + "/" + name).c_str(), &now) == 0 ? now.st_mode & 07777U : 0;
    }
};

}  // namespace

TEST(ClusterCommands, InitMakesAnAuthorityAndACertificateAndPrintsTheConfiguration)
{
    const Place place;
    const auto got = place.init();
    ASSERT_EQ(got.status, exit_ok) << got.err;
    const auto authority = pki::inspect(place.read("ca.crt"));
    ASSERT_TRUE(authority.has_value());
    EXPECT_NE(got.out.find(authority->fingerprint), std::string::npos) << got.out;
    EXPECT_NE(got.out.find("CN=*,OU=dc1,O=opsd node"), std::string::npos) << got.out;
    EXPECT_NE(got.out.find("address: \"198.18.0.2\""), std::string::npos) << got.out;
    EXPECT_EQ(place.read("issuer"), "https://198.18.0.2:1050\n");
    EXPECT_TRUE(pki::verify(place.read("node.crt"), place.read("ca.crt"), SystemClock{}.now()));
    EXPECT_TRUE(pki::check_key(place.read("node.crt"), place.read("node.key")));
    EXPECT_EQ(place.mode("ca.key"), 0400U);
    EXPECT_EQ(place.mode("node.key"), 0400U);
    EXPECT_FALSE(std::filesystem::exists(place.dir / "conf.d"));
}

TEST(ClusterCommands, NothingIsOverwritten)
{
    const Place place;
    ASSERT_EQ(place.init().status, exit_ok);
    const auto before = place.read("ca.crt");
    const auto again = place.init();
    EXPECT_EQ(again.status, exit_usage);
    EXPECT_NE(again.err.find("nothing is overwritten"), std::string::npos) << again.err;
    EXPECT_EQ(place.read("ca.crt"), before);
    const auto join = run_opsd({"cluster", "join", "https://127.0.0.1:1", "--token", "t", "--ca", "sha256:00",
                                "--directory", place.cluster, "--user", account()});
    EXPECT_NE(join.err.find("nothing is overwritten"), std::string::npos) << join.err;
}

TEST(ClusterCommands, TheWrittenConfigurationIsAGoodOne)
{
    const Place place;
    const auto got = place.init({"--write-config", "--port", "21050"});
    ASSERT_EQ(got.status, exit_ok) << got.err;
    const auto check = run_opsd({"config", "show", "--config-dir", place.dir / "conf.d"});
    ASSERT_EQ(check.status, exit_ok) << check.err;
    EXPECT_NE(check.out.find("CN=*,OU=dc1,O=opsd node"), std::string::npos) << check.out;
    EXPECT_NE(check.out.find(place.cluster + "/node.crt"), std::string::npos) << check.out;
}

TEST(ClusterCommands, AConfigurationThatHasListenersIsNotReplaced)
{
    const Place place;
    ASSERT_TRUE(files::make_directories(place.dir / "conf.d", 0755));
    ASSERT_TRUE(files::write_atomic(place.dir / "conf.d/mine.yaml", "http: {listen: []}\n", 0644));
    const auto got = place.init({"--write-config"});
    EXPECT_EQ(got.status, exit_usage);
    EXPECT_NE(got.err.find("http.listen is set already"), std::string::npos) << got.err;
    EXPECT_NE(got.err.find("mine.yaml:1"), std::string::npos) << got.err;
    EXPECT_FALSE(std::filesystem::exists(place.cluster)) << "nothing is made before";
}

TEST(ClusterCommands, RenewKeepsTheKeyAndMovesTheEnd)
{
    const Place place;
    ASSERT_EQ(place.init().status, exit_ok);
    const auto before = pki::inspect(place.read("node.crt"));
    const auto not_due = run_opsd({"cluster", "renew", "--directory", place.cluster, "--if-within", "60d"});
    EXPECT_EQ(not_due.status, exit_ok) << not_due.err;
    EXPECT_EQ(pki::inspect(place.read("node.crt"))->serial, before->serial);
    const auto got = run_opsd({"cluster", "renew", "--directory", place.cluster, "--if-within", "366d"});
    EXPECT_EQ(got.status, exit_ok) << got.err;
    const auto after = pki::inspect(place.read("node.crt"));
    EXPECT_NE(after->serial, before->serial);
    EXPECT_EQ(after->names, before->names);
    EXPECT_GE(after->not_after, before->not_after);
    EXPECT_TRUE(pki::check_key(place.read("node.crt"), place.read("node.key")));
    EXPECT_NE(place.read("node.crt").find(place.read("ca.crt")), std::string::npos)
        << "the chain stays whole";
}

TEST(ClusterCommands, TheConfiguredLifetimeHoldsForWhatTheSignerSignsForItself)
{
    const Place place;
    const auto lifetime = [&place] {
        const auto says = pki::inspect(place.read("node.crt"));
        return says ? says->not_after - says->not_before - pki::clock_allowance : std::chrono::seconds{0};
    };
    ASSERT_EQ(place.init({"--set", "pki.certificate_lifetime=48h"}).status, exit_ok);
    EXPECT_EQ(lifetime(), std::chrono::hours{48});
    ASSERT_TRUE(files::make_directories(place.dir / "conf.d", 0755));
    ASSERT_TRUE(
        files::write_atomic(place.dir / "conf.d/pki.yaml", "pki: {certificate_lifetime: 90d}\n", 0644));
    const std::vector<std::string> words{"cluster",     "renew",        "--directory",
                                         place.cluster, "--config-dir", place.dir / "conf.d"};
    const auto renewed = run_opsd(words);
    EXPECT_EQ(renewed.status, exit_ok) << renewed.err;
    EXPECT_EQ(lifetime(), std::chrono::hours{24 * 90});
    ASSERT_TRUE(
        files::write_atomic(place.dir / "conf.d/pki.yaml", "pki: {certificate_lifetime: 1s}\n", 0644));
    const auto wrong = run_opsd(words);
    EXPECT_EQ(wrong.status, exit_usage);
    EXPECT_NE(wrong.err.find("pki.yaml:1"), std::string::npos) << wrong.err;
}

TEST(ClusterCommands, AJoinTokenReplacesOnlyForANamedNode)
{
    for (const auto& more : {std::vector<std::string>{"--replace"}, {"--for", "agent1", "--uses", "2"}}) {
        std::vector<std::string> words{"cluster", "token", "create", "--url", "unix:/nonexistent/opsd.sock"};
        words.insert(words.end(), more.begin(), more.end());
        EXPECT_EQ(run_opsd(words).status, exit_usage) << more.front();
    }
}

TEST(ClusterCommands, ShowSaysWhatIsThereAndFailsWhenItIsNotValid)
{
    const Place place;
    const auto nothing = run_opsd({"cluster", "show", "--directory", place.cluster});
    EXPECT_EQ(nothing.status, exit_failed);
    EXPECT_NE(nothing.err.find("this node is in no cluster yet"), std::string::npos) << nothing.err;
    ASSERT_EQ(place.init().status, exit_ok);
    const auto table = run_opsd({"cluster", "show", "--directory", place.cluster});
    EXPECT_EQ(table.status, exit_ok) << table.err;
    EXPECT_NE(table.out.find("Cluster dc1, authority sha256:"), std::string::npos) << table.out;
    const auto document = run_opsd({"cluster", "show", "--directory", place.cluster, "-o", "json"});
    EXPECT_NE(document.out.find("\"valid\": true"), std::string::npos) << document.out;
    const auto other = *pki::found_cluster("dc1", SystemClock{}.now());
    ASSERT_TRUE(files::write_atomic(place.cluster + "/ca.crt", other.certificate, 0644));
    const auto broken = run_opsd({"cluster", "show", "--directory", place.cluster});
    EXPECT_EQ(broken.status, exit_denied);
}

TEST(ClusterCommands, ATokenNeverCrossesTheNetworkInTheClear)
{
    const Place place;
    const auto got = run_opsd({"cluster", "join", "http://127.0.0.1:1", "--token", "t", "--ca", "sha256:00",
                               "--directory", place.cluster, "--user", account()});
    EXPECT_EQ(got.status, exit_usage);
    EXPECT_NE(got.err.find("in the clear"), std::string::npos) << got.err;
}

TEST(ClusterCommands, AnUnknownAccountIsNamed)
{
    const Place place;
    const auto got = run_opsd({"cluster", "init", "--directory", place.cluster, "--user", "no-such-account"});
    EXPECT_EQ(got.status, exit_failed);
    EXPECT_NE(got.err.find("\"no-such-account\""), std::string::npos) << got.err;
    EXPECT_FALSE(std::filesystem::exists(place.cluster));
}
