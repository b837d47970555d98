#include "modules/cluster/sources_options.hpp"

#include <gtest/gtest.h>

namespace opsd::cluster {
namespace {

SourcesOptions parsed(const std::string& yaml, std::string& mistakes)
{
    const auto document = config::parse_yaml(yaml, "f.yaml");
    EXPECT_TRUE(document.has_value()) << yaml;
    config::Mistakes all;
    auto options = sources_schema().parse(&*document, "cluster.sources", all);
    for (const auto& mistake : all)
        mistakes += mistake.to_string() + "\n";
    return options;
}

std::string mistakes_in(const std::string& yaml)
{
    std::string mistakes;
    (void)parsed(yaml, mistakes);
    return mistakes;
}

/// "" or the sentence.
std::string invalid(const std::string& yaml)
{
    std::string mistakes;
    const auto options = parsed(yaml, mistakes);
    EXPECT_EQ(mistakes, "");
    const auto valid = validate(options);
    return valid ? "" : valid.error().message;
}

TEST(SourcesOptions, AllIsOffUnlessSet)
{
    std::string mistakes;
    const auto options = parsed("{}", mistakes);
    EXPECT_TRUE(options.fixed.hosts.items.empty());
    EXPECT_EQ(options.exhibitor.url.text, "");
    EXPECT_TRUE(validate(options).has_value());
    const auto shown = config::to_yaml(sources_schema().show(options));
    EXPECT_NE(shown.find("max_body: 64MiB"), std::string::npos) << shown;
    EXPECT_EQ(config::to_yaml(sources_schema().show(parsed(shown, mistakes))), shown) << mistakes;
}

TEST(SourcesOptions, AreReadAsWritten)
{
    std::string mistakes;
    const auto options =
        parsed("static: {hosts: [node1, \"[fd00::1]:1050\"], masters: [10.0.0.1]}\n"
               "dns: {names: [master.mesos], role: master}\n"
               "mesos: {masters: [\"http://leader.mesos:5050\"], user: opsd, password: {file: /x}}\n"
               "exhibitor: {url: \"https://127.0.0.1/exhibitor/v1/cluster/status\"}\n"
               "zookeeper: {address: \"zk://10.0.0.1:2181,10.0.0.2:2181/mesos\"}\n",
               mistakes);
    EXPECT_EQ(mistakes, "");
    EXPECT_EQ(options.fixed.hosts.items[1], "[fd00::1]:1050");
    EXPECT_EQ(options.mesos.password.name, "/x");
    EXPECT_TRUE(validate(options).has_value());
}

TEST(SourcesOptions, AMistakeIsNamedWithItsLine)
{
    EXPECT_EQ(mistakes_in("static:\n  hosts: [a, \"b c\"]"),
              "f.yaml:2: cluster.sources.static.hosts: item 2 is \"b c\", must be a name or an address with "
              "an optional "
              ":port, such as node1, 10.0.0.1:1050 or [fd00::1]:1050\n");
    EXPECT_EQ(mistakes_in("mesos: {masters: [\"leader.mesos:5050\"]}"),
              "f.yaml:1: cluster.sources.mesos.masters: item 1 must be a URL such as http://10.0.0.1:5050, "
              "without user "
              "and password\n");
    EXPECT_EQ(mistakes_in("exhibitor: {url: \"unix:/run/x:/y\"}"),
              "f.yaml:1: cluster.sources.exhibitor.url: must be a URL such as http://10.0.0.1:5050, without "
              "user and "
              "password\n");
    EXPECT_EQ(
        mistakes_in("zookeeper: {address: \"zk://10.0.0.1:2181:1/mesos\"}"),
        "f.yaml:1: cluster.sources.zookeeper.address: must be like zk://10.0.0.1:2181,10.0.0.2:2181/mesos\n");
    EXPECT_NE(mistakes_in("dns: {role: boss}").find("cluster.sources.dns.role"), std::string::npos);
    EXPECT_NE(mistakes_in("mesos: {interval: 10ms}").find("must be 1s to 1d"), std::string::npos)
        << mistakes_in("mesos: {interval: 10ms}");
    EXPECT_NE(mistakes_in("mesos: {max_agents: 0}").find("cluster.sources.mesos.max_agents"),
              std::string::npos);
    EXPECT_NE(mistakes_in("static: {hosts: a}").find("a list of strings"), std::string::npos);
}

TEST(SourcesOptions, PasswordsInAddressesAreRefusedAndNotRepeated)
{
    for (const auto* yaml :
         {"mesos: {masters: [\"http://u:s3cret@h:5050\"]}", "exhibitor: {url: \"http://u:s3cret@h/\"}",
          "zookeeper: {address: \"zk://u:s3cret@h:2181/mesos\"}", "mesos: {password: s3cret}"}) {
        const auto mistakes = mistakes_in(yaml);
        EXPECT_NE(mistakes, "") << yaml;
        EXPECT_EQ(mistakes.find("s3cret"), std::string::npos) << mistakes;
    }
}

TEST(SourcesOptions, SettingsThatContradictEachOtherAreRefused)
{
    EXPECT_NE(invalid("mesos: {user: opsd}").find("only one of them is set"), std::string::npos);
    EXPECT_NE(invalid("mesos: {password: {file: /x}}").find("only one of them is set"), std::string::npos);
    EXPECT_NE(invalid("mesos: {user: \"a:b\", password: {file: /x}}").find("has no \":\""),
              std::string::npos);
    EXPECT_NE(invalid("mesos: {user: a, password: {file: /x}, token: {file: /y}}").find("remove one"),
              std::string::npos);
    EXPECT_EQ(invalid("mesos: {token: {credential: mesos}}"), "");
    EXPECT_NE(invalid("zookeeper: {user: a}").find("cluster.sources.zookeeper.user"), std::string::npos);
    EXPECT_NE(invalid("tls: {key_file: /x}").find("belong together"), std::string::npos);
    const std::string both =
        "zookeeper: {address: \"zk://h:2181/mesos\"}\nmesos: {masters: [\"https://h:5050\"]";
    EXPECT_NE(invalid(both + "}").find("set it to https"), std::string::npos);
    EXPECT_EQ(invalid(both + ", scheme: https}"), "");
}

}  // namespace
}  // namespace opsd::cluster
