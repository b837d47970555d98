#pragma once
// A topic of Kafka.
//
// In: batches of KafkaWriter's records. Out: verdicts, record by record, from librdkafka's delivery reports.
// Accepted: all in-sync replicas have it. Repetitions within one life of the producer are known to the
// brokers and dropped (idempotence); across a restart of opsd the header "opsd_id" tells them.
//
// A record larger than message_bytes is refused, that is, it becomes a dead letter, and nothing else with it.
// What a broker refuses as a batch is asked about in halves, until the record that is to blame is alone.

#include "io/kafka/producer.hpp"
#include "pipeline/delivery.hpp"

namespace opsd::pipeline {

struct KafkaSinkOptions {
    kafka::Settings settings;
    std::string topic = "opsd-logs";

    /// After which each message has its report; a delivery's own deadline should be later. librdkafka looks
    /// for messages that are late once a second.
    [[nodiscard]] std::chrono::milliseconds deadline() const
    {
        return settings.delivery_timeout + std::chrono::seconds{5};
    }
};

/// The verdict on a batch whose messages were reported so.
[[nodiscard]] Verdict verdict_of_reports(std::span<const kafka::Report> reports);

class KafkaSink final : public Sink {
public:
    KafkaSink(Executor executor, KafkaSinkOptions options)
      : topic_{std::move(options.topic)}
      , producer_{std::move(executor), std::move(options.settings)}
    {}

    Task<Verdict> send(const Batch& batch) override;

    /// What "accepted" means, for people.
    static constexpr std::string_view acknowledged_words =
        "all in-sync replicas have it (acks=all, idempotent)";
    [[nodiscard]] std::string_view acknowledged_means() const noexcept override { return acknowledged_words; }
    /// Messages that librdkafka still holds; a gauge, bounded by queue_messages.
    [[nodiscard]] std::size_t outstanding() const noexcept { return producer_.outstanding(); }

private:
    std::string topic_;
    kafka::Producer producer_;
};

}  // namespace opsd::pipeline
