#pragma once
// What `opsd cluster` puts on disk: certificates and keys, and the configuration that uses them. Nothing that
// exists is overwritten.

#include "io/files/files.hpp"
#include "io/pki/pki.hpp"
#include "modules/pki/files.hpp"
#include "opsd/config.hpp"

#include <string>
#include <vector>

namespace opsd::cli {

struct NewFile {
    std::string path;
    std::string content;
    unsigned mode = 0644;
    bool secret = false;  ///< belongs to the daemon's account, which alone may read it
};

/// Writes all of them, or none: what was written is taken away again when a later one fails. `owner` is whose
/// the secret ones are; the others belong to the caller.
Result<> write_new(const std::vector<NewFile>& files, files::Owner owner);

/// Errc::invalid_argument naming the first path that is there, with what to do.
Result<> none_exists(const std::vector<std::string>& paths);

/// The account of the daemon. Errc::not_found when there is none of that name, denied for who may not give it
/// files.
Result<files::Owner> owner_of(const std::string& account);

/// This node's names for its certificate: host name, fully qualified name where the resolver knows it, and
/// what was given. The first host is the common name.
Result<pki::Names> node_names(const std::vector<std::string>& given);

/// The YAML that makes opsd use the files: listeners on loopback and, with TLS, on every address; role viewer
/// for the cluster's nodes.
[[nodiscard]] std::string cluster_config(const std::string& cluster, const pki::NodeFiles& files,
                                         const std::vector<std::string>& addresses, int port);

/// May cluster.yaml be added? Errc::invalid_argument when it exists, or when the configuration has listeners
/// or certificates already, which it would replace.
Result<> config_is_free(const config::Sources& sources);

/// How long a certificate lives that is signed here: pki.certificate_lifetime.
Result<config::Duration> certificate_lifetime(const config::Sources& sources);

/// Writes it into conf.d, and takes it back when the configuration is not good with it.
Result<> write_config(const config::Sources& sources, const std::string& text);

/// "198.18.0.1", "[fd00::1]".
[[nodiscard]] std::string in_url(const std::string& host);

}  // namespace opsd::cli
