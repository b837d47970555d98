// What look() finds out about files and packages, in a directory of the test's own.

#include "core/gzip.hpp"
#include "modules/health/explain/surroundings.hpp"

#include "temp_dir.hpp"

#include <gtest/gtest.h>

#include <ctime>
#include <filesystem>
#include <fstream>

namespace opsd::health::explain {
namespace {

namespace fs = std::filesystem;

class Surroundings : public ::testing::Test {
protected:
    Surroundings()
    {
        places.dpkg_log = at("dpkg.log");
        places.dpkg_info = at("info");
        places.mounts = at("mountinfo");
        fs::create_directory(at("info"));
    }
    [[nodiscard]] std::string at(const std::string& name) const { return directory.path() + "/" + name; }
    std::string write(const std::string& name, const std::string& text) const
    {
        fs::create_directories(fs::path{at(name)}.parent_path());
        std::ofstream{at(name), std::ios::binary} << text;
        return at(name);
    }
    static std::string log_line(WallTime time, const std::string& rest)
    {
        const auto seconds =
            std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
        const auto clock = static_cast<std::time_t>(seconds);
        std::tm local{};
        ::localtime_r(&clock, &local);
        std::array<char, 32> text{};
        std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S ", &local);
        return text.data() + rest + "\n";
    }
    [[nodiscard]] std::vector<PackageChange> changes(WallTime since)
    {
        unknown.clear();
        return package_changes(since, now, places, unknown);
    }

    opsd::test::TempDir directory;
    Places places;
    std::vector<Unknown> unknown;
    WallTime now{std::chrono::seconds{1'800'000'000}};
};

TEST_F(Surroundings, FilesAreToldApart)
{
    Questions questions;
    const auto script = write("script", "#!/nonexistent/interpreter -u\n");
    const auto plain = write("plain", "text");
    fs::permissions(script, fs::perms::owner_all);
    write("mountinfo",
          "36 35 0:50 /systemd/inaccessible/dir /home ro - tmpfs tmpfs rw\n"
          "37 35 0:51 /tmp/systemd-private-1-opsd.service-x/tmp /elsewhere/tmp rw - ext4 /dev/x rw\n"
          "38 35 0:52 / /net rw - nfs4 server:/x rw\n"
          "torn line\n");
    questions.files = {{script, "program"},
                       {plain, "program of ExecStartPre"},
                       {at("gone"), "program"},
                       {at("gone.conf"), "configuration"},
                       {"/home/x/tool", "program"},
                       {"/dev/nonexistent-disk", "program"},
                       {directory.path(), "working directory"},
                       {"/net/tool", "program"}};
    const auto answers = look(questions, places);
    ASSERT_EQ(answers.files.size(), 7U) << "a guess that does not exist is no fact";
    EXPECT_TRUE(answers.files[0].executable);
    EXPECT_EQ(answers.files[0].interpreter, "/nonexistent/interpreter");
    EXPECT_TRUE(answers.files[0].interpreter_missing);
    EXPECT_FALSE(answers.files[1].executable);
    EXPECT_EQ(answers.files[2].state, FileState::missing);
    EXPECT_EQ(answers.files[3].state, FileState::hidden) << "ProtectHome= hides it";
    EXPECT_EQ(answers.files[4].state, FileState::hidden) << "PrivateDevices= hides it";
    EXPECT_TRUE(answers.files[5].directory);
    EXPECT_EQ(answers.files[6].state, FileState::hidden) << "a lost server must not hold anybody up";
    EXPECT_EQ(answers.unknown.size(), 3U);
}

TEST_F(Surroundings, AccountsAreLookedUp)
{
    Questions questions;
    questions.accounts = {
        {"root", false}, {"no-such-user-7", false}, {"root", true}, {"no-such-group-7", true}};
    const auto answers = look(questions, places);
    ASSERT_EQ(answers.accounts.size(), 4U);
    EXPECT_TRUE(answers.accounts[0].exists);
    EXPECT_FALSE(answers.accounts[1].exists);
    EXPECT_TRUE(answers.accounts[2].exists);
    EXPECT_FALSE(answers.accounts[3].exists);
}

TEST_F(Surroundings, AFullFileSystemIsFoundAndOneWithRoomIsNot)
{
    opsd::test::TempDir small;
    const auto why_not = small.shrink("64k");
    if (!why_not.empty()) GTEST_SKIP() << "NOT TESTED: a full file system: " << why_not;
    Questions questions;
    questions.places = {small / "gone", small.path()};
    EXPECT_TRUE(look(questions, places).full.empty());
    std::ofstream{small / "data"} << std::string(128UL << 10U, 'x');
    const auto full = look(questions, places).full;
    ASSERT_EQ(full.size(), 1U);
    EXPECT_EQ(full[0].path, small.path());
    EXPECT_EQ(full[0].free_bytes, 0U);
    EXPECT_EQ(full[0].total_bytes, 64UL << 10U);
}

TEST_F(Surroundings, ThePackageOfAFileIsFoundUnderEitherSpelling)
{
    write("info/libc6:amd64.list", "/.\n/lib\n/lib/x86_64-linux-gnu/libc.so.6\n");
    write("info/tool.list", "/.\n/usr\n/usr/bin\n/usr/bin/tool-7\n");
    write("info/merged.list", "/.\n/bin/merged-7\n");
    const auto owners =
        owners_of({"/usr/bin/tool-7", "/usr/bin/merged-7", "/bin/tool-7", "/usr/bin/tool"}, places, unknown);
    EXPECT_EQ(owners, (std::vector<std::string>{"tool", "merged", "tool", ""}));
    EXPECT_TRUE(unknown.empty());
}

TEST_F(Surroundings, ChangesComeFromTheRotatedLogsToo)
{
    using namespace std::chrono_literals;
    write("dpkg.log", log_line(now - 10min, "upgrade tool:amd64 1 2"));
    write("dpkg.log.1", log_line(now - 24h, "install other:all <none> 1"));
    write("dpkg.log.2.gz",
          gzip(log_line(now - 720h, "startup x y") + log_line(now - 48h, "remove old 1 <none>")));
    EXPECT_EQ(changes(now - 1min).size(), 0U);
    EXPECT_EQ(changes(now - 1h).size(), 1U);
    EXPECT_EQ(changes(now - 36h).size(), 2U);
    const auto all = changes(now - 96h);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all.front().package, "old");
    EXPECT_EQ(all.back().package, "tool");
    EXPECT_EQ(all.back().at, now - 10min);
    EXPECT_TRUE(unknown.empty());
}

TEST_F(Surroundings, AMissingOrBrokenLogIsSaid)
{
    using namespace std::chrono_literals;
    EXPECT_TRUE(changes(now - 1h).empty());
    ASSERT_EQ(unknown.size(), 1U);
    EXPECT_NE(unknown[0].why.find("dpkg.log"), std::string::npos) << unknown[0].why;
    write("dpkg.log", log_line(now - 10min, "upgrade tool:amd64 1 2"));
    write("dpkg.log.1", log_line(now - 20min, "upgrade tool:amd64 0 1"));
    write("dpkg.log.2.gz", "no gzip");
    EXPECT_EQ(changes(now - 1h).size(), 2U);
    ASSERT_EQ(unknown.size(), 1U);
    EXPECT_NE(unknown[0].why.find("gzip"), std::string::npos) << unknown[0].why;
}

TEST_F(Surroundings, AnUpgradeOfTheProgramsPackageIsMarkedAsTheUnits)
{
    using namespace std::chrono_literals;
    const auto program = write("bin/tool", "x");
    write("info/tool.list", "/.\n" + program + "\n");
    const auto conf = write("tool.conf", "x");
    write("info/tool.conffiles", conf + "\n");
    std::string log;
    for (int i = 0; i < 60; ++i)
        log += log_line(now - 30min, "upgrade lib" + std::to_string(i) + ":amd64 1 2");
    write("dpkg.log", log_line(now - 40min, "upgrade tool:amd64 1 2") + log);
    Questions questions;
    questions.files = {{program, "program"}};
    questions.packages = true;
    questions.since = now - 1h;
    questions.until = now;
    const auto answers = look(questions, places);
    ASSERT_EQ(answers.packages.size(), 50U);
    EXPECT_EQ(answers.packages.front().owns, "program " + program) << "bounded, but the unit's own is kept";
    EXPECT_EQ(answers.files.front().package, "tool");
    EXPECT_EQ(answers.files.back().path, conf);
    EXPECT_EQ(answers.files.back().role, "configuration");
}

TEST(ExplainQuestions, FilesOfTheCommandLineAreAskedFor)
{
    Facts facts;
    facts.state.health = Health::unhealthy;
    facts.details.facts.id = facts.state.id = "tool@1.service";
    facts.details.facts.fragment_path = "/etc/systemd/system/tool@.service";
    facts.details.drop_in_paths = {"/etc/systemd/system/tool@1.service.d/x.conf"};
    facts.details.working_directory = "!/srv/tool";
    facts.details.user = "tool";
    facts.details.group = "100";
    facts.details.environment_files = {{"/etc/default/t", false}, {"/etc/default/maybe", true}};
    systemd::ExecCommand command;
    command.setting = "ExecStart";
    command.path = "/bin/sh";
    command.arguments = {"/bin/sh", "-c", ". /etc/tool.env; exec tool --config=/srv/tool.yaml 2>/dev/null"};
    facts.details.commands = {command};
    const auto questions = questions_of(facts);
    const auto role = [&questions](const std::string& path) {
        for (const auto& [name, known] : questions.files)
            if (name == path) return known;
        return std::string{};
    };
    EXPECT_EQ(role("/etc/systemd/system/tool@.service"), "unit file");
    EXPECT_EQ(role("/etc/systemd/system/tool@1.service.d/x.conf"), "drop-in");
    EXPECT_EQ(role("/etc/systemd/system/tool@1.service.d"), "drop-in directory");
    EXPECT_EQ(role("/bin/sh"), "program");
    EXPECT_EQ(role("/etc/default/t"), "environment file");
    EXPECT_EQ(role("/etc/default/maybe"), "configuration");
    EXPECT_EQ(role("/etc/tool.env"), "configuration");
    EXPECT_EQ(role("/srv/tool.yaml"), "argument");
    EXPECT_EQ(role("/dev/null"), "");
    EXPECT_EQ(role("/srv/tool"), "working directory");
    EXPECT_EQ(questions.accounts, (std::vector<std::pair<std::string, bool>>{{"tool", false}}));
    facts.details.root_directory = "/srv/root";
    const auto chrooted = questions_of(facts);
    EXPECT_TRUE(
        std::ranges::any_of(chrooted.files, [](const auto& f) { return f.first == "/srv/root/bin/sh"; }));
}

TEST(ExplainQuestions, UnitsOfGeneratorsAreJudgedByTheirSource)
{
    Facts facts;
    facts.details.facts.id = "srv.mount";
    facts.details.facts.fragment_path = "/run/systemd/generator/srv.mount";
    facts.details.source_path = "/etc/fstab";
    const auto questions = questions_of(facts);
    EXPECT_TRUE(std::ranges::none_of(questions.files,
                                     [](const auto& f) { return f.first.starts_with("/run/systemd/gen"); }));
    EXPECT_TRUE(std::ranges::any_of(questions.files, [](const auto& f) { return f.first == "/etc/fstab"; }));
}

}  // namespace
}  // namespace opsd::health::explain
