#include "io/kafka/producer.hpp"

#include <librdkafka/rdkafka.h>

#include <algorithm>

namespace opsd::kafka {
namespace {

using Properties = std::vector<std::pair<std::string, std::string>>;

std::string between(std::int64_t value, std::int64_t least, std::int64_t most)
{
    return std::to_string(std::clamp(value, least, most));
}

void add_tls(Properties& all, const Settings& settings)
{
    all.emplace_back("enable.ssl.certificate.verification", settings.verify ? "true" : "false");
    all.emplace_back("ssl.endpoint.identification.algorithm", settings.verify ? "https" : "none");
    if (!settings.ca_file.empty()) all.emplace_back("ssl.ca.location", settings.ca_file);
    if (settings.certificate_file.empty()) return;
    all.emplace_back("ssl.certificate.location", settings.certificate_file);
    all.emplace_back("ssl.key.location", settings.key_file);
}

}  // namespace

Properties properties_of(const Settings& settings)
{
    const auto timeout = settings.delivery_timeout.count();
    const bool sasl = !settings.mechanism.empty();
    // With less than a message's room the queue would be full for ever.
    const auto queue = std::max(settings.queue_bytes, 2 * settings.message_bytes);
    Properties all{
        {"bootstrap.servers", settings.brokers},
        {"client.id", settings.client_id},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"max.in.flight.requests.per.connection", "5"},
        {"message.timeout.ms", between(timeout, 1'000, 900'000)},
        {"request.timeout.ms", between(timeout, 1'000, 30'000)},
        {"socket.timeout.ms", between(timeout, 1'000, 60'000)},
        {"socket.connection.setup.timeout.ms", between(timeout, 1'000, 30'000)},
        {"socket.keepalive.enable", "true"},
        {"linger.ms", between(settings.linger.count(), 0, 900)},
        {"message.max.bytes",
         between(static_cast<std::int64_t>(settings.message_bytes), 1'000, 1'000'000'000)},
        {"queue.buffering.max.messages",
         between(static_cast<std::int64_t>(settings.queue_messages), 1, 10'000'000)},
        {"queue.buffering.max.kbytes", between(static_cast<std::int64_t>(queue / 1024), 1, 2'097'151)},
        {"compression.type", settings.compression},
        {"partitioner", "murmur2_random"},  // as Java's clients choose
        {"log.connection.close", "false"},
        {"security.protocol", std::string{sasl ? "sasl_" : ""} + (settings.secure ? "ssl" : "plaintext")},
    };
    if (settings.secure) add_tls(all, settings);
    if (sasl) {
        all.emplace_back("sasl.mechanisms", settings.mechanism);
        all.emplace_back("sasl.username", settings.user);
        all.emplace_back("sasl.password", settings.password);
    }
    return all;
}

Outcome outcome_of(int code) noexcept
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
    case RD_KAFKA_RESP_ERR_DUPLICATE_SEQUENCE_NUMBER:  // it is there already
        return Outcome::delivered;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return Outcome::too_large;
    case RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE:
    case RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP:
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        return Outcome::suspect;  // a broker refuses a whole batch for one record in it
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM:
    case RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_SECURITY_DISABLED:
        return Outcome::kept;
    default:
        return Outcome::retry;
    }
}

}  // namespace opsd::kafka
