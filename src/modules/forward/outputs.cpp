#include "modules/forward/kinds.hpp"

#include "core/gzip.hpp"
#include "io/net/url.hpp"
#include "pipeline/sinks/bulk.hpp"
#include "pipeline/sinks/elasticsearch.hpp"
#include "pipeline/sinks/file.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::forward {

using config::Secret;

std::unexpected<Error> wrong(const OutputOptions& output, std::string_view what)
{
    return fail(Errc::invalid_argument, fmt::format("{}{}", cannot_use(output), what));
}

bool is_set(const Secret& secret) { return secret.from != Secret::From::none; }

Result<> check_credentials(const OutputOptions& output, bool any_clear)
{
    if (output.user.empty() == is_set(output.password))
        return wrong(output, "it has only one of user and password");
    if (is_set(output.api_key) && !output.user.empty())
        return wrong(output, "it has api_key and user; one of them is enough");
    if (any_clear && (is_set(output.api_key) || !output.user.empty()) && !output.insecure)
        return wrong(output, "credentials would be sent in the clear; use https:// or set insecure: true");
    if (output.tls.certificate.empty() != output.tls.key.empty())
        return wrong(output, "tls has only one of certificate and key");
    return {};
}

Result<> check_urls(const OutputOptions& output)
{
    constexpr std::size_t most_urls = 32;
    if (!output.hosts.empty()) return wrong(output, "it has hosts; this type takes urls");
    if (output.urls.empty()) return wrong(output, "it has no urls");
    if (output.urls.size() > most_urls)
        return wrong(output,
                     fmt::format("it has {} urls, at most {} are possible", output.urls.size(), most_urls));
    bool any_clear = false;
    for (const auto& text : output.urls) {
        const auto url = net::parse_url(text);
        if (!url) return wrong(output, url.error().message);
        if (url->scheme == net::Url::Scheme::unix_socket)
            return wrong(output, fmt::format("\"{}\" must begin with https:// or http://", text));
        if (url->target.contains('?'))
            return wrong(output, fmt::format("\"{}\" has a query, which an address must not have", text));
        any_clear = any_clear || url->scheme == net::Url::Scheme::http;
    }
    return check_credentials(output, any_clear);
}

net::TlsClientOptions tls_of(const OutputOptions& output)
{
    net::TlsClientOptions tls;
    tls.ca_file = output.tls.ca;
    tls.certificate_file = output.tls.certificate;
    tls.key_file = output.tls.key;
    return tls;
}

pipeline::HttpTarget http_target(const OutputOptions& output)
{
    pipeline::HttpTarget target;
    target.urls = output.urls;
    target.tls = tls_of(output);
    target.timeout = output.timeout;
    target.connections = static_cast<std::size_t>(output.batch.in_flight);
    return target;
}

std::shared_ptr<pipeline::Authorization> basic_of(const OutputOptions& output, const SinkServices& services)
{
    if (output.user.empty()) return nullptr;
    auto read = [user = output.user, secret = output.password,
                 directory = services.credentials_directory]() -> Result<std::string> {
        auto password = secret.read(directory);
        if (!password) return password;
        return pipeline::basic_authorization(user, *password);
    };
    return std::make_shared<pipeline::Authorization>(std::move(read), services.disk);
}

pipeline::Compress compress_of(const OutputOptions& output)
{
    if (!output.gzip) return {};
    return [](const std::string& plain) { return gzip(plain, gzip_fast); };
}

namespace {

/// The header of key or user; null without either.
std::shared_ptr<pipeline::Authorization> elasticsearch_authorization(const OutputOptions& output,
                                                                     const SinkServices& services)
{
    if (!is_set(output.api_key)) return basic_of(output, services);
    auto read = [secret = output.api_key,
                 directory = services.credentials_directory]() -> Result<std::string> {
        auto key = secret.read(directory);
        if (!key) return key;
        return "ApiKey " + *key;
    };
    return std::make_shared<pipeline::Authorization>(std::move(read), services.disk);
}

// --- elasticsearch

Result<> check_elasticsearch(const OutputOptions& output) { return check_urls(output); }

std::unique_ptr<systemd::EntryWriter> elasticsearch_writer(const OutputOptions& output,
                                                           const pipeline::Labels& labels)
{
    pipeline::BulkOptions options;
    if (!output.index.empty()) options.index = output.index;
    options.document.labels = labels;
    options.document.raw_fields = output.raw_fields;
    return std::make_unique<pipeline::BulkWriter>(std::move(options));
}

std::unique_ptr<pipeline::Sink> elasticsearch_sink(const OutputOptions& output, const SinkServices& services)
{
    auto target = pipeline::bulk_target(http_target(output), static_cast<std::size_t>(output.batch.records));
    target.authorization = elasticsearch_authorization(output, services);
    pipeline::HttpPoster poster{services.executor, std::move(target), services.clock};
    return std::make_unique<pipeline::BulkSink>(std::move(poster), compress_of(output));
}

// --- file

Result<> check_file(const OutputOptions& output)
{
    if (!output.path.starts_with('/') || output.path.ends_with('/'))
        return wrong(output, "path must be a file's, from / on");
    if (!output.urls.empty() || !output.hosts.empty() || !output.user.empty() || is_set(output.password)
        || is_set(output.api_key))
        return wrong(output, "urls, hosts and credentials are for other types than file");
    return {};
}

std::unique_ptr<systemd::EntryWriter> file_writer(const OutputOptions& output, const pipeline::Labels& labels)
{
    pipeline::EcsOptions options;
    options.labels = labels;
    options.id = true;
    options.raw_fields = output.raw_fields;
    return std::make_unique<pipeline::EcsWriter>(options);
}

std::unique_ptr<pipeline::Sink> file_sink(const OutputOptions& output, const SinkServices& services)
{
    pipeline::FileSinkOptions options;
    options.path = output.path;
    options.max_size = static_cast<std::size_t>(output.max_size.count);
    return std::make_unique<pipeline::FileSink>(std::move(options), services.file);
}

std::chrono::milliseconds timeout_of(const OutputOptions& output) { return output.timeout; }

}  // namespace

const std::vector<Kind>& kinds()
{
    static const std::vector<Kind> all{
        {"elasticsearch", check_elasticsearch, elasticsearch_writer, elasticsearch_sink, timeout_of},
        splunk_kind(),
        logstash_kind(),
        beats_kind(),
        kafka_kind(),
        syslog_kind(),
        journal_kind(),
        {"file", check_file, file_writer, file_sink, timeout_of},
    };
    return all;
}

std::vector<std::string> kind_names()
{
    std::vector<std::string> names;
    for (const auto& kind : kinds())
        names.push_back(kind.name);
    return names;
}

const Kind* find_kind(std::string_view type)
{
    const auto& all = kinds();
    const auto kind = std::ranges::find(all, type, &Kind::name);
    return kind == all.end() ? nullptr : &*kind;
}

}  // namespace opsd::forward
