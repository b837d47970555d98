#pragma once
// What the kinds of outputs share, and those that are not in outputs.cpp. Private to this folder.

#include "io/net/client.hpp"
#include "modules/forward/outputs.hpp"
#include "pipeline/sinks/http_post.hpp"

#include <string_view>

namespace opsd::forward {

/// Errc::invalid_argument that names the output.
[[nodiscard]] std::unexpected<Error> wrong(const OutputOptions& output, std::string_view what);
[[nodiscard]] bool is_set(const config::Secret& secret);
/// How credentials are given, and over what.
Result<> check_credentials(const OutputOptions& output, bool any_clear);
/// At least one address by http:// or https://, and its credentials.
Result<> check_urls(const OutputOptions& output);
[[nodiscard]] net::TlsClientOptions tls_of(const OutputOptions& output);
/// Addresses, TLS and limits; credentials are the kind's own.
[[nodiscard]] pipeline::HttpTarget http_target(const OutputOptions& output);
/// The header of user and password; null without a user.
[[nodiscard]] std::shared_ptr<pipeline::Authorization> basic_of(const OutputOptions& output,
                                                                const SinkServices& services);
/// gzip, or nothing.
[[nodiscard]] pipeline::Compress compress_of(const OutputOptions& output);

// --- kinds_http.cpp
[[nodiscard]] Kind splunk_kind();
[[nodiscard]] Kind logstash_kind();
[[nodiscard]] Kind journal_kind();
// --- kinds_stream.cpp
[[nodiscard]] Kind beats_kind();
[[nodiscard]] Kind syslog_kind();
[[nodiscard]] Kind kafka_kind();

}  // namespace opsd::forward
