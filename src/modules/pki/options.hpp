#pragma once
// Options of module pki.

#include "opsd/config.hpp"

#include <string>

namespace opsd::pki {

struct PkiOptions {
    std::string directory = "/etc/opsd/cluster";
    config::Duration certificate_lifetime{365LL * 24 * 3600 * 1000};
    config::Duration warn_before{30LL * 24 * 3600 * 1000};
    std::int64_t join_tokens = 100;
    std::int64_t issued_certificates = 10'000;
};

config::Schema<PkiOptions> schema();

}  // namespace opsd::pki
