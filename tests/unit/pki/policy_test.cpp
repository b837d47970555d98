#include "modules/pki/policy.hpp"

#include "modules/pki/body.hpp"

#include <gtest/gtest.h>

using namespace opsd;
using namespace opsd::pki;
using namespace std::chrono_literals;

namespace {

const WallTime now = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};
constexpr auto year = std::chrono::hours{24 * 365};

std::string request_for(const std::string& name, const Names& names = {},
                        const std::string& key = *make_key())
{
    return *make_request(key, name, names);
}

Applicant applicant(std::string request, std::string address = "198.18.0.3")
{
    return {std::move(request), std::move(address), {{"master", "master.example"}, {"198.18.0.2"}}, {}};
}

Errc refusal(const Result<Issued>& issued) { return issued ? Errc::internal : issued.error().code; }

}  // namespace

TEST(PkiPolicy, AClusterIsFoundedForTenYearsAndKnowsItsName)
{
    const auto authority = found_cluster("dc1", now);
    ASSERT_TRUE(authority.has_value());
    EXPECT_EQ(*cluster_of(authority->certificate), "dc1");
    EXPECT_EQ(inspect(authority->certificate)->not_after, now + authority_lifetime);
    for (const auto* bad : {"", "a b", "a,O=x", "a/b", "\xc3\xb6"})
        EXPECT_EQ(found_cluster(bad, now).error().code, Errc::invalid_argument) << bad;
    EXPECT_FALSE(found_cluster(std::string(65, 'a'), now));
}

TEST(PkiPolicy, ANodeGetsItsNamesAndTheAddressItCameFrom)
{
    const auto authority = *found_cluster("dc1", now);
    const auto issued =
        issue(authority, applicant(request_for("Agent1", {{"agent1.example"}, {"10.0.0.9"}})), now, year);
    ASSERT_TRUE(issued.has_value()) << issued.error().message;
    EXPECT_EQ(issued->says.subject, "CN=agent1,OU=dc1,O=opsd node");
    EXPECT_EQ(issued->says.names, (Names{{"agent1", "agent1.example"}, {"10.0.0.9", "198.18.0.3"}}));
    EXPECT_EQ(issued->says.not_after, now + year);
    EXPECT_TRUE(verify(issued->certificate, authority.certificate, now));
    const auto local = issue(authority, applicant(request_for("agent1"), "unix"), now, year);
    EXPECT_EQ(local->says.names, (Names{{"agent1"}, {}})) << "a socket has no address";
    const auto tunnel = issue(authority, applicant(request_for("agent1"), "127.0.0.1"), now, year);
    EXPECT_EQ(tunnel->says.names, (Names{{"agent1"}, {}})) << "loopback is no node's own";
}

TEST(PkiPolicy, NobodyGetsTheNamesOfTheSigner)
{
    const auto authority = *found_cluster("dc1", now);
    EXPECT_EQ(refusal(issue(authority, applicant(request_for("master")), now, year)), Errc::denied);
    EXPECT_EQ(refusal(issue(authority, applicant(request_for("MASTER")), now, year)), Errc::denied);
    EXPECT_EQ(refusal(issue(authority, applicant(request_for("a", {{"master.example"}, {}})), now, year)),
              Errc::denied);
    EXPECT_EQ(refusal(issue(authority, applicant(request_for("a", {{}, {"198.18.0.2"}})), now, year)),
              Errc::denied);
    EXPECT_EQ(refusal(issue(authority, applicant(request_for("a"), "198.18.0.2"), now, year)), Errc::denied);
}

TEST(PkiPolicy, ATokenForOneNodeIsGoodForItsNamesOnly)
{
    const auto authority = *found_cluster("dc1", now);
    const auto asked = [&](const std::string& node, const std::string& name, const Names& names) {
        auto who = applicant(request_for(name, names));
        who.node = node;
        return issue(authority, who, now, year);
    };
    const auto good = asked("agent1", "Agent1", {{"agent1.example"}, {"10.0.0.9"}});
    ASSERT_TRUE(good.has_value()) << good.error().message;
    EXPECT_TRUE(asked("agent1.example", "agent1.example", {{"agent1"}, {}}));
    const auto another = asked("agent1", "agent2", {{"agent1"}, {}});
    EXPECT_EQ(refusal(another), Errc::denied);
    EXPECT_NE(another.error().message.find("--for agent2"), std::string::npos) << another.error().message;
    for (const auto* more : {"agent2", "agent10", "agent1x.example", "example"})
        EXPECT_EQ(refusal(asked("agent1", "agent1", {{more}, {}})), Errc::denied) << more;
    EXPECT_EQ(refusal(asked("master", "master", {})), Errc::denied) << "still the signer's";
}

TEST(PkiPolicy, TheKeyOfACertificateIsThatOfItsRenewal)
{
    const auto authority = *found_cluster("dc1", now);
    const auto request = request_for("agent1");
    const auto first = *issue(authority, applicant(request), now, year);
    const auto second = *renew(authority, first.certificate, request, now, year);
    const auto other = *issue(authority, applicant(request_for("agent1")), now, year);
    EXPECT_TRUE(first.says.key.starts_with("sha256:")) << first.says.key;
    EXPECT_EQ(first.says.key, second.says.key);
    EXPECT_NE(first.says.key, other.says.key);
}

TEST(PkiPolicy, NamesThatAreNoNodesOwnAreRefused)
{
    const auto authority = *found_cluster("dc1", now);
    for (const auto* host : {"localhost", "a.localhost"})
        EXPECT_EQ(refusal(issue(authority, applicant(request_for("a", {{host}, {}})), now, year)),
                  Errc::denied)
            << host;
    for (const auto* address : {"127.0.0.1", "127.9.9.9", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1",
                                "::", "ff02::1", "::ffff:198.18.0.2"})
        EXPECT_EQ(refusal(issue(authority, applicant(request_for("a", {{}, {address}})), now, year)),
                  Errc::denied)
            << address;
    Names many;
    for (int i = 0; i < 16; ++i)
        many.hosts.push_back("h" + std::to_string(i));
    EXPECT_EQ(refusal(issue(authority, applicant(request_for("a", many)), now, year)),
              Errc::invalid_argument);
}

TEST(PkiPolicy, OnlyAnAuthorityOfOursSigns)
{
    const auto key = *make_key();
    const Authority foreign{key, *make_authority(key, {"somebody", "", "dc1"}, {now, now + year})};
    EXPECT_EQ(refusal(issue(foreign, applicant(request_for("a")), now, year)), Errc::invalid_argument);
    EXPECT_FALSE(cluster_of("rubbish"));
}

TEST(PkiPolicy, ARenewedCertificateIsTheSameWithALaterEnd)
{
    const auto authority = *found_cluster("dc1", now);
    const auto key = *make_key();
    const auto first = *issue(authority, applicant(request_for("agent1", {}, key)), now, year);
    const auto greedy = request_for("master", {{"master"}, {"198.18.0.2"}}, key);  // its names do not count
    const auto second = renew(authority, first.certificate, greedy, now + 24h * 300, year);
    ASSERT_TRUE(second.has_value()) << second.error().message;
    EXPECT_EQ(second->says.subject, first.says.subject);
    EXPECT_EQ(second->says.names, first.says.names);
    EXPECT_EQ(second->says.not_after, now + 24h * 300 + year);
    EXPECT_NE(second->says.serial, first.says.serial);
    EXPECT_TRUE(check_key(second->certificate, key));
}

TEST(PkiPolicy, OnlyTheHolderOfAValidCertificateOfThisClusterRenews)
{
    const auto authority = *found_cluster("dc1", now);
    const auto twin = *found_cluster("dc1", now);
    const auto key = *make_key();
    const auto request = request_for("agent1", {}, key);
    const auto first = *issue(authority, applicant(request), now, year);
    const auto denied = [&](const std::string& certificate, const std::string& asked, WallTime at) {
        return refusal(renew(authority, certificate, asked, at, year)) == Errc::denied;
    };
    EXPECT_TRUE(denied(first.certificate, request_for("agent1"), now)) << "another key";
    EXPECT_TRUE(denied(first.certificate, request, now + year + 1s)) << "expired";
    EXPECT_TRUE(denied(issue(twin, applicant(request), now, year)->certificate, request, now))
        << "of another cluster";
    const auto own = request_for("dc1", {}, authority.key);
    EXPECT_TRUE(denied(authority.certificate, own, now)) << "the authority itself";
    EXPECT_EQ(refusal(renew(authority, "rubbish", request, now, year)), Errc::invalid_argument);
    EXPECT_EQ(refusal(renew(authority, first.certificate, "rubbish", now, year)), Errc::invalid_argument);
}

TEST(PkiBody, ABodyIsAFlatObjectOfTheExpectedTexts)
{
    const auto join = parse_join(R"({"token":"t","request":"r"})");
    ASSERT_TRUE(join.has_value());
    EXPECT_EQ(join->token, "t");
    EXPECT_EQ(join->request, "r");
    EXPECT_EQ(parse_renew(R"({"certificate":"c","request":"r"})")->certificate, "c");
    for (const auto* bad : {"", "x", "[]", "null", R"({"token":"t"})", R"({"token":"t","request":1})",
                            R"({"token":"t","request":"r","more":"x"})", R"({"token":{"a":1},"request":"r"})",
                            R"({"token":["t"]})"})
        EXPECT_EQ(parse_join(bad).error().code, Errc::invalid_argument) << bad;
    EXPECT_FALSE(parse_join(R"({"token":"t","request":")" + std::string(max_body, 'x') + "\"}"));
    EXPECT_FALSE(parse_join(std::string(10'000, '[')));
}

TEST(PkiBody, ATokenHasALifetimeAndUsesWithinBounds)
{
    EXPECT_EQ(parse_token("")->lifetime, 30min);
    EXPECT_EQ(parse_token("{}")->uses, 1);
    const auto asked = parse_token(R"({"lifetime":"2h","uses":5})");
    EXPECT_EQ(asked->lifetime, 2h);
    EXPECT_EQ(asked->uses, 5);
    EXPECT_EQ(asked->node, "");
    const auto bound = parse_token(R"({"for":"Agent1","replace":true})");
    EXPECT_EQ(bound->node, "agent1");
    EXPECT_TRUE(bound->replace);
    EXPECT_FALSE(parse_token(R"({"for":"agent1"})")->replace);
    EXPECT_FALSE(parse_token(R"({"for":")" + std::string(63, 'a') + ".b\"}")) << "no common name";
    for (const auto* bad :
         {R"({"for":""})", R"({"for":"10.0.0.1"})", R"({"for":"a b"})", R"({"for":1})", R"({"replace":true})",
          R"({"for":"a","replace":1})", R"({"for":"a","uses":2})", R"({"lifetime":"1s"})",
          R"({"lifetime":"8d"})", R"({"lifetime":5})", R"({"uses":0})", R"({"uses":1001})", R"({"uses":"1"})",
          R"({"uses":1.5})", R"({"ttl":"1h"})", "x"})
        EXPECT_FALSE(parse_token(bad)) << bad;
}

TEST(PkiBody, AnAnswerRoundTripsAndAnythingElseIsAProtocolError)
{
    const auto answer = parse_certificate_answer(certificate_answer("dc1", "c\n", "a\n"));
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->certificate, "c\n");
    EXPECT_EQ(answer->authority, "a\n");
    EXPECT_EQ(parse_certificate_answer("{}").error().code, Errc::protocol);
}
