#include "http/auth_text.hpp"

#include "dcos_node.hpp"

#include <fstream>

namespace opsd::dcos::test {
namespace {

std::string hex(std::string_view bytes)
{
    std::string text;
    for (const char c : bytes)
        text += fmt::format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    return text;
}

void write(const std::string& path, std::string_view content)
{
    std::ofstream file{path, std::ios::binary};
    file << content;
    EXPECT_TRUE(file.good()) << path;
}

TEST(DcosSetup, OnlyWhatDcosLeavesOpenIsOpen)
{
    run([]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor};
        const std::vector<std::string> open{"/", "/acs/api/v1/auth/providers",
                                            "/dcos-metadata/dcos-version.json"};
        for (const auto& route : node.module->routes()) {
            const bool is_open = std::ranges::find(open, route.pattern) != open.end();
            EXPECT_EQ(route.access, is_open ? http::Access::open : http::Access::read) << route.pattern;
            EXPECT_FALSE(route.summary.empty()) << route.pattern;
            const bool reads_files = route.pattern.contains("/files/") && !route.pattern.ends_with("/debug");
            EXPECT_EQ(route.audited, reads_files || route.pattern == "/mesos/api/v1") << route.pattern;
        }
        co_await node.stop();
    });
}

TEST(DcosSetup, TellsHowToLogInAndWhatClusterThisIs)
{
    run([]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor};
        const auto root = co_await node.get("/");
        EXPECT_EQ(root.status, 200U);
        const auto build = co_await node.get("/pkgpanda/active.buildinfo.full.json");
        EXPECT_EQ(build.status, 200U);
        EXPECT_TRUE(json::parse(build.body).is_object());

        const auto providers = co_await node.get("/acs/api/v1/auth/providers");
        const auto listed = json::parse(providers.body);
        EXPECT_EQ(listed.size(), 1U);
        const auto& provider = listed.at("dcos-users");
        EXPECT_EQ(provider["authentication-type"], "dcos-uid-password");
        EXPECT_EQ(provider["client-method"], "dcos-usercredential-post-receive-authtoken");
        EXPECT_EQ(provider["config"]["start_flow_url"], "/acs/api/v1/auth/login");
        EXPECT_TRUE(provider["description"].is_string());

        node.board.identity.publish({.hostname = "m1", .ip = "10.0.0.7", .role = "master"}, node.clock.now());
        const auto metadata = co_await node.get("/metadata");
        EXPECT_EQ(json::parse(metadata.body),
                  (json{{"PUBLIC_IPV4", "10.0.0.7"}, {"CLUSTER_ID", "0123456789abcdef0123456789abcdef"}}));
        const auto version = co_await node.get("/dcos-metadata/dcos-version.json");
        EXPECT_EQ(json::parse(version.body), (json{{"version", "1.11.0"},
                                                   {"dcos-variant", "open"},
                                                   {"dcos-image-commit", ""},
                                                   {"bootstrap-id", ""}}));
        node.board.identity.publish({.ip = "10.0.0.7", .dcos_version = "1.12.3"}, node.clock.now());
        const auto told = co_await node.get("/dcos-metadata/dcos-version.json");
        EXPECT_EQ(json::parse(told.body)["version"], "1.12.3");
        co_await node.stop();
    });
}

TEST(DcosSetup, TheClustersIdIsTheSettingElseTheOneOfDcosElseTheMachines)
{
    const TempDir dir;
    write(dir / "cluster-id", "5a8ef2b1-16ff-4a5e-8d63-9f7f25dfae60\n");
    write(dir / "odd", "../etc\n");
    const auto id_with = [&](std::string setting, const char* file) {
        DcosOptions options;
        options.metadata.cluster_id = std::move(setting);
        auto outside = this_machine();
        outside.cluster_id_file = dir / file;
        std::string id;
        run([&]() -> Task<> {
            DcosNode node{co_await asio::this_coro::executor, options, outside};
            co_await sleep(50ms);
            const auto metadata = co_await node.get("/metadata");
            id = json::parse(metadata.body)["CLUSTER_ID"].get<std::string>();
            co_await node.stop();
        });
        return id;
    };
    EXPECT_EQ(id_with("mine", "cluster-id"), "mine");
    EXPECT_EQ(id_with("", "cluster-id"), "5a8ef2b1-16ff-4a5e-8d63-9f7f25dfae60");
    EXPECT_EQ(id_with("", "missing"), this_machine().node_id);
    EXPECT_EQ(id_with("", "odd"), this_machine().node_id) << "it becomes the name of a folder on the clients";
}

TEST(DcosSetup, AMachineWithoutAnyIdSaysWhatToSet)
{
    run([]() -> Task<> {
        auto outside = this_machine();
        outside.node_id.clear();
        DcosNode node{co_await asio::this_coro::executor, {}, outside};
        const auto metadata = co_await node.get("/metadata");
        EXPECT_EQ(metadata.status, 503U);
        EXPECT_TRUE(detail(metadata).contains("dcos.metadata.cluster_id"));
        co_await node.stop();
    });
}

TEST(DcosSetup, DescribesThePluginsThatAreThereWithTheirChecksums)
{
    const TempDir dir;
    write(dir / "dcos-core-cli.zip", "for linux");
    write(dir / "dcos-core-cli-darwin.zip", "for a Mac");
    DcosOptions options;
    options.plugins.directory = dir.path();
    run([&]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor, options};
        const auto told = co_await node.ask("POST", "/package/describe", {{"host", "10.0.0.7:1050"}},
                                            R"({"packageName":"dcos-core-cli"})");
        EXPECT_EQ(told.status, 200U) << told.body;
        EXPECT_EQ(told.type, "application/vnd.dcos.package.describe-response+json;charset=utf-8;version=v3");
        const auto package = json::parse(told.body)["package"];
        EXPECT_EQ(package["name"], "dcos-core-cli");
        const auto& binaries = package["resource"]["cli"]["binaries"];
        EXPECT_EQ(binaries.size(), 2U);
        const auto& linux_one = binaries["linux"]["x86-64"];
        EXPECT_EQ(linux_one["url"], "http://10.0.0.7:1050/dcos-cli/plugins/dcos-core-cli.zip");
        EXPECT_EQ(linux_one["kind"], "zip");
        EXPECT_EQ(linux_one["contentHash"],
                  (json::array({{{"algo", "sha256"}, {"value", hex(http::sha256("for linux"))}}})));
        EXPECT_TRUE(
            binaries["darwin"]["x86-64"]["url"].get<std::string>().ends_with("/dcos-core-cli-darwin.zip"));

        write(dir / "dcos-core-cli.zip", "another version");
        const auto again = co_await node.ask("POST", "/package/describe", {{"host", "h"}},
                                             R"({"packageName":"dcos-core-cli"})");
        EXPECT_TRUE(again.body.contains(hex(http::sha256("another version")))) << again.body;
        co_await node.stop();
    });
}

TEST(DcosSetup, APackageThatIsNotThereIsSaidSoInTheShapeOfThePackageService)
{
    const TempDir dir;
    DcosOptions options;
    options.plugins.directory = dir.path();
    options.plugins.url = "https://opsd.example/";
    run([&]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor, options};
        DcosNode without{co_await asio::this_coro::executor};
        const std::string body = R"({"packageName":"dcos-core-cli"})";
        for (auto* one : {&node, &without}) {
            const auto told = co_await one->ask("POST", "/package/describe", {}, body);
            EXPECT_EQ(told.status, 404U) << told.body;
            const auto said = json::parse(told.body);
            EXPECT_EQ(said["type"], "PackageNotFound");
            EXPECT_TRUE(said["message"].get<std::string>().starts_with("cannot ")) << told.body;
        }
        for (const auto* bad : {"", "{}", "[]", R"({"packageName":"../x"})", R"({"packageName":7})"}) {
            const auto told = co_await node.ask("POST", "/package/describe", {}, bad);
            EXPECT_EQ(told.status, 400U) << bad;
        }
        write(dir / "dcos-core-cli.zip", "x");
        const auto told = co_await node.ask("POST", "/package/describe", {{"host", "evil.example"}}, body);
        EXPECT_TRUE(told.body.contains("\"https://opsd.example/dcos-cli/plugins/dcos-core-cli.zip\""))
            << told.body;
        const auto odd = co_await without.ask("POST", "/package/describe", {{"host", "a b"}}, body);
        EXPECT_EQ(odd.status, 404U);
        co_await node.stop();
        co_await without.stop();
    });
}

TEST(DcosSetup, ServesAPluginOfAnySizeBlockByBlockAndNothingOutsideItsFolder)
{
    const TempDir dir;
    std::string content;
    for (int i = 0; content.size() < 1'000'000; ++i)
        content += std::to_string(i);
    write(dir / "dcos-core-cli.zip", content);
    write(dir / "small.zip", "small");
    write(dir / "secret.txt", "secret");
    DcosOptions options;
    options.plugins.directory = dir.path();
    run([&]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor, options};
        const auto large = co_await node.get("/dcos-cli/plugins/dcos-core-cli.zip");
        EXPECT_EQ(large.type, "application/zip");
        EXPECT_TRUE(large.producer);
        const auto all = co_await node.body(large);
        EXPECT_TRUE(all == content);
        const auto small = co_await node.get("/dcos-cli/plugins/small.zip");
        EXPECT_EQ(small.body, "small");
        for (const auto* name : {"secret.txt", "missing.zip", "..zip", "a.b.zip"}) {
            const auto none = co_await node.get(std::string{"/dcos-cli/plugins/"} + name);
            EXPECT_EQ(none.status, 404U) << name;
        }
        co_await node.stop();
    });
}

TEST(DcosSetup, APluginThatIsTooLargeIsNotServed)
{
    const TempDir dir;
    write(dir / "big.zip", std::string((1U << 20U) + 1, 'x'));
    DcosOptions options;
    options.plugins.directory = dir.path();
    options.plugins.max_size = config::Bytes{1U << 20U};
    run([&]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor, options};
        const auto file = co_await node.get("/dcos-cli/plugins/big.zip");
        EXPECT_EQ(file.status, 400U);
        EXPECT_TRUE(detail(file).contains("dcos.plugins.max_size")) << file.body;
        const auto told =
            co_await node.ask("POST", "/package/describe", {{"host", "h"}}, R"({"packageName":"big"})");
        EXPECT_EQ(told.status, 400U) << told.body;
        co_await node.stop();
    });
}

TEST(DcosSetup, APluginThatIsExchangedMeanwhileIsTorn)
{
    const TempDir dir;
    write(dir / "p.zip", std::string(600'000, 'a'));
    DcosOptions options;
    options.plugins.directory = dir.path();
    run([&]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor, options};
        const auto response = co_await node.get("/dcos-cli/plugins/p.zip");
        write(dir / "p.zip", std::string(500'000, 'b'));
        Client client{node.executor};
        co_await response.producer(client);
        EXPECT_FALSE(client.whole);
        co_await node.stop();
    });
}

TEST(DcosSetup, SwitchedOffItHasNoRoutesAndIsQuiet)
{
    DcosOptions options;
    options.enabled = false;
    run([&]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor, options};
        EXPECT_TRUE(node.module->routes().empty());
        node.know({"http://127.0.0.1:1"});
        co_await sleep(20ms);
        EXPECT_EQ(node.status.condition, "running");
        co_await node.stop();
    });
}

TEST(DcosOptions, WhatCannotBeIsRefused)
{
    const auto mistake = [](const std::string& yaml) {
        config::Mistakes mistakes;
        const auto section = config::parse_yaml(yaml, "test");
        EXPECT_TRUE(section) << yaml;
        if (section) (void)schema().parse(&*section, "dcos", mistakes);
        return mistakes.empty() ? std::string{} : mistakes.front().to_string();
    };
    EXPECT_EQ(
        mistake("marathon: {url: \"http://10.0.0.1:8080\"}\nmetadata: {version: 2.1.0, cluster_id: a-b_C}"),
        "");
    EXPECT_EQ(mistake("metadata: {version: \"1.10\"}"), "");
    for (const auto* bad :
         {"metadata: {version: \"1.9\"}", "metadata: {version: one}", "metadata: {version: \"1\"}",
          "metadata: {cluster_id: ../x}", "marathon: {url: \"unix:/x:/y\"}",
          "marathon: {url: \"http://u:p@h\"}", "marathon: {url: \"http://h?x\"}",
          "plugins: {directory: relative}", "mesos: {authorization: all}", "mesos: {concurrent: 0}",
          "plugins: {max_size: 1KiB}"})
        EXPECT_NE(mistake(bad), "") << bad;
}

}  // namespace
}  // namespace opsd::dcos::test
