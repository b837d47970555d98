// The sinks against those that they are made for: rsyslog, systemd-journal-remote, and kcat reading what a
// broker of librdkafka's has taken.

#include "opsd/task_group.hpp"
#include "pipeline/frames.hpp"
#include "pipeline/sinks/export_format.hpp"
#include "pipeline/sinks/journal_upload_sink.hpp"
#include "pipeline/sinks/kafka_record.hpp"
#include "pipeline/sinks/kafka_sink.hpp"
#include "pipeline/sinks/syslog5424.hpp"
#include "pipeline/sinks/syslog_sink.hpp"

#include "../../unit/http/tls_support.hpp"
#include "../../unit/pipeline/kafka_cluster.hpp"
#include "../node.hpp"
#include "program.hpp"
#include "support.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <set>
#include <sstream>

using namespace opsd;
using namespace opsd::test;
using namespace opsd::pipeline;
using namespace std::chrono_literals;
using namespace std::string_literals;
using Kind = Verdict::Kind;

namespace {

constexpr std::size_t records_in_all = 20'000;
constexpr std::size_t records_at_once = 1'000;
constexpr std::int64_t noon = 1'795'348'800'000'000;

/// Numbered entries of a journal, as a writer renders them.
Batch batch_of(systemd::EntryWriter& writer, std::size_t first, std::size_t count)
{
    auto text = std::make_shared<Text>();
    for (auto n = first; n < first + count; ++n) {
        const auto message = fmt::format("line {} with \"quotes\", ]brackets[ and é", n);
        const auto binary = "two\nlines "s + std::to_string(n);
        const std::vector<systemd::JournalField> fields{{"_HOSTNAME", "agent-1"},
                                                        {"PRIORITY", "4"},
                                                        {"SYSLOG_IDENTIFIER", "mesos-agent"},
                                                        {"_PID", "812"},
                                                        {"_SYSTEMD_UNIT", "dcos-mesos-slave.service"},
                                                        {"_BOOT_ID", "0123456789abcdef0123456789abcdef"},
                                                        {"MESSAGE", message},
                                                        {"BINARY", binary}};
        systemd::JournalEntry entry;
        const auto cursor = fmt::format("s=6e1c;i={:x};b=0a1b;m=1f4;t=62a0;x=a1b2", n);
        entry.cursor = cursor;
        entry.realtime = noon + static_cast<std::int64_t>(n);
        entry.monotonic = 1'000 + static_cast<std::int64_t>(n);
        entry.fields = fields;
        const auto frame = begin_frame(text->bytes, fmt::format("e{}", n), cursor, entry.realtime);
        writer.write(entry, text->bytes);
        end_frame(text->bytes, frame);
    }
    Batch batch{first};
    const auto records = read_frames(*text);
    EXPECT_TRUE(records);
    for (const auto& record : *records)
        batch.add(record, text);
    return batch;
}

/// All of them, each batch until it is accepted.
Task<> deliver_all(Sink& sink, systemd::EntryWriter& writer)
{
    for (std::size_t first = 0; first < records_in_all; first += records_at_once) {
        const auto batch = batch_of(writer, first, records_at_once);
        Verdict verdict;
        for (int i = 0; i < 10 && verdict.kind != Kind::accepted; ++i)
            verdict = co_await sink.send(batch);
        EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
    }
}

/// The numbers behind `mark` in the lines of a text.
std::multiset<std::size_t> numbers_in(const std::string& text, const std::string& mark)
{
    std::multiset<std::size_t> all;
    for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + 1))
        all.insert(std::stoul(text.substr(at + mark.size(), 8)));
    return all;
}

const std::string rsyslogd = "/usr/sbin/rsyslogd";
const std::string rsyslog_modules = "/usr/lib/x86_64-linux-gnu/rsyslog/";
const std::string journal_remote = "/lib/systemd/systemd-journal-remote";

/// rsyslogd that writes what it understood of each message.
class Rsyslog {
public:
    explicit Rsyslog(const TempDir& folder, const std::string& tls_files = {})
      : port{free_port()}
      , out{folder / "messages"}
    {
        const auto configuration = folder / "rsyslog.conf";
        std::ofstream file{configuration};
        file << "global(workDirectory=\"" << folder.path() << "\"";
        if (!tls_files.empty()) {
            file << " defaultNetstreamDriverCAFile=\"" << tls_files << "/ca.pem\""
                 << " defaultNetstreamDriverCertFile=\"" << tls_files << "/server.pem\""
                 << " defaultNetstreamDriverKeyFile=\"" << tls_files << "/server.key\"";
        }
        file << ")\nmodule(load=\"imtcp\"";
        if (!tls_files.empty())
            file << " streamDriver.name=\"ossl\" streamDriver.mode=\"1\" streamDriver.authMode=\"anon\"";
        file << ")\ntemplate(name=\"understood\" type=\"string\" string=\"%syslogseverity%|%timereported:::"
                "date-rfc3339%|%hostname%|%app-name%|%procid%|%structured-data%|%msg%\\n\")\n"
                "ruleset(name=\"all\") { action(type=\"omfile\" file=\""
             << out << "\" template=\"understood\") }\n"
             << "input(type=\"imtcp\" address=\"127.0.0.1\" port=\"" << port << "\" ruleset=\"all\")\n";
        file.close();
        const auto modules = rsyslog_modules + ":" + OPSD_SOURCE_DIR + "/build/tools" + rsyslog_modules;
        program.emplace(std::vector{find_program(rsyslogd), "-n"s, "-i"s, folder / "pid", "-f"s,
                                    configuration, "-M"s, modules},
                        folder / "log");
        EXPECT_TRUE(comes_about([this] { return answers(port); })) << text_of(program->log);
    }
    [[nodiscard]] StreamTarget target() const
    {
        StreamTarget target;
        target.host = "127.0.0.1";
        target.port = port;
        return target;
    }
    std::uint16_t port;
    std::string out;
    std::optional<Program> program;
};

/// Each number once.
void expect_all_messages(const Rsyslog& server)
{
    const auto lines = [&server] { return std::ranges::count(text_of(server.out), '\n'); };
    const auto wanted = static_cast<std::ptrdiff_t>(records_in_all);
    EXPECT_TRUE(comes_about([&] { return lines() >= wanted; })) << lines();
    const auto text = text_of(server.out);
    const auto numbers = numbers_in(text, "|line ");
    EXPECT_EQ(numbers.size(), records_in_all);
    EXPECT_EQ(std::set<std::size_t>(numbers.begin(), numbers.end()).size(), records_in_all);
    const auto first = text.substr(0, text.find('\n'));
    EXPECT_EQ(first, "4|2026-11-22T12:00:00.000000Z|agent-1|mesos-agent|812|[opsd@32473 id=\"6e1c-0-62a0\" "
                     "unit=\"dcos-mesos-slave.service\"]|line 0 with \"quotes\", ]brackets[ and é");
}

}  // namespace

TEST(Rsyslog, UnderstandsEveryMessageAndLosesNone)
{
    const auto gaps = missing({rsyslogd, rsyslog_modules + "imtcp.so"});
    if (!gaps.empty()) GTEST_SKIP() << gaps;
    const TempDir folder;
    const Rsyslog server{folder};
    run(
        [&server]() -> Task<> {
            SystemClock clock;
            SyslogSinkOptions options;
            options.target = server.target();
            SyslogSink sink{options, clock};
            SyslogWriter writer{pipeline::SyslogOptions{}};
            co_await deliver_all(sink, writer);
            EXPECT_EQ(sink.connections(), 1U);
        },
        60s);
    expect_all_messages(server);
}

TEST(Rsyslog, UnderstandsThemOverTls)
{
    const auto gaps = missing({rsyslogd, rsyslog_modules + "imtcp.so", rsyslog_modules + "lmnsd_ossl.so"});
    if (!gaps.empty()) GTEST_SKIP() << gaps;
    const TempDir folder;
    const Certificate authority{{.name = "authority", .authority = true}};
    const Certificate certificate{{.name = "rsyslog"}, &authority};
    authority.write(folder / "ca.pem", "");
    certificate.write(folder / "server.pem", folder / "server.key");
    const Rsyslog server{folder, folder.path()};
    run(
        [&server, &folder]() -> Task<> {
            SystemClock clock;
            SyslogSinkOptions options;
            options.target = server.target();
            options.target.secure = true;
            options.target.tls.ca_file = folder / "ca.pem";
            SyslogSink sink{options, clock};
            SyslogWriter writer{pipeline::SyslogOptions{}};
            co_await deliver_all(sink, writer);
            EXPECT_EQ(sink.connections(), 1U) << "TLS's own records are no reason to connect anew";
        },
        60s);
    expect_all_messages(server);
}

TEST(JournalRemote, WritesEveryEntryWithAllItsFields)
{
    const auto gaps = missing({journal_remote, "/usr/bin/journalctl"});
    if (!gaps.empty()) GTEST_SKIP() << gaps;
    const TempDir folder;
    const auto port = free_port();
    const auto journal = folder / "remote.journal";
    Program program{{find_program(journal_remote), fmt::format("--listen-http=127.0.0.1:{}", port),
                     "--output=" + journal, "--split-mode=none"},
                    folder / "log"};
    EXPECT_TRUE(comes_about([port] { return answers(port); })) << text_of(program.log);
    run(
        [port]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            const SystemClock clock;
            JournalUploadOptions options;
            options.target.urls = {fmt::format("http://127.0.0.1:{}", port)};
            JournalUploadSink sink{executor, options, clock};
            ExportWriter writer;
            co_await deliver_all(sink, writer);
            // An entry with too many fields: it closes the connection without a word.
            Batch broken{1};
            const auto text = std::make_shared<Text>();
            text->bytes = fmt::format("__REALTIME_TIMESTAMP={}\n", noon);
            for (int i = 0; i < 1'100; ++i)
                text->bytes += fmt::format("F{}=x\n", i);
            text->bytes += '\n';
            Record record;
            record.id = "broken";
            record.bytes = text->bytes;
            broken.add(record, text);
            const auto verdict = co_await sink.send(broken);
            EXPECT_EQ(verdict.kind, Kind::refused) << verdict.reason;
        },
        60s);
    program.stop();
    const auto ran = shell("journalctl --no-pager -o json --file " + journal);
    EXPECT_EQ(ran.exit_code, 0) << ran.output.substr(0, 500);
    std::istringstream lines{ran.output};
    std::size_t count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        const auto entry = nlohmann::json::parse(line, nullptr, false);
        ASSERT_TRUE(entry.is_object()) << line;
        ASSERT_EQ(entry["MESSAGE"], fmt::format("line {} with \"quotes\", ]brackets[ and é", count));
        ASSERT_EQ(entry["BINARY"], "two\nlines " + std::to_string(count));
        ASSERT_EQ(entry["_SYSTEMD_UNIT"], "dcos-mesos-slave.service");
        ASSERT_EQ(entry["__REALTIME_TIMESTAMP"], std::to_string(noon + static_cast<std::int64_t>(count)));
    }
    EXPECT_EQ(count, records_in_all);
}

TEST(Kcat, ReadsEveryRecordFromTheBroker)
{
    const auto gaps = missing({"/usr/bin/kcat"});
    if (!gaps.empty()) GTEST_SKIP() << gaps;
    const MockCluster cluster;
    const auto brokers = cluster.brokers();
    run(
        [&brokers]() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            KafkaSinkOptions options;
            options.settings.brokers = brokers;
            KafkaSink sink{executor, options};
            KafkaWriter writer{EcsOptions{}};
            co_await deliver_all(sink, writer);
        },
        60s);
    const auto ran = shell("kcat -C -q -e -o beginning -t opsd-logs -f '%k|%h|%s\\n' -b " + brokers);
    EXPECT_EQ(ran.exit_code, 0) << ran.output.substr(0, 500);
    const auto numbers = numbers_in(ran.output, "\"message\":\"line ");
    EXPECT_EQ(numbers.size(), records_in_all);
    EXPECT_EQ(std::set<std::size_t>(numbers.begin(), numbers.end()).size(), records_in_all);
    EXPECT_NE(ran.output.find("dcos-mesos-slave.service|opsd_id=e0|{\"@timestamp\":"), std::string::npos)
        << ran.output.substr(0, 500);
}
