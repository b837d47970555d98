// Outputs that speak HTTP to one address: Splunk, Logstash, systemd-journal-remote.

#include "modules/forward/kinds.hpp"
#include "pipeline/sinks/export_format.hpp"
#include "pipeline/sinks/journal_upload_sink.hpp"
#include "pipeline/sinks/logstash_http_sink.hpp"
#include "pipeline/sinks/splunk_hec_sink.hpp"

namespace opsd::forward {
namespace {

Result<> check_one_url(const OutputOptions& output)
{
    if (output.urls.size() > 1) return wrong(output, "it has several urls; this type takes one");
    return check_urls(output);
}

pipeline::EcsOptions document_of(const OutputOptions& output, const pipeline::Labels& labels)
{
    pipeline::EcsOptions options;
    options.labels = labels;
    options.raw_fields = output.raw_fields;
    return options;
}

// --- splunk

Result<> check_splunk(const OutputOptions& output)
{
    if (!is_set(output.token)) return wrong(output, "it has no token");
    if (!output.user.empty() || is_set(output.api_key))
        return wrong(output, "the collector takes a token, neither user nor api_key");
    auto good = check_one_url(output);
    if (!good) return good;
    if (output.urls.front().starts_with("http://") && !output.insecure)
        return wrong(output, "the token would be sent in the clear; use https:// or set insecure: true");
    return {};
}

std::unique_ptr<systemd::EntryWriter> splunk_writer(const OutputOptions& output,
                                                    const pipeline::Labels& labels)
{
    pipeline::HecOptions options;
    options.index = output.index;
    options.source_type = output.source_type;
    options.document = document_of(output, labels);
    return std::make_unique<pipeline::HecWriter>(std::move(options));
}

pipeline::HecSinkOptions splunk_options(const OutputOptions& output)
{
    pipeline::HecSinkOptions options;
    options.target = http_target(output);
    options.acknowledge = output.acknowledge;
    options.compress = compress_of(output);
    return options;
}

std::unique_ptr<pipeline::Sink> splunk_sink(const OutputOptions& output, const SinkServices& services)
{
    auto options = splunk_options(output);
    auto read = [secret = output.token, directory = services.credentials_directory]() -> Result<std::string> {
        auto token = secret.read(directory);
        if (!token) return token;
        return "Splunk " + *token;
    };
    options.target.authorization = std::make_shared<pipeline::Authorization>(std::move(read), services.disk);
    return std::make_unique<pipeline::SplunkHecSink>(services.executor, std::move(options), services.clock);
}

// --- logstash

Result<> check_logstash(const OutputOptions& output)
{
    if (is_set(output.api_key)) return wrong(output, "api_key is for outputs of type elasticsearch");
    return check_one_url(output);
}

std::unique_ptr<systemd::EntryWriter> logstash_writer(const OutputOptions& output,
                                                      const pipeline::Labels& labels)
{
    auto options = document_of(output, labels);
    options.id = true;
    return std::make_unique<pipeline::EcsWriter>(options);
}

std::unique_ptr<pipeline::Sink> logstash_sink(const OutputOptions& output, const SinkServices& services)
{
    pipeline::LogstashHttpOptions options;
    options.target = http_target(output);
    options.target.authorization = basic_of(output, services);
    options.lines = output.lines;
    options.compress = compress_of(output);
    return std::make_unique<pipeline::LogstashHttpSink>(services.executor, std::move(options),
                                                        services.clock);
}

// --- journal

Result<> check_journal(const OutputOptions& output)
{
    if (!output.user.empty() || is_set(output.api_key))
        return wrong(output,
                     "systemd-journal-remote knows a node by tls.certificate, not by user or api_key");
    return check_one_url(output);
}

std::unique_ptr<systemd::EntryWriter> journal_writer(const OutputOptions& /*output*/,
                                                     const pipeline::Labels& /*labels*/)
{
    return std::make_unique<pipeline::ExportWriter>();
}

std::unique_ptr<pipeline::Sink> journal_sink(const OutputOptions& output, const SinkServices& services)
{
    pipeline::JournalUploadOptions options;
    options.target = http_target(output);
    return std::make_unique<pipeline::JournalUploadSink>(services.executor, std::move(options),
                                                         services.clock);
}

std::chrono::milliseconds splunk_deadline(const OutputOptions& output)
{
    return splunk_options(output).deadline();
}
std::chrono::milliseconds http_deadline(const OutputOptions& output)
{
    return http_target(output).deadline();
}

}  // namespace

Kind splunk_kind() { return {"splunk", check_splunk, splunk_writer, splunk_sink, splunk_deadline}; }
Kind logstash_kind() { return {"logstash", check_logstash, logstash_writer, logstash_sink, http_deadline}; }
Kind journal_kind() { return {"journal", check_journal, journal_writer, journal_sink, http_deadline}; }

}  // namespace opsd::forward
