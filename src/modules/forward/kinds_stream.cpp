// Outputs that speak a protocol of their own over TCP or TLS: beats inputs, syslog servers, Kafka.

#include "io/net/url.hpp"
#include "modules/forward/kinds.hpp"
#include "modules/forward/secret_sink.hpp"
#include "pipeline/sinks/ecs.hpp"
#include "pipeline/sinks/kafka_record.hpp"
#include "pipeline/sinks/kafka_sink.hpp"
#include "pipeline/sinks/lumberjack_sink.hpp"
#include "pipeline/sinks/syslog5424.hpp"
#include "pipeline/sinks/syslog_sink.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace opsd::forward {
namespace {

constexpr std::size_t most_hosts = 32;

/// "host:port", the host a name, an address, or [address].
Result<net::Url> parse_host(const OutputOptions& output, const std::string& text)
{
    auto url = net::parse_url("http://" + text);
    const auto after_host = text.rfind(']') == std::string::npos ? 0 : text.rfind(']');
    const bool complete =
        url && url->target == "/" && !text.ends_with('/') && text.find(':', after_host) != std::string::npos;
    if (!complete) return wrong(output, fmt::format("\"{}\" in hosts must be HOST:PORT", text));
    return url;
}

Result<> check_hosts(const OutputOptions& output, std::size_t most)
{
    if (!output.urls.empty()) return wrong(output, "it has urls; this type takes hosts");
    if (output.hosts.empty()) return wrong(output, "it has no hosts");
    if (output.hosts.size() > most)
        return wrong(output,
                     fmt::format("it has {} hosts; at most {} are possible", output.hosts.size(), most));
    for (const auto& host : output.hosts) {
        const auto parsed = parse_host(output, host);
        if (!parsed) return fail(parsed.error());
    }
    if (is_set(output.api_key)) return wrong(output, "api_key is for outputs of type elasticsearch");
    return check_credentials(output, !output.tls.enabled);
}

Result<> check_one_host(const OutputOptions& output)
{
    if (!output.user.empty())
        return wrong(output, "this type has no user; it may show a certificate (tls.certificate)");
    return check_hosts(output, 1);
}

pipeline::StreamTarget target_of(const OutputOptions& output)
{
    pipeline::StreamTarget target;
    if (const auto at = parse_host(output, output.hosts.front())) {  // it was checked
        target.host = at->host;
        target.port = at->port;
    }
    target.secure = output.tls.enabled;
    target.tls = tls_of(output);
    return target;
}

pipeline::EcsOptions document_of(const OutputOptions& output, const pipeline::Labels& labels)
{
    pipeline::EcsOptions options;
    options.labels = labels;
    options.id = true;
    options.raw_fields = output.raw_fields;
    return options;
}

// --- beats

std::unique_ptr<systemd::EntryWriter> beats_writer(const OutputOptions& output,
                                                   const pipeline::Labels& labels)
{
    return std::make_unique<pipeline::EcsWriter>(document_of(output, labels));
}

pipeline::LumberjackOptions beats_options(const OutputOptions& output)
{
    pipeline::LumberjackOptions options;
    options.target = target_of(output);
    options.timeout = output.timeout;
    return options;
}

std::unique_ptr<pipeline::Sink> beats_sink(const OutputOptions& output, const SinkServices& services)
{
    return std::make_unique<pipeline::LumberjackSink>(beats_options(output), services.clock);
}

std::chrono::milliseconds beats_deadline(const OutputOptions& output)
{
    return beats_options(output).deadline();
}

// --- syslog

std::unique_ptr<systemd::EntryWriter> syslog_writer(const OutputOptions& /*output*/,
                                                    const pipeline::Labels& labels)
{
    pipeline::SyslogOptions options;
    options.labels = labels;
    return std::make_unique<pipeline::SyslogWriter>(std::move(options));
}

pipeline::SyslogSinkOptions syslog_options(const OutputOptions& output)
{
    pipeline::SyslogSinkOptions options;
    options.target = target_of(output);
    options.timeout = output.timeout;
    return options;
}

std::unique_ptr<pipeline::Sink> syslog_sink(const OutputOptions& output, const SinkServices& services)
{
    return std::make_unique<pipeline::SyslogSink>(syslog_options(output), services.clock);
}

std::chrono::milliseconds syslog_deadline(const OutputOptions& output)
{
    return syslog_options(output).deadline();
}

// --- kafka

Result<> check_kafka(const OutputOptions& output)
{
    if (output.topic.empty()) return wrong(output, "topic is empty");
    // What several requests send at once shares the producer's batches, and with them the refusal of one
    // record.
    if (output.batch.in_flight != 1)
        return wrong(output, "batch.in_flight must be 1: librdkafka keeps requests under way by itself");
    return check_hosts(output, most_hosts);
}

std::unique_ptr<systemd::EntryWriter> kafka_writer(const OutputOptions& output,
                                                   const pipeline::Labels& labels)
{
    return std::make_unique<pipeline::KafkaWriter>(document_of(output, labels));
}

pipeline::KafkaSinkOptions kafka_options(const OutputOptions& output)
{
    pipeline::KafkaSinkOptions options;
    options.topic = output.topic;
    auto& settings = options.settings;
    settings.brokers = fmt::format("{}", fmt::join(output.hosts, ","));
    settings.secure = output.tls.enabled;
    settings.ca_file = output.tls.ca;
    settings.certificate_file = output.tls.certificate;
    settings.key_file = output.tls.key;
    settings.user = output.user;
    if (!output.user.empty()) settings.mechanism = output.mechanism;
    settings.delivery_timeout = output.timeout;
    settings.message_bytes = static_cast<std::size_t>(output.message_bytes.count);
    const auto requests = static_cast<std::size_t>(output.batch.in_flight);
    settings.queue_messages = requests * static_cast<std::size_t>(output.batch.records);
    settings.queue_bytes = requests * static_cast<std::size_t>(output.batch.bytes.count) * 2;
    return options;
}

std::unique_ptr<pipeline::Sink> kafka_sink(const OutputOptions& output, const SinkServices& services)
{
    auto make = [options = kafka_options(output), executor = services.executor](const std::string& password) {
        auto own = options;
        own.settings.password = password;
        return std::make_unique<pipeline::KafkaSink>(executor, std::move(own));
    };
    if (output.user.empty()) return make({});
    auto read = [secret = output.password, directory = services.credentials_directory] {
        return secret.read(directory);
    };
    return std::make_unique<SecretSink>(std::move(read), std::move(make), services.disk,
                                        pipeline::KafkaSink::acknowledged_words);
}

std::chrono::milliseconds kafka_deadline(const OutputOptions& output)
{
    return kafka_options(output).deadline();
}

}  // namespace

Kind beats_kind() { return {"beats", check_one_host, beats_writer, beats_sink, beats_deadline}; }
Kind syslog_kind() { return {"syslog", check_one_host, syslog_writer, syslog_sink, syslog_deadline}; }
Kind kafka_kind() { return {"kafka", check_kafka, kafka_writer, kafka_sink, kafka_deadline}; }

}  // namespace opsd::forward
