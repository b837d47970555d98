#pragma once
// The daemon's API as a command sees it: one call, one answer, or a sentence and an exit status.

#include "opsd/result.hpp"

#include <nlohmann/json_fwd.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

namespace opsd::cli {

/// How to reach the daemon: --url, else OPSD_URL, else the socket; --token-file, else OPSD_TOKEN.
struct Target {
    std::string url = "unix:/run/opsd/opsd.sock";  ///< or http://host:1050, https://host:1050
    std::string token;
    std::string ca_file;
    std::string ca_fingerprint;              ///< instead of ca_file: see net::TlsClientOptions
    std::string certificate_file, key_file;  ///< a client certificate to show
    std::chrono::milliseconds timeout{10'000};
};

struct Answer {
    unsigned status = 0;
    std::string body;
    [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
};

/// What is asked for that comes piece by piece.
struct StreamQuestion {
    std::string path;
    std::string accept;
    std::string last_id;                     ///< Last-Event-ID; "": none
    std::chrono::milliseconds idle{60'000};  ///< the longest silence
};

class Api {
public:
    explicit Api(Target target) : target_{std::move(target)} {}

    /// Any status is an answer. Errors: unavailable or timeout (not reachable), with what to do.
    Result<Answer> call(std::string_view method, const std::string& path, std::string body = {}) const;

    /// The JSON of a successful answer; otherwise the problem's sentence with its code (not_found, denied,
    /// ...).
    Result<nlohmann::json> json(std::string_view method, const std::string& path,
                                std::string body = {}) const;

    /// Hands the body of a successful answer on while it comes; `on_chunk` says false when it has enough.
    /// Redirects on the same host are followed. Errors: as those of json(); unavailable and timeout also when
    /// the answer is torn.
    Result<> stream(const StreamQuestion& question, std::function<bool(std::string_view)> on_chunk) const;

    [[nodiscard]] const Target& target() const noexcept { return target_; }

private:
    Target target_;
};

/// Percent-encodes one path segment or query value.
[[nodiscard]] std::string encode(std::string_view text);

/// The exit status that fits an error for commands that are not plugins.
[[nodiscard]] int exit_for(const Error& error);

}  // namespace opsd::cli
