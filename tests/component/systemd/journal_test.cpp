// The journal reader against a real journald.

#include "io/systemd/journal.hpp"

#include "io/systemd/manager.hpp"

#include "node.hpp"
#include "watcher.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace opsd;
using namespace opsd::systemd;
using opsd::test::Node;

namespace {

namespace fs = std::filesystem;
using Lines = std::vector<JournalLine>;

const std::string self = std::string{OPSD_BINARY_DIR} + "/tests/component/component_systemd";

class SystemdJournal : public ::testing::Test {
public:
    static void SetUpTestSuite()
    {
        reason = opsd::test::no_nodes_because();
        if (!reason.empty()) return;
        node = std::make_unique<Node>("journal",
                                      "--unit " OPSD_SOURCE_DIR "/tests/testbed/units --bind " OPSD_BINARY_DIR
                                      ":" OPSD_BINARY_DIR ":ro");
    }
    static void TearDownTestSuite() { node.reset(); }
    void SetUp() override
    {
        if (!reason.empty()) GTEST_SKIP() << reason;
    }

    /// Runs a service to its end and returns its invocation. journald has everything when it returns.
    static std::string run_to_its_end(const std::string& unit)
    {
        (void)node->exec("systemctl reset-failed " + unit);
        (void)node->exec("systemctl start " + unit);
        const auto waited = node->exec("sh -c 'for i in $(seq 200); do case $(systemctl is-active " + unit
                                       + ") in failed|inactive) exit 0;; esac; sleep 0.02; done; exit 1'");
        EXPECT_EQ(waited.exit_code, 0) << unit;
        EXPECT_EQ(node->exec("journalctl --sync").exit_code, 0);
        auto id = node->exec("systemctl show -P InvocationID " + unit).output;
        id.erase(id.find_last_not_of('\n') + 1);
        return id;
    }
    /// A service of one shell line.
    static std::string run_script(const std::string& unit, const std::string& script)
    {
        std::ofstream{node->root() + "/run/" + unit + ".sh"} << script << "\n";
        std::ofstream{node->root() + "/run/systemd/system/" + unit}
            << "[Unit]\nConditionPathExists=/run\n[Service]\nType=oneshot\nRemainAfterExit=no\nExecStart=/"
               "bin/sh /run/"
            << unit << ".sh\n";
        node->systemctl("daemon-reload");
        return run_to_its_end(unit);
    }
    static std::string directory() { return node->root() + "/var/log/journal"; }

    static inline std::unique_ptr<Node> node;
    static inline std::string reason;
};

Result<Lines> read(const std::string& directory, JournalQuery query)
{
    Result<Lines> result;
    opsd::test::run([&]() -> Task<> {
        JournalReader reader{directory};
        result = co_await reader.lines_of(query);
    });
    return result;
}

bool has(const Lines& lines, std::string_view text)
{
    return std::ranges::any_of(
        lines, [&](const auto& line) { return line.message.find(text) != std::string::npos; });
}

JournalQuery about(std::string unit, std::string invocation = {})
{
    JournalQuery query;
    query.unit = std::move(unit);
    query.invocation_id = std::move(invocation);
    return query;
}

}  // namespace

TEST_F(SystemdJournal, ShowsWhatTheServiceSaidAndWhatPid1SaysAboutIt)
{
    const auto invocation = run_to_its_end("bad-exit.service");
    auto lines = read(directory(), about("bad-exit.service", invocation));
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_TRUE(has(*lines, "cannot open the configuration"));
    EXPECT_TRUE(has(*lines, "Main process exited, code=exited, status=3/NOTIMPLEMENTED"));
    EXPECT_TRUE(has(*lines, "Failed with result 'exit-code'"));
    EXPECT_TRUE(std::ranges::is_sorted(*lines, {}, &JournalLine::at));
    const auto own = std::ranges::find(*lines, "cannot open the configuration", &JournalLine::message);
    ASSERT_NE(own, lines->end());
    EXPECT_EQ(own->identifier, "sh");
    EXPECT_EQ(own->priority, 6);
    EXPECT_GT(own->pid, 1U);
    const auto pid1 = std::ranges::find(*lines, "systemd", &JournalLine::identifier);
    ASSERT_NE(pid1, lines->end());
    EXPECT_EQ(pid1->pid, 1U);
    EXPECT_LT(std::chrono::abs(SystemClock{}.now() - own->at), std::chrono::minutes{1});
}

// Some of these last words reach journald after the process is gone and name no invocation.
TEST_F(SystemdJournal, TheLastWordsOfEveryRunAreFound)
{
    for (int i = 0; i < 10; ++i) {
        const auto invocation = run_to_its_end("bad-exit.service");
        auto lines = read(directory(), about("bad-exit.service", invocation));
        ASSERT_TRUE(lines) << lines.error().message;
        EXPECT_EQ(std::ranges::count(*lines, "cannot open the configuration", &JournalLine::message), 1);
        EXPECT_TRUE(has(*lines, "Failed with result 'exit-code'"));
    }
}

// journald looks up who sent a datagram when it reads it; here the sender is gone by then.
TEST_F(SystemdJournal, WhatASenderThatIsGoneSaidIsFoundByItsPidAndTime)
{
    std::ofstream{node->root() + "/run/systemd/system/gone.service"}
        << "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/bin/logger -t gone these are the "
           "last "
           "words\n";
    node->systemctl("daemon-reload");
    MainProcess main;
    main.started = SystemClock{}.now();
    EXPECT_EQ(node->exec("systemctl kill -s STOP systemd-journald.service").exit_code, 0);
    EXPECT_EQ(node->exec("systemctl start gone.service").exit_code, 0);
    main.exited = SystemClock{}.now();
    EXPECT_EQ(node->exec("systemctl kill -s CONT systemd-journald.service").exit_code, 0);
    EXPECT_EQ(node->exec("journalctl --sync").exit_code, 0);
    main.pid = static_cast<std::uint32_t>(
        std::stoul(node->exec("systemctl show -P ExecMainPID gone.service").output));
    auto query = about("gone.service");
    auto lines = read(directory(), query);
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_FALSE(has(*lines, "these are the last words")) << "else this test shows nothing";
    query.main = main;
    lines = read(directory(), query);
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_TRUE(has(*lines, "these are the last words"));
    query.main->exited = main.started - std::chrono::seconds{2};
    query.main->started = query.main->exited - std::chrono::seconds{2};
    lines = read(directory(), query);
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_FALSE(has(*lines, "these are the last words")) << "an earlier process of the same pid is another";
}

TEST_F(SystemdJournal, OneInvocationIsNotAnother)
{
    run_to_its_end("bad-exit.service");
    const auto second = run_to_its_end("bad-exit.service");
    const auto own_lines = [](const Lines& lines) {
        return std::ranges::count(lines, "cannot open the configuration", &JournalLine::message);
    };
    auto one = read(directory(), about("bad-exit.service", second));
    ASSERT_TRUE(one) << one.error().message;
    EXPECT_EQ(own_lines(*one), 1);
    auto all = read(directory(), about("bad-exit.service"));
    ASSERT_TRUE(all) << all.error().message;
    EXPECT_GE(own_lines(*all), 2);
    auto none = read(directory(), about("bad-exit.service", std::string(32, '0')));
    ASSERT_TRUE(none) << none.error().message;
    EXPECT_TRUE(none->empty());
}

TEST_F(SystemdJournal, NobodyElseCanSpeakForAUnit)
{
    run_to_its_end("bad-exit.service");
    for (const auto* field : {"UNIT", "OBJECT_SYSTEMD_UNIT", "COREDUMP_UNIT"}) {
        const auto said = node->exec("setpriv --reuid=65534 --clear-groups sh -c 'printf \"MESSAGE=forged\\n"
                                     + std::string{field} + "=bad-exit.service\\n\" | logger --journald'");
        EXPECT_EQ(said.exit_code, 0) << said.output;
    }
    (void)node->exec("journalctl --sync");
    EXPECT_NE(node->exec("journalctl -o cat UNIT=bad-exit.service").output.find("forged"), std::string::npos);
    auto lines = read(directory(), about("bad-exit.service"));
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_FALSE(lines->empty());
    EXPECT_FALSE(has(*lines, "forged"));
}

TEST_F(SystemdJournal, ShowsOddBytesAsText)
{
    const auto invocation =
        run_script("odd-bytes.service", R"(printf 'a\377b \033[31mred\n'; printf '<3>urgent\n')");
    auto lines = read(directory(), about("odd-bytes.service", invocation));
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_TRUE(has(*lines, "a\xEF\xBF\xBD"
                            "b \xEF\xBF\xBD[31mred"));
    const auto urgent = std::ranges::find(*lines, "urgent", &JournalLine::message);
    ASSERT_NE(urgent, lines->end());
    EXPECT_EQ(urgent->priority, 3);
}

TEST_F(SystemdJournal, KeepsTheNewestWithinItsLimits)
{
    const auto invocation =
        run_script("chatty.service", "seq -f 'line %05g' 1 300; printf 'x%.0s' $(seq 5000); echo");
    auto query = about("chatty.service", invocation);
    query.max_lines = 20;
    query.max_line = 100;
    auto lines = read(directory(), query);
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_EQ(lines->size(), 20U);
    EXPECT_TRUE(has(*lines, "line 00300"));
    EXPECT_FALSE(has(*lines, "line 00200"));
    EXPECT_EQ(
        std::ranges::max(*lines, {}, [](const auto& line) { return line.message.size(); }).message.size(),
        100U);
    query.max_bytes = 300;
    auto few = read(directory(), query);
    ASSERT_TRUE(few) << few.error().message;
    std::size_t bytes = 0;
    for (const auto& line : *few)
        bytes += line.message.size();
    EXPECT_GT(few->size(), 0U);
    EXPECT_LE(bytes, 300U);
}

TEST_F(SystemdJournal, TimesFieldsAndWordsNarrowAQuery)
{
    run_script("timed.service", "echo first; sleep 0.3; echo second; sleep 0.3; echo third");
    auto all = read(directory(), about("timed.service"));
    ASSERT_TRUE(all) << all.error().message;
    const auto second = std::ranges::find(*all, "second", &JournalLine::message);
    ASSERT_NE(second, all->end());
    auto query = about("timed.service");
    query.since = second->at - std::chrono::milliseconds{100};
    query.until = second->at + std::chrono::milliseconds{100};
    auto around = read(directory(), query);
    ASSERT_TRUE(around) << around.error().message;
    ASSERT_EQ(around->size(), 1U);
    EXPECT_EQ(around->front().message, "second");

    auto starts = about("timed.service");
    starts.fields = {{"UNIT=timed.service", "_PID=1"}};
    starts.naming = {"Starting ", "no such words"};
    auto found = read(directory(), starts);
    ASSERT_TRUE(found) << found.error().message;
    ASSERT_EQ(found->size(), 1U);
    EXPECT_TRUE(found->front().message.starts_with("Starting timed.service"));
}

TEST_F(SystemdJournal, AnOpenReaderNoticesRotationAndNewLines)
{
    run_to_its_end("bad-exit.service");
    opsd::test::run([]() -> Task<> {
        JournalReader reader{directory()};
        auto before = co_await reader.lines_of(about("bad-exit.service"));
        EXPECT_TRUE(before) << before.error().message;
        EXPECT_EQ(node->exec("journalctl --rotate").exit_code, 0);
        EXPECT_EQ(node->exec("journalctl --vacuum-files=1").exit_code, 0);
        const auto invocation = run_to_its_end("bad-exit.service");
        auto after = co_await reader.lines_of(about("bad-exit.service", invocation));
        EXPECT_TRUE(after) << after.error().message;
        EXPECT_TRUE(has(*after, "cannot open the configuration"));
    });
}

TEST_F(SystemdJournal, ADirectoryThatAppearsLaterIsRead)
{
    const auto invocation = run_to_its_end("bad-exit.service");
    // A live file is torn by copying it: what is asked for must be in one that is closed.
    EXPECT_EQ(node->exec("journalctl --rotate").exit_code, 0);
    const auto place = fs::path{::testing::TempDir()} / ("opsd-later-" + std::to_string(::getpid()));
    opsd::test::run([&]() -> Task<> {
        JournalReader reader{place.string()};
        auto before = co_await reader.lines_of(about("bad-exit.service", invocation));
        EXPECT_EQ(before.error().code, Errc::not_found) << before.error().message;
        fs::copy(directory(), place, fs::copy_options::recursive);
        auto after = co_await reader.lines_of(about("bad-exit.service", invocation));
        EXPECT_TRUE(after) << after.error().message;
        EXPECT_TRUE(has(*after, "cannot open the configuration"));
        fs::remove_all(place);
        auto gone = co_await reader.lines_of(about("bad-exit.service", invocation));
        EXPECT_EQ(gone.error().code, Errc::not_found);
    });
    fs::remove_all(place);
}

// What a user may read depends on the process, so this program runs itself inside as somebody else.
TEST_F(SystemdJournal, TheGroupSystemdJournalDecidesWhoMayRead)
{
    run_to_its_end("bad-exit.service");
    const auto as = [&](const std::string& groups, const std::string& test_name) {
        const auto ran = node->exec("setpriv --reuid=65534 --regid=65534 " + groups + " env -u GTEST_OUTPUT "
                                    + self + " --gtest_also_run_disabled_tests --gtest_filter=" + test_name);
        EXPECT_EQ(ran.exit_code, 0) << ran.output;
        EXPECT_NE(ran.output.find("[  PASSED  ] 1 test"), std::string::npos) << ran.output;
    };
    as("--clear-groups", "AsNobody.DISABLED_WithoutTheGroupIsDenied");
    as("--groups systemd-journal", "AsNobody.DISABLED_WithTheGroupIsAllowed");
}

TEST(AsNobody, DISABLED_WithoutTheGroupIsDenied)
{
    auto lines = read("", about("bad-exit.service"));
    ASSERT_FALSE(lines);
    EXPECT_EQ(lines.error().code, Errc::denied) << lines.error().message;
    EXPECT_NE(lines.error().message.find("group systemd-journal"), std::string::npos)
        << lines.error().message;
}

TEST(AsNobody, DISABLED_WithTheGroupIsAllowed)
{
    auto lines = read("", about("bad-exit.service"));
    ASSERT_TRUE(lines) << lines.error().message;
    EXPECT_TRUE(has(*lines, "cannot open the configuration"));
    EXPECT_TRUE(has(*lines, "Failed with result 'exit-code'"));
}
