#include "daemon/identity.hpp"
#include "daemon/offline.hpp"
#include "daemon/options.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

using namespace opsd;
using namespace opsd::daemon;
namespace fs = std::filesystem;

TEST(Listeners, BeyondLoopbackNeedsTlsOrAWrittenConsent)
{
    HttpOptions options;
    options.listen = {
        {.address = "0.0.0.0"}, {.address = "127.0.0.1"}, {.address = "::1"}, {.address = "localhost"}};
    config::Mistakes mistakes;
    check_listeners(options, mistakes);
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_EQ(mistakes[0].path, "http.listen[0]");
    EXPECT_NE(mistakes[0].text.find("insecure: true"), std::string::npos);

    mistakes.clear();
    options.listen = {{.address = "0.0.0.0", .insecure = true},
                      {.address = "10.0.0.1", .certificate = "c", .key = "k"}};
    check_listeners(options, mistakes);
    EXPECT_TRUE(mistakes.empty());
}

TEST(Listeners, HalfOfATlsPairIsAMistake)
{
    HttpOptions options;
    options.listen = {{.certificate = "c"}, {.client_ca = "a"}};
    config::Mistakes mistakes;
    check_listeners(options, mistakes);
    EXPECT_EQ(mistakes.size(), 2U);
}

namespace {

/// A directory that goes away.
struct Scratch {
    Scratch()
    {
        std::string pattern = fs::temp_directory_path() / "opsd-identity-XXXXXX";
        path = ::mkdtemp(pattern.data());
    }
    ~Scratch() { fs::remove_all(path); }
    std::string path;
};

}  // namespace

TEST(CheckedFiles, ACertificateOrAKeyThatCannotBeReadIsAMistakeAndACredentialOfTheServiceIsSaidNotToBeChecked)
{
    const Scratch here;
    std::vector<std::string> unchecked;
    const auto check = [&](const std::string& yaml, const std::string& credentials) {
        unchecked.clear();
        const auto root = config::parse_yaml(yaml, "opsd.yaml");
        EXPECT_TRUE(root) << root.error().to_string();
        return root ? check_files(*root, credentials, unchecked) : config::Mistakes{};
    };
    EXPECT_TRUE(check("", "").empty());
    const auto gone = here.path + "/gone.pem";
    auto mistakes = check("http: {listen: [{certificate: " + gone + ", key: " + gone + "}]}", "");
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_EQ(mistakes[0].path, "http.listen");
    EXPECT_NE(mistakes[0].text.find(gone), std::string::npos) << mistakes[0].text;
    const std::string token = "auth: {cluster_token: {credential: cluster}}";
    EXPECT_TRUE(check(token, "").empty());
    ASSERT_EQ(unchecked.size(), 1U);
    EXPECT_NE(unchecked[0].find("cluster"), std::string::npos);
    mistakes = check(token, here.path);  // as the service: systemd has passed another one
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_EQ(mistakes[0].path, "auth");
    EXPECT_TRUE(unchecked.empty());
}

TEST(Identity, TheRoleComesFromTheNodesOwnFiles)
{
    const Scratch root;
    EXPECT_EQ(identity_at_start({}, root.path).role, "") << "a plain host has no role";
    fs::create_directories(root.path + "/etc/mesosphere/roles");
    std::ofstream{root.path + "/etc/mesosphere/roles/slave"};
    EXPECT_EQ(identity_at_start({}, root.path).role, "agent");
    std::ofstream{root.path + "/etc/mesosphere/roles/slave_public"};
    EXPECT_EQ(identity_at_start({}, root.path).role, "agent_public");
    NodeOptions options;
    options.role = "master";
    EXPECT_EQ(identity_at_start(options, root.path).role, "master") << "the configuration wins";
}

TEST(Identity, TheAgentsIdIsWhereItsWorkDirectoryPoints)
{
    const Scratch work;
    EXPECT_EQ(agent_id(work.path), "");
    fs::create_directories(work.path + "/meta/slaves");
    fs::create_symlink(work.path + "/meta/slaves/f7b5b567-b49a-4b8c-8f71-acf46a23fdb9-S0",
                       work.path + "/meta/slaves/latest");
    EXPECT_EQ(agent_id(work.path), "f7b5b567-b49a-4b8c-8f71-acf46a23fdb9-S0");
}
