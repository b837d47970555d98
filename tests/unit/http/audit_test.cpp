#include "http/audit.hpp"

#include "io/files/files.hpp"
#include "support.hpp"
#include "temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <array>
#include <sstream>

using namespace opsd;
using namespace opsd::http;
using nlohmann::json;
using opsd::test::TempDir;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const WallTime day = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

struct Lines final : LogSink {
    std::vector<std::string> lines;
    void write(Level, std::string_view line) override { lines.emplace_back(line); }
    bool wants(Level) const noexcept override { return true; }
    void set_level(Level) override {}
};

Request request(std::string path)
{
    Request r;
    r.method = Method::del;
    r.path = std::move(path);
    r.id = "req-1";
    r.caller = {"ci", Role::admin, "token", "10.0.0.7"};
    return r;
}

std::vector<json> entries(const std::string& path)
{
    std::vector<json> all;
    std::istringstream text{files::read_file(path, 64 << 20).value_or("")};
    for (std::string line; std::getline(text, line);)
        all.push_back(json::parse(line));
    return all;
}

/// An audit log that runs until finish().
struct Fixture {
    asio::io_context io{1};
    ManualClock clock{day};
    telemetry::Registry metrics;
    std::shared_ptr<Lines> lines = std::make_shared<Lines>();
    std::unique_ptr<AuditLog> audit;
    bool ended = false;

    explicit Fixture(AuditOptions options)
    {
        audit = std::make_unique<AuditLog>(io.get_executor(), std::move(options), clock, metrics,
                                           Log{lines, "audit"});
    }
    void start()
    {
        asio::co_spawn(io, audit->run(), [this](const std::exception_ptr& e) {
            EXPECT_FALSE(e);
            ended = true;
        });
    }
    /// Runs the loop until `done`; the clock's alarms ring at once.
    template <class Done>
    void until(Done done)
    {
        for (int i = 0; i < 5000 && !done(); ++i) {
            io.restart();
            io.run_for(milliseconds{1});
            clock.advance(milliseconds{10}, [this] { io.poll(); });
        }
        EXPECT_TRUE(done());
    }
    void finish()
    {
        audit->close();
        until([this] { return ended; });
    }
    double counter(const char* name) { return metrics.counter(name, "").value(); }
};

AuditOptions at(const std::string& path)
{
    AuditOptions options;
    options.path = path;
    return options;
}

}  // namespace

TEST(Audit, ALineSaysWhoDidWhatFromWhereAndHowItEnded)
{
    const TempDir dir;
    Fixture f{at(dir / "audit.log")};
    f.start();
    f.audit->record(request("/api/v1/tokens/abc"), 204, "");
    f.finish();
    const auto all = entries(dir / "audit.log");
    ASSERT_EQ(all.size(), 1U);
    const auto expected =
        json::parse(R"({"time":"2026-11-22T00:00:00.000Z","id":"req-1","caller":{"name":"ci","role":"admin",
        "via":"token","address":"10.0.0.7"},"method":"DELETE","path":"/api/v1/tokens/abc","status":204})");
    EXPECT_EQ(all[0], expected) << "no object, no outcome: the status says it all";
    EXPECT_EQ(f.counter("opsd_audit_written_total"), 1);
}

TEST(Audit, ALineNamesWhatWasActedOn)
{
    const TempDir dir;
    Fixture f{at(dir / "audit.log")};
    f.start();
    auto call = request("/api/v1/units/alias/ack");
    call.path_params.add("unit", "alias");
    f.audit->record(call, 200, "");
    call.object.add("unit", "real.service");
    call.object.add("note", std::string(5000, 'x'));
    f.audit->record(call, 200, "");
    f.finish();
    const auto all = entries(dir / "audit.log");
    ASSERT_EQ(all.size(), 2U);
    EXPECT_EQ(all[0]["object"], json::parse(R"({"unit":"alias"})"));
    EXPECT_EQ(all[1]["object"]["unit"], "real.service") << "the handler knows better";
    EXPECT_EQ(all[1]["object"]["note"].get<std::string>().size(), 1024U);
}

TEST(Audit, ALineSaysWhenTheOutcomeIsNotTheStatus)
{
    const TempDir dir;
    Fixture f{at(dir / "audit.log")};
    f.start();
    f.audit->record(request("/x"), 0, "cut: opsd was stopping");
    f.finish();
    const auto all = entries(dir / "audit.log");
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0]["outcome"], "cut: opsd was stopping");
    EXPECT_FALSE(all[0].contains("status")) << "nobody was told any";
}

TEST(Audit, BytesThatAreNoTextStayOneLine)
{
    const TempDir dir;
    Fixture f{at(dir / "audit.log")};
    f.start();
    f.audit->record(request("/a\n\xff\x01\"" + std::string(5000, 'x')), 404, "");
    f.finish();
    const auto all = entries(dir / "audit.log");
    ASSERT_EQ(all.size(), 1U);
    EXPECT_LE(all[0]["path"].get<std::string>().size(), 1100U);
}

TEST(Audit, CloseWritesWhatWaits)
{
    const TempDir dir;
    Fixture f{at(dir / "audit.log")};
    for (int i = 0; i < 1000; ++i)
        f.audit->record(request("/" + std::to_string(i)), 200, "");
    f.start();
    f.finish();
    const auto all = entries(dir / "audit.log");
    ASSERT_EQ(all.size(), 1000U);
    EXPECT_EQ(all.back()["path"], "/999");
}

TEST(Audit, AFloodOfRefusalsIsFoldedAndOtherEntriesAreNot)
{
    const TempDir dir;
    Fixture f{at(dir / "audit.log")};
    for (int i = 0; i < 5000; ++i)
        f.audit->record(request("/x"), i % 2 == 0 ? 401 : 403, "");
    f.audit->record(request("/done"), 200, "");
    f.clock.advance(seconds{10}, [] {});
    f.audit->record(request("/later"), 403, "");
    f.start();
    f.finish();
    const auto all = entries(dir / "audit.log");
    ASSERT_EQ(all.size(), 103U);
    EXPECT_EQ(all[100]["path"], "/done");
    EXPECT_EQ(all[101]["refusals_not_listed"], 4900);
    EXPECT_EQ(all[102]["path"], "/later");
    EXPECT_EQ(f.counter("opsd_audit_folded_total"), 4900);
}

TEST(Audit, NoStatusLetsAStrangerRotateTheEvidenceAway)
{
    const TempDir dir;
    Fixture f{at(dir / "audit.log")};
    auto stranger = request("/acs/api/v1/auth/login");
    stranger.caller = {"", Role::local, "loopback", "127.0.0.1"};
    for (int i = 0; i < 5000; ++i)
        f.audit->record(stranger, std::array{400U, 408U, 413U, 429U, 503U}[static_cast<std::size_t>(i) % 5],
                        "");
    auto viewer = request("/viewer");
    viewer.caller.role = Role::viewer;
    f.audit->record(viewer, 403, "");
    for (int i = 0; i < 200; ++i)
        f.audit->record(request("/admin"), 400, "");
    f.start();
    f.finish();
    const auto all = entries(dir / "audit.log");
    ASSERT_EQ(all.size(), 302U);
    EXPECT_EQ(all[100]["path"], "/viewer") << "strangers use up a budget of their own";
    EXPECT_EQ(all[300]["path"], "/admin") << "the failures of those who may act are all listed";
    EXPECT_EQ(all[301]["refusals_not_listed"], 4900);
}

TEST(Audit, AFullQueueDropsCountsAndTheFileSaysSo)
{
    const TempDir dir;
    auto options = at(dir / "audit.log");
    options.queue = 10;
    Fixture f{options};
    for (int i = 0; i < 15; ++i)
        f.audit->record(request("/" + std::to_string(i)), 200, "");
    EXPECT_EQ(f.counter("opsd_audit_dropped_total"), 5);
    f.start();
    f.until([&] { return entries(dir / "audit.log").size() == 11; });
    f.finish();
    const auto all = entries(dir / "audit.log");
    EXPECT_EQ(all[9]["path"], "/9") << "the oldest are kept";
    EXPECT_EQ(all[10]["entries_lost"], 5);
    EXPECT_EQ(f.lines->lines.size(), 2U);
}

TEST(Audit, AFailedWriteIsRepeatedUntilItWorks)
{
    const TempDir dir;
    Fixture f{at(dir / "later/audit.log")};
    f.start();
    f.audit->record(request("/first"), 200, "");
    f.until([&] { return !f.lines->lines.empty(); });
    EXPECT_TRUE(f.lines->lines[0].starts_with("audit: cannot append to " + (dir / "later/audit.log")))
        << f.lines->lines[0];
    f.audit->record(request("/second"), 200, "");
    ASSERT_TRUE(files::make_directories(dir / "later", 0700));
    f.until([&] { return entries(dir / "later/audit.log").size() == 2; });
    f.finish();
    EXPECT_EQ(entries(dir / "later/audit.log")[0]["path"], "/first");
    EXPECT_EQ(f.counter("opsd_audit_dropped_total"), 0);
}

TEST(Audit, AnUnwritableFileDoesNotKeepTheDaemonFromStopping)
{
    const TempDir dir;
    Fixture f{at(dir / "missing/audit.log")};
    f.start();
    f.audit->record(request("/first"), 200, "");
    f.until([&] { return !f.lines->lines.empty(); });
    f.finish();
    EXPECT_EQ(f.counter("opsd_audit_dropped_total"), 1);
}

TEST(Audit, Rotates)
{
    const TempDir dir;
    auto options = at(dir / "audit.log");
    options.max_bytes = 100'000;
    Fixture f{options};
    f.start();
    for (int i = 0; i < 2000; ++i) {
        f.audit->record(request("/" + std::to_string(i)), 200, "");
        if (i % 100 == 99) f.until([&] { return f.counter("opsd_audit_written_total") > i; });
    }
    f.finish();
    EXPECT_LE(std::filesystem::file_size(dir / "audit.log"), 100'000U);
    EXPECT_LE(std::filesystem::file_size(dir / "audit.log.1"), 100'000U);
    EXPECT_EQ(entries(dir / "audit.log").back()["path"], "/1999");
}
