// Kafka through librdkafka's mock brokers: what arrives, what a fault costs, what is never delivered.

#include "kafka_cluster.hpp"
#include "pipeline/sinks/kafka_record.hpp"
#include "pipeline/sinks/kafka_sink.hpp"
#include "wire.hpp"

#include <algorithm>

using namespace opsd;
using namespace opsd::test;
using kafka::Outcome;
using kafka::Report;

namespace {

void keyed(std::string& out, std::uint64_t n)
{
    append_kafka_key(out, "unit-" + std::to_string(n % 2));
    as_document(out, n);
}

void unkeyed(std::string& out, std::uint64_t n)
{
    append_kafka_key(out, "");
    as_document(out, n);
}

struct KafkaRig {
    explicit KafkaRig(const Executor& executor, int brokers = 1) : cluster{brokers}, on{executor}
    {
        cluster.topic("logs", 1);
        options.topic = "logs";
        options.settings.brokers = cluster.brokers();
        options.settings.delivery_timeout = 30s;
        options.settings.linger = 1ms;
    }
    KafkaSink& sink()
    {
        if (!sink_) sink_ = std::make_unique<KafkaSink>(on, options);
        return *sink_;
    }
    Task<Verdict> send(std::uint64_t first, std::uint64_t count)
    {
        const auto batch = batch_of(first, count, unkeyed);
        co_return co_await sink().send(batch);
    }
    /// The documents in the topic, in their order.
    [[nodiscard]] std::vector<std::string> documents(std::size_t count) const
    {
        std::vector<std::string> all;
        for (const auto& got : cluster.read("logs", count))
            all.push_back(got.value);
        return all;
    }

    MockCluster cluster;
    KafkaSinkOptions options;
    Executor on;

private:
    std::unique_ptr<KafkaSink> sink_;
};

std::vector<std::string> expected(std::uint64_t first, std::uint64_t count)
{
    std::vector<std::string> all;
    for (auto n = first; n < first + count; ++n)
        as_document(all.emplace_back(), n);
    return all;
}

constexpr auto patience = 300s;

}  // namespace

TEST(KafkaSink, EachRecordArrivesWithKeyIdAndTime)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            rig.cluster.topic("two", 2);
            rig.options.topic = "two";
            const auto batch = batch_of(1, 20, keyed);
            const auto verdict = co_await rig.sink().send(batch);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            EXPECT_EQ(rig.sink().outstanding(), 0U);
            const auto all = rig.cluster.read("two", 20, 2);
            EXPECT_EQ(all.size(), 20U);
            std::map<std::string, std::vector<std::string>> by_key;
            std::map<std::string, std::set<int>> partitions;
            for (const auto& got : all) {
                by_key[got.key].push_back(got.value);
                partitions[got.key].insert(got.partition);
                EXPECT_EQ("{\"n\":" + got.id.substr(1) + "}", got.value);
                EXPECT_EQ(got.time, today.time_since_epoch().count() / 1'000);
            }
            EXPECT_EQ(by_key.size(), 2U);
            EXPECT_EQ(by_key["unit-1"].size(), 10U);
            EXPECT_EQ(by_key["unit-1"].front(), "{\"n\":1}");
            EXPECT_EQ(by_key["unit-1"].back(), "{\"n\":19}") << "one key, one order";
            EXPECT_EQ(partitions["unit-0"].size(), 1U);
        },
        patience);
}

TEST(KafkaSink, NothingIsAcceptedBeforeItsReport)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            auto verdict = co_await rig.send(1, 3);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            rig.cluster.slow(400ms);
            const auto begun = std::chrono::steady_clock::now();
            verdict = co_await rig.send(4, 3);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            EXPECT_GE(std::chrono::steady_clock::now() - begun, 350ms);
            rig.cluster.slow(0ms);
            EXPECT_EQ(rig.documents(6), expected(1, 6));
        },
        patience);
}

TEST(KafkaSink, PassingFaultsCostNothingAndRepeatNothing)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            for (const auto error :
                 {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                  RD_KAFKA_RESP_ERR__TRANSPORT, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT})
                rig.cluster.fail({error});
            for (std::uint64_t first = 1; first <= 41; first += 10) {
                const auto verdict = co_await rig.send(first, 10);
                EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            }
            EXPECT_EQ(rig.documents(50), expected(1, 50)) << "once each, in order";
        },
        patience);
}

TEST(KafkaSink, BrokersOutOfReachAreTriedAgain)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            rig.options.settings.delivery_timeout = 1'500ms;
            rig.cluster.down();
            auto verdict = co_await rig.send(1, 3);
            EXPECT_EQ(verdict.kind, Kind::retry);
            EXPECT_TRUE(verdict.reason.contains("127.0.0.1:")) << verdict.reason;
            rig.cluster.up();
            for (int i = 0; i < 50 && verdict.kind != Kind::accepted; ++i)
                verdict = co_await rig.send(1, 3);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            EXPECT_EQ(rig.documents(3), expected(1, 3));
        },
        patience);
}

TEST(KafkaSink, ARecordThatIsTooLargeIsRefusedAloneAndTheRestArrives)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            rig.options.settings.message_bytes = 2'000;
            const auto render = [](std::string& out, std::uint64_t n) {
                append_kafka_key(out, "k");
                out += n == 2 ? std::string(3'000, 'x') : std::to_string(n);
            };
            const auto batch = batch_of(1, 3, render);
            const auto verdict = co_await rig.sink().send(batch);
            EXPECT_EQ(verdict.kind, Kind::records);
            EXPECT_EQ(verdict.fates, (std::vector{Fate::accepted, Fate::refused, Fate::accepted}));
            EXPECT_TRUE(verdict.reasons.at(1).contains("too large")) << verdict.reasons.at(1);
            EXPECT_EQ(verdict.reason, "");
            EXPECT_EQ(rig.documents(2), (std::vector{"1"s, "3"s}));
        },
        patience);
}

TEST(KafkaSink, WhatTheBrokersRefuseHasItsMeaning)
{
    const std::vector<std::pair<rd_kafka_resp_err_t, Kind>> cases{
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, Kind::too_large},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, Kind::keep},
        {RD_KAFKA_RESP_ERR_INVALID_RECORD, Kind::refused},
        {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, Kind::refused}};
    for (const auto& [error, kind] : cases) {
        run(
            [&error, &kind]() -> Task<> {
                KafkaRig rig{co_await asio::this_coro::executor};
                rig.cluster.fail({error});
                auto verdict = co_await rig.send(1, 3);
                EXPECT_EQ(verdict.kind, kind) << verdict.reason;
                EXPECT_NE(verdict.reason, "") << "three in one batch: nobody says which";
                rig.cluster.heal();
                verdict = co_await rig.send(4, 3);
                EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
                EXPECT_EQ(rig.documents(3), expected(4, 3));
            },
            patience);
    }
}

TEST(KafkaSink, ARecordThatIsRefusedAloneIsToBlame)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            rig.cluster.fail({RD_KAFKA_RESP_ERR_INVALID_RECORD});
            auto verdict = co_await rig.send(1, 1);
            EXPECT_EQ(verdict.kind, Kind::records);
            EXPECT_EQ(verdict.fates, (std::vector{Fate::refused}));
            EXPECT_NE(verdict.reasons.at(0), "");
            rig.cluster.heal();
            verdict = co_await rig.send(2, 1);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
        },
        patience);
}

TEST(KafkaSink, HoldsNoMoreThanItsQueueAndLosesNothingByThat)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            rig.options.settings.queue_messages = 20;
            const auto verdict = co_await rig.send(1, 500);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            EXPECT_EQ(rig.documents(500), expected(1, 500));
        },
        patience);
}

TEST(KafkaSink, AFatalErrorOfTheProducerIsTheEndOfThatProducerOnly)
{
    run(
        []() -> Task<> {
            KafkaRig rig{co_await asio::this_coro::executor};
            auto verdict = co_await rig.send(1, 3);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            rig.cluster.fail({RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER});
            verdict = co_await rig.send(4, 3);
            EXPECT_NE(verdict.kind, Kind::accepted);
            rig.cluster.heal();
            for (int i = 0; i < 3 && verdict.kind != Kind::accepted; ++i)
                verdict = co_await rig.send(4, 3);
            EXPECT_EQ(verdict.kind, Kind::accepted) << verdict.reason;
            EXPECT_EQ(rig.documents(6), expected(1, 6));
        },
        patience);
}

TEST(KafkaSink, AStrangersCertificateIsNotAccepted)
{
    run(
        []() -> Task<> {
            const auto executor = co_await asio::this_coro::executor;
            const Pki pki;
            SyslogServer stranger{executor, pki.context("elsewhere")};
            KafkaRig rig{executor};
            rig.options.settings.brokers = "127.0.0.1:" + std::to_string(stranger.port());
            rig.options.settings.secure = true;
            rig.options.settings.ca_file = pki.folder / "ca.pem";
            rig.options.settings.mechanism = "PLAIN";
            rig.options.settings.user = "opsd";
            rig.options.settings.password = "open sesame";
            rig.options.settings.delivery_timeout = 1'500ms;
            auto verdict = co_await rig.send(1, 3);
            for (int i = 0; i < 20 && verdict.kind == Kind::retry; ++i)  // a handshake takes its time
                verdict = co_await rig.send(1, 3);
            EXPECT_EQ(verdict.kind, Kind::keep) << verdict.reason;
            EXPECT_TRUE(verdict.reason.contains("certificate")) << verdict.reason;
            EXPECT_TRUE(stranger.messages.empty());
            co_await stranger.stop();
        },
        patience);
}

TEST(KafkaSink, SettingsThatMakeNoProducerAreKept)
{
    run([]() -> Task<> {
        KafkaRig rig{co_await asio::this_coro::executor};
        rig.options.settings.compression = "zip";
        rig.options.settings.mechanism = "PLAIN";
        rig.options.settings.user = "opsd";
        rig.options.settings.password = "open sesame";
        const auto verdict = co_await rig.send(1, 1);
        EXPECT_EQ(verdict.kind, Kind::keep);
        EXPECT_TRUE(verdict.reason.contains("cannot set up the Kafka producer")) << verdict.reason;
        EXPECT_TRUE(verdict.reason.contains("compression")) << verdict.reason;
        EXPECT_FALSE(verdict.reason.contains("sesame")) << verdict.reason;
    });
}

TEST(KafkaProperties, AreIdempotentAcknowledgedByAllAndVerified)
{
    kafka::Settings settings;
    settings.brokers = "k:9092";
    const auto value = [&settings](const std::string& name) -> std::string {
        for (const auto& [key, text] : kafka::properties_of(settings)) {
            if (key == name) return text;
        }
        return "(none)";
    };
    EXPECT_EQ(value("bootstrap.servers"), "k:9092");
    EXPECT_EQ(value("enable.idempotence"), "true");
    EXPECT_EQ(value("acks"), "all");
    EXPECT_EQ(value("message.timeout.ms"), "50000");
    EXPECT_EQ(value("message.max.bytes"), "1000000");
    EXPECT_EQ(value("queue.buffering.max.messages"), "10000");
    EXPECT_EQ(value("queue.buffering.max.kbytes"), "15625");
    settings.queue_bytes = 128'000;
    settings.message_bytes = 4'096'000;
    EXPECT_EQ(value("queue.buffering.max.kbytes"), "8000") << "a message has to fit in";
    EXPECT_EQ(value("security.protocol"), "plaintext");
    EXPECT_EQ(value("sasl.password"), "(none)");
    settings.secure = true;
    EXPECT_EQ(value("security.protocol"), "ssl");
    EXPECT_EQ(value("enable.ssl.certificate.verification"), "true");
    EXPECT_EQ(value("ssl.endpoint.identification.algorithm"), "https");
    EXPECT_EQ(value("ssl.ca.location"), "(none)") << "the system's";
    settings.mechanism = "SCRAM-SHA-512";
    settings.user = "u";
    settings.password = "p";
    settings.ca_file = "/ca.pem";
    settings.certificate_file = "/c.pem";
    settings.key_file = "/k.pem";
    settings.verify = false;
    EXPECT_EQ(value("security.protocol"), "sasl_ssl");
    EXPECT_EQ(value("sasl.mechanisms"), "SCRAM-SHA-512");
    EXPECT_EQ(value("sasl.password"), "p");
    EXPECT_EQ(value("ssl.ca.location"), "/ca.pem");
    EXPECT_EQ(value("ssl.key.location"), "/k.pem");
    EXPECT_EQ(value("ssl.endpoint.identification.algorithm"), "none");
    settings.secure = false;
    EXPECT_EQ(value("security.protocol"), "sasl_plaintext");
}

TEST(KafkaVerdict, ComesFromTheReportsOfAllRecords)
{
    const Report good{Outcome::delivered, ""};
    const Report late{Outcome::retry, "late"};
    const Report large{Outcome::too_large, "large"};
    const Report refusal{Outcome::refused, "never"};
    const Report denied{Outcome::kept, "denied"};
    const auto of = [](std::vector<Report> reports) { return verdict_of_reports(reports); };
    EXPECT_EQ(of({good, good}).kind, Kind::accepted);
    EXPECT_EQ(of({late, late}).kind, Kind::retry);
    EXPECT_EQ(of({late}).reason, "late");
    EXPECT_EQ(of({large, large}).kind, Kind::too_large);
    EXPECT_EQ(of({denied, denied}).kind, Kind::keep);
    const auto refused = of({refusal, refusal});
    EXPECT_EQ(refused.fates, std::vector(2, Fate::refused));
    EXPECT_EQ(refused.reasons.at(1), "never");
    const Report suspect{Outcome::suspect, "one of them"};
    EXPECT_EQ(of({suspect, suspect}).kind, Kind::refused) << "to be asked about in halves";
    EXPECT_EQ(of({suspect}).fates, (std::vector{Fate::refused}));
    EXPECT_EQ(of({good, suspect, suspect}).fates, (std::vector{Fate::accepted, Fate::suspect, Fate::suspect}))
        << "what was taken is not sent again";
    const auto guilty = of({good, suspect, late});
    EXPECT_EQ(guilty.fates, (std::vector{Fate::accepted, Fate::refused, Fate::retry}));
    EXPECT_EQ(guilty.reasons.at(1), "one of them");
    const auto mixed = of({good, late, refusal, denied, large});
    EXPECT_EQ(mixed.kind, Kind::records);
    EXPECT_EQ(mixed.fates,
              (std::vector{Fate::accepted, Fate::retry, Fate::refused, Fate::retry, Fate::retry}));
    EXPECT_EQ(mixed.reasons, (std::map<std::size_t, std::string>{{2, "never"}}));
    EXPECT_EQ(mixed.reason, "late");
    EXPECT_TRUE(mixed.alert) << "some of it needs somebody to act";
    EXPECT_FALSE(of({good, late}).alert);
}

TEST(KafkaRecord, IsAKeyAndADocument)
{
    const auto split = [](std::string_view bytes) {
        const auto [key, value] = split_kafka_record(bytes);
        return std::string{key} + "|" + std::string{value};
    };
    EXPECT_EQ(split("k\n{}"), "k|{}");
    EXPECT_EQ(split("\nv\nw"), "|v\nw");
    EXPECT_EQ(split("all of it"), "|all of it");
    std::string odd;
    append_kafka_key(odd, "a\nb" + std::string(300, 'x'));
    EXPECT_EQ(odd.size(), 256U);
    EXPECT_TRUE(odd.starts_with("a_bx")) << odd;
    systemd::JournalEntry entry;
    entry.cursor = "s=1;i=2;t=3";
    const std::vector<systemd::JournalField> fields{{"MESSAGE", "hello"}, {"SYSLOG_IDENTIFIER", "sshd"}};
    entry.fields = fields;
    KafkaWriter writer{EcsOptions{}};
    std::string out;
    EXPECT_TRUE(writer.write(entry, out));
    EXPECT_EQ(split_kafka_record(out).key, "sshd");
    EXPECT_TRUE(split_kafka_record(out).value.starts_with("{\"@timestamp\":")) << out;
    const std::vector<systemd::JournalField> of_unit{{"MESSAGE", "hello"}, {"_SYSTEMD_UNIT", "ssh.service"}};
    entry.fields = of_unit;
    out.clear();
    EXPECT_TRUE(writer.write(entry, out));
    EXPECT_EQ(split_kafka_record(out).key, "ssh.service");
}
