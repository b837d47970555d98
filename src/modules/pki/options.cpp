#include "modules/pki/options.hpp"

namespace opsd::pki {

using config::between;
using config::Duration;
using namespace std::chrono_literals;

config::Schema<PkiOptions> schema()
{
    return config::Schema<PkiOptions>{}
        .field(&PkiOptions::directory, "directory",
               "Where `opsd cluster init` and `join` put this node's certificates",
               {"an absolute path", [](const std::string& path) { return path.starts_with('/'); }, {}})
        .field(&PkiOptions::certificate_lifetime, "certificate_lifetime",
               "How long a certificate lives that this node signs, for itself and for others",
               between(Duration{24h}, Duration{24h * 825}))
        .field(&PkiOptions::warn_before, "warn_before",
               "The module is degraded when a certificate of this node has less than this left",
               between(Duration{0}, Duration{24h * 365}))
        .field(&PkiOptions::join_tokens, "join_tokens", "Join tokens that may wait to be used",
               between<std::int64_t>(1, 10'000))
        .field(&PkiOptions::issued_certificates, "issued_certificates",
               "Running certificates that this node signed and remembers; beyond it no further node may join",
               between<std::int64_t>(1, 100'000));
}

}  // namespace opsd::pki
