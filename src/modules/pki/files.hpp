#pragma once
// Which files a node's identity in its cluster is made of. These calls block.

#include "io/pki/pki.hpp"

#include <string>

namespace opsd::pki {

/// The paths, below one directory.
struct NodeFiles {
    explicit NodeFiles(std::string folder);
    std::string directory;
    std::string authority;      ///< ca.crt: the authority's certificate
    std::string authority_key;  ///< ca.key: on the node that signs, only
    std::string certificate;    ///< node.crt: this node's, then the authority's
    std::string key;            ///< node.key
    std::string issuer;         ///< issuer: the URL of the node that signs
};

/// What a node has, as PEM.
struct NodeIdentityFiles {
    std::string authority;
    std::string certificate;
};

/// Errc::not_found when this node is in no cluster.
Result<NodeIdentityFiles> read_identity(const NodeFiles& files);

/// The authority with its key. Errc::not_found on a node that has none.
Result<Authority> read_authority(const NodeFiles& files);

/// The URL of the node that signs: https, host and port.
Result<std::string> read_issuer(const NodeFiles& files);

}  // namespace opsd::pki
