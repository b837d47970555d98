// Pages 2.1 and 2.4 of the contract: what is not there yet says so, in the shape that its clients show.

#include "dcos_node.hpp"

namespace opsd::dcos::test {
namespace {

struct Row {
    const char* method;
    const char* path;
    const char* field;  ///< where the clients of the route look for a sentence; "detail": they do not
};

TEST(DcosAbsent, EveryCommandThatIsNotThereYetGetsASentence)
{
    const Row rows[]{
        {"GET", "/system/v1/agent/S0/metrics/v0/node", "detail"},
        {"GET", "/system/v1/agent/S0/metrics/v0/containers/c", "detail"},
        {"GET", "/system/v1/agent/S0/metrics/v0/containers/c/app", "detail"},
        {"GET", "/system/health/v1/report/diagnostics/list/all", "status"},
        {"GET", "/system/health/v1/report/diagnostics/status/all", "status"},
        {"POST", "/system/health/v1/report/diagnostics/create", "status"},
        {"POST", "/system/health/v1/report/diagnostics/cancel", "status"},
        {"POST", "/system/health/v1/report/diagnostics/delete/B.zip", "status"},
        {"GET", "/system/health/v1/report/diagnostics/serve/B.zip", "status"},
        {"GET", "/system/health/v1/diagnostics", "error"},
        {"GET", "/system/health/v1/diagnostics/b", "error"},
        {"PUT", "/system/health/v1/diagnostics/b", "error"},
        {"DELETE", "/system/health/v1/diagnostics/b", "error"},
        {"GET", "/system/health/v1/diagnostics/b/file", "error"},
        {"POST", "/system/v1/backup/v1/create", "errors"},
        {"POST", "/system/v1/backup/v1/restore", "errors"},
        {"DELETE", "/system/v1/backup/v1/delete", "errors"},
        {"GET", "/system/v1/backup/v1/list", "errors"},
    };
    run([&]() -> Task<> {
        DcosNode node{co_await asio::this_coro::executor};
        for (const auto& row : rows) {
            const auto said = co_await node.ask(row.method, row.path);
            EXPECT_EQ(said.status, 501U) << row.path;
            const auto body = json::parse(said.body);
            auto sentence = body.at(row.field);
            if (sentence.is_array()) {
                const json first = sentence.at(0);
                sentence = first;
            }
            EXPECT_TRUE(sentence.is_string()) << said.body;
            EXPECT_TRUE(sentence.get<std::string>().starts_with("cannot ")) << said.body;
            EXPECT_FALSE(sentence.get<std::string>().ends_with(".")) << said.body;
        }
        co_await node.stop();
    });
}

}  // namespace
}  // namespace opsd::dcos::test
