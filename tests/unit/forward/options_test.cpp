// The section `forward`: what is good, and what is said of what is not.

#include "modules/forward/bounds.hpp"
#include "modules/forward/filter.hpp"
#include "modules/forward/options.hpp"
#include "modules/forward/outputs.hpp"
#include "modules/forward/place.hpp"

#include <gtest/gtest.h>

#include <array>

namespace opsd::forward {
namespace {

const std::string elk =
    "outputs:\n  - name: elk\n    type: elasticsearch\n    urls: [\"https://elk:9200\"]\n";
const std::string file =
    "outputs:\n  - name: disk\n    type: file\n    path: /var/lib/opsd/forward/out.log\n";

const std::string token = "    token: {file: /t}\n";

std::string output(const std::string& type, const std::string& where)
{
    return "outputs:\n  - name: one\n    type: " + type + "\n    " + where + "\n";
}
std::string splunk(const std::string& scheme, const std::string& more = {})
{
    return output("splunk", "urls: [" + more + "\"" + scheme + "://splunk:8088\"]");
}

ForwardOptions parse(const std::string& yaml)
{
    const auto root = config::parse_yaml(yaml, "test.yaml");
    EXPECT_TRUE(root) << root.error().to_string();
    config::Mistakes mistakes;
    auto options = schema().parse(&*root, "forward", mistakes);
    for (const auto& mistake : mistakes)
        ADD_FAILURE() << mistake.to_string();
    return options;
}

std::string refusal(const std::string& yaml)
{
    const auto valid = validate(parse(yaml));
    return valid ? "" : valid.error().message;
}

}  // namespace

TEST(ForwardOptions, NothingIsForwardedByDefault)
{
    EXPECT_EQ(refusal("{}"), "");
    EXPECT_TRUE(parse("{}").outputs.empty());
}

TEST(ForwardOptions, OneOfEachKindIsGood)
{
    EXPECT_EQ(refusal(elk), "");
    EXPECT_EQ(refusal(file), "");
    EXPECT_EQ(refusal(splunk("https") + token), "");
    EXPECT_EQ(refusal(splunk("http") + token + "    insecure: true\n"), "");
    EXPECT_EQ(refusal(output("logstash", "urls: [\"https://l:8080/in\"]")
                      + "    user: me\n    password: {file: /p}\n    lines: true\n"),
              "");
    EXPECT_EQ(refusal(output("journal", "urls: [\"https://j:19532\"]")), "");
    EXPECT_EQ(refusal(output("beats", "hosts: [\"[::1]:5044\"]")), "");
    EXPECT_EQ(refusal(output("syslog", "hosts: [\"log.example.com:6514\"]")), "");
    EXPECT_EQ(refusal(output("kafka", "hosts: [\"a:9092\", \"b:9092\"]")
                      + "    user: me\n    password: {file: /p}\n    mechanism: SCRAM-SHA-256\n"),
              "");
    EXPECT_EQ(refusal(elk + "    user: me\n    password: {file: /etc/opsd/p}\n"), "");
    EXPECT_EQ(refusal(elk + "    api_key: {credential: elk}\n    start: 2026-11-28T06:00:00Z\n"), "");
    EXPECT_EQ(refusal(elk + "    filter: {units: [\"dcos-*\"], priority: warning, matches: [A=b]}\n"), "");
}

TEST(ForwardOptions, MistakesAreSentences)
{
    const std::string clear =
        "outputs:\n  - name: elk\n    type: elasticsearch\n    urls: [\"http://elk:9200\"]\n";
    const std::vector<std::pair<std::string, std::string>> all{
        {"outputs:\n  - type: file\n    path: /x\n", "a name has 1 to 64 small letters"},
        {"outputs:\n  - name: ../x\n    type: file\n    path: /x\n", "a name has 1 to 64 small letters"},
        {"outputs:\n  - name: elk\n", "it has no type; write type: elasticsearch or splunk or "},
        {elk + "  - name: elk\n    type: file\n    path: /x\n", "another has the same name"},
        {file + "  - name: two\n    type: file\n    path: /var/lib/opsd/forward/out.log\n",
         "another has the same path"},
        {"outputs:\n  - name: elk\n    type: elasticsearch\n", "it has no urls"},
        {"outputs:\n  - name: elk\n    type: elasticsearch\n    urls: [\"https://a:b@elk\"]\n", "elk"},
        {"outputs:\n  - name: elk\n    type: elasticsearch\n    urls: [\"https://elk/?x=1\"]\n",
         "has a query"},
        {"outputs:\n  - name: elk\n    type: elasticsearch\n    urls: [\"unix:/run/x:/\"]\n",
         "must begin with"},
        {elk + "    user: me\n", "only one of user and password"},
        {elk + "    password: {file: /p}\n", "only one of user and password"},
        {elk + "    user: me\n    password: {file: /p}\n    api_key: {file: /k}\n", "one of them is enough"},
        {clear + "    api_key: {file: /k}\n", "in the clear"},
        {elk + "    tls: {certificate: /c}\n", "only one of certificate and key"},
        {elk + "    path: /x\n", "path is for outputs of type file"},
        {elk + "    hosts: [\"elk:9200\"]\n", "this type takes urls"},
        {elk + "    token: {file: /t}\n", "token is for outputs of type splunk"},
        {splunk("https"), "it has no token"},
        {splunk("https") + token + "    user: me\n    password: {file: /p}\n", "neither user nor api_key"},
        {splunk("http") + token, "in the clear"},
        {splunk("https", "\"https://b:8088\", ") + token, "this type takes one"},
        {output("journal", "urls: [\"https://j:19532\"]") + "    user: me\n    password: {file: /p}\n",
         "knows a node by tls.certificate"},
        {output("beats", "urls: [\"https://b:5044\"]"), "this type takes hosts"},
        {output("beats", "hosts: []"), "it has no hosts"},
        {output("beats", "hosts: [b]"), "\"b\" in hosts must be HOST:PORT"},
        {output("beats", "hosts: [\"b:70000\"]"), "must be HOST:PORT"},
        {output("beats", "hosts: [\"b:1/x\"]"), "must be HOST:PORT"},
        {output("beats", "hosts: [\"[::1]\"]"), "must be HOST:PORT"},
        {output("syslog", "hosts: [\"a:1\", \"b:1\"]"), "it has 2 hosts; at most 1"},
        {output("syslog", "hosts: [\"a:1\"]") + "    user: me\n    password: {file: /p}\n", "has no user"},
        {output("kafka", "hosts: [\"a:1\"]") + "    topic: \"\"\n", "topic is empty"},
        {output("kafka", "hosts: [\"a:1\"]")
             + "    user: me\n    password: {file: /p}\n    tls: {enabled: false}\n",
         "in the clear"},
        {file + "    urls: [\"https://elk\"]\n", "for other types than file"},
        {"outputs:\n  - name: disk\n    type: file\n    path: out.log\n", "path must be a file's"},
        {elk + "    filter: {units: [sshd]}\n", "did you mean \"sshd.service\"?"},
        {elk + "    filter: {priority: worst}\n", "filter.priority is \"worst\""},
        {elk + "    filter: {matches: [lower=1]}\n", "must be FIELD=value"},
        {elk + "    redact: {patterns: [\"(\"]}\n", "cannot use the pattern \"(\""},
        {elk + "    start: yesterday\n", "start is \"yesterday\""},
        {elk + "    memory: 1MiB\n", "memory must be at least batch.bytes"},
        {elk + "    memory: 65MiB\n", "forward.max_memory allows"},
        {elk + "    batch: {bytes: 16MiB, in_flight: 2}\n    memory: 16MiB\n",
         "requests in flight of all outputs"},
        {file + "    max_size: 2GiB\n", "forward.max_disk allows"},
    };
    for (const auto& [yaml, sentence] : all) {
        const auto said = refusal(yaml);
        EXPECT_NE(said.find(sentence), std::string::npos) << yaml << "-> " << said;
        EXPECT_TRUE(said.starts_with("cannot use ")) << said;
    }
    EXPECT_EQ(refusal(clear + "    api_key: {file: /k}\n    insecure: true\n"), "");
    std::string many = "outputs:\n";
    for (int i = 0; i < 17; ++i)
        many += "  - {name: o" + std::to_string(i) + ", type: file, path: /x" + std::to_string(i) + "}\n";
    EXPECT_NE(refusal(many).find("at most 16"), std::string::npos);
}

TEST(ForwardOptions, TheMemoryOfAnOutputIsAllThatItHolds)
{
    const auto memory = [](const std::string& yaml) { return memory_of(parse(yaml).outputs.at(0)); };
    EXPECT_EQ(memory(elk), (8U << 20) + 2 * 5'000'000U + 2'048'000U);
    EXPECT_EQ(memory(file), (8U << 20) + 2 * 5'000'000U);
    EXPECT_EQ(memory(elk + "    batch: {in_flight: 4}\n"), (8U << 20) + 4 * (2 * 5'000'000U + 2'048'000U));
    EXPECT_EQ(memory(output("kafka", "hosts: [\"k:9092\"]\n    message_bytes: 20MB")),
              (8U << 20) + 2 * 20'000'000U);
    EXPECT_LE(3 * memory(elk), ForwardOptions{}.max_memory.count) << "three as they come";
}

TEST(ForwardOptions, TheSchemaOffersWhatCanBeMade)
{
    const auto root = config::parse_yaml("outputs: [{name: x, type: pigeon}]", "test.yaml");
    config::Mistakes mistakes;
    (void)schema().parse(&*root, "forward", mistakes);
    ASSERT_EQ(mistakes.size(), 1U);
    EXPECT_NE(mistakes[0].text.find("elasticsearch"), std::string::npos) << mistakes[0].text;
    EXPECT_EQ(find_kind("pigeon"), nullptr);
    for (const auto& kind : kinds())
        EXPECT_EQ(find_kind(kind.name), &kind);
}

// --- places

namespace {

const std::string cursor =
    "s=" + std::string(32, 'a') + ";i=a;b=" + std::string(32, 'b') + ";m=1;t=f4240;x=1";
const std::string later =
    "s=" + std::string(32, 'a') + ";i=1f;b=" + std::string(32, 'b') + ";m=1;t=f4241;x=1";
const std::string other =
    "s=" + std::string(32, 'c') + ";i=1f;b=" + std::string(32, 'b') + ";m=1;t=f4241;x=1";

}  // namespace

TEST(ForwardOptions, AnOutputOfTasksHasItsOwnSettings)
{
    const auto tasks = elk + "    input: tasks\n";
    EXPECT_EQ(refusal(tasks), "");
    EXPECT_EQ(
        refusal(tasks + "    start: beginning\n    filter: {matches: [TASK_NAME=web*, STREAM=stderr]}\n"),
        "");
    EXPECT_TRUE(
        refusal(tasks + "    filter: {units: [a.service]}\n").contains("filter.units is for the journal"));
    EXPECT_TRUE(
        refusal(tasks + "    filter: {priority: err}\n").contains("filter.priority is for the journal"));
    EXPECT_TRUE(refusal(tasks + "    filter: {matches: [web]}\n").contains("must be FIELD=value"));
    EXPECT_TRUE(
        refusal(tasks + "    start: \"2026-11-28T06:00:00Z\"\n").contains("must be now or beginning"));
}

TEST(ForwardOptions, WhereTheFilesOfTasksAreIsChecked)
{
    const auto why = [](const std::string& setting) { return refusal("tasks: {" + setting + "}\n"); };
    EXPECT_EQ(why("work_dir: /srv/mesos, files: [stdout, \"logs/*.log\"], agent: \"\""), "");
    EXPECT_EQ(why("agent: \"https://agent:5051\", authorization: {file: /t}, multiline: {start: \"^[A-Z]\"}"),
              "");
    EXPECT_TRUE(why("work_dir: mesos").contains("work_dir must be a folder's path"));
    EXPECT_TRUE(why("agent: \"http://agent:5051/\"").contains("agent must be a URL"));
    EXPECT_TRUE(why("agent: \"http://10.0.0.1:5051\", authorization: {file: /t}").contains("in the clear"));
    EXPECT_TRUE(why("files: []").contains("files must have 1 to 64"));
    for (const auto* bad : {"/etc/passwd", "../x", "a/../b", "a//b", "logs/", "."})
        EXPECT_TRUE(why("files: [\"" + std::string{bad} + "\"]").contains("files has")) << bad;
    EXPECT_TRUE(why("multiline: {start: \"(\"}").contains("no regular expression"));
}

TEST(ForwardFilter, OfTasksLooksAtEachEntry)
{
    FilterOptions options;
    options.matches = {"TASK_NAME=web-*", "TASK_NAME=db", "STREAM=stderr"};
    const auto filter = Filter::make_for_tasks(options).value();
    EXPECT_TRUE(filter->matches().empty());
    const auto takes = [&](std::string_view name, std::string_view stream) {
        const std::array<systemd::JournalField, 2> fields{{{"TASK_NAME", name}, {"STREAM", stream}}};
        systemd::JournalEntry entry;
        entry.fields = fields;
        return filter->takes(entry);
    };
    EXPECT_TRUE(takes("web-1", "stderr"));
    EXPECT_TRUE(takes("db", "stderr"));
    EXPECT_FALSE(takes("dbx", "stderr"));
    EXPECT_FALSE(takes("db", "stdout"));
    EXPECT_FALSE(takes("", "stderr"));
}

TEST(ForwardFilter, SaysWhetherItLooksAtNames)
{
    const auto needs = [](std::vector<std::string> matches) {
        FilterOptions options;
        options.matches = std::move(matches);
        return Filter::make_for_tasks(options).value()->needs_names();
    };
    EXPECT_FALSE(needs({}));
    EXPECT_FALSE(needs({"STREAM=stderr", "FRAMEWORK_ID=f*"}));
    for (const auto* match : {"TASK_ID=a", "TASK_NAME=a*", "CONTAINER_ID=c", "SYSLOG_IDENTIFIER=web"})
        EXPECT_TRUE(needs({"STREAM=stderr", match})) << match;
}

TEST(ForwardPlace, IsReadFromWhatPeopleWrite)
{
    const WallTime now{std::chrono::seconds{10'000}};
    EXPECT_EQ(*parse_start("now"), "");
    EXPECT_EQ(*parse_start("beginning"), "@0");
    EXPECT_EQ(*parse_start("1970-01-01T00:00:02Z"), "@2000000");
    EXPECT_FALSE(parse_start("2h"));
    EXPECT_EQ(*parse_replay("beginning", now), "@0");
    EXPECT_EQ(*parse_replay("2h", now), "@2800000000");
    EXPECT_EQ(*parse_replay("1970-01-01T00:00:02Z", now), "@2000000");
    EXPECT_EQ(*parse_replay(cursor, now), cursor);
    EXPECT_EQ(*parse_replay("9999d", now), "@0") << "before the epoch";
    for (const auto* bad : {"", "0", "s=1", "now", "@0", "-2h"})
        EXPECT_FALSE(parse_replay(bad, now)) << bad;
}

TEST(ForwardPlace, SaysWhereAReadingBegins)
{
    EXPECT_EQ(range_from("", {}).from, systemd::From::tail);
    EXPECT_EQ(range_from(cursor, {}).from, systemd::From::cursor);
    EXPECT_EQ(range_from(cursor, {}).cursor, cursor);
    const auto time = range_from("@2000000", {{"A=b"}});
    EXPECT_EQ(time.from, systemd::From::time);
    EXPECT_EQ(time.time, 2'000'000);
    EXPECT_EQ(time.matches, (systemd::MatchGroups{{"A=b"}}));
}

TEST(ForwardPlace, KnowsItsMomentAndItsDistance)
{
    EXPECT_EQ(moment_of(cursor), std::optional<std::int64_t>{1'000'000});
    EXPECT_EQ(moment_of("@5"), std::optional<std::int64_t>{5});
    EXPECT_EQ(moment_of("@0"), std::nullopt);
    EXPECT_EQ(moment_of(""), std::nullopt);
    EXPECT_EQ(entries_between(cursor, later), std::optional<std::uint64_t>{21});
    EXPECT_EQ(entries_between(later, cursor), std::optional<std::uint64_t>{0});
    EXPECT_EQ(entries_between(cursor, other), std::nullopt);
    EXPECT_EQ(entries_between("@0", later), std::nullopt);
}

}  // namespace opsd::forward
