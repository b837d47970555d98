#pragma once
// Module pki: the authority of a cluster's certificates, on the node that has its key, and a watch over the
// certificates of every node.
//
// What comes in
//   Join tokens, asked for by an admin; requests for certificates, from new nodes with a token and from nodes
//   whose certificate still runs. The files below pki.directory, read anew at each call: what `opsd cluster
//   init`, `join` and `renew` write is in force without a reload of this module.
//
// What goes out
//   Certificates with names that the one who asks may have (policy) and no other key has (ledger), join
//   tokens (tokens), metrics, a degraded state when a certificate of this node ends soon or no further one
//   can be signed.
//
// What it promises
//   - A token signs so many certificates as was said, also when two nodes use it at the same time.
//   - Nobody gets a name of the signing node, of loopback, or a certificate that outlives the authority.
//   - Nobody gets a name of a node whose certificate runs, but with a token that an admin made for that.
//   - What is signed is in the ledger before it is handed out.
//   - A private key never leaves its node; the authority's is read when it is needed and not kept.
//   - Foreign bytes reach OpenSSL only after a good token (or, to renew, from a caller who may read).
//   - Reading files and signing happen on a thread of their own.

#include "http/auth_limit.hpp"
#include "modules/pki/files.hpp"
#include "modules/pki/ledger.hpp"
#include "modules/pki/options.hpp"
#include "modules/pki/tokens.hpp"
#include "opsd/module.hpp"
#include "opsd/worker.hpp"

#include <memory>

namespace opsd::pki {

/// What the routes and the watch share.
struct Core {
    Core(PkiOptions wanted, Services& given);

    PkiOptions options;
    NodeFiles files;
    Services& services;
    Tables tables;
    JoinTokens tokens;
    Ledger ledger;
    http::FailureLimiter failures;
    RetiringWorker thread;
    telemetry::Counter& joined;
    telemetry::Counter& renewed;
    telemetry::Counter& refused;
};

class PkiModule final : public Module {
public:
    PkiModule(PkiOptions options, Services& services);

    std::vector<http::Route> routes() override;
    Task<> run() override;

private:
    std::shared_ptr<Core> core_;
};

/// The rows of the route table; handlers keep `core` alive.
std::vector<http::Route> routes_of(const std::shared_ptr<Core>& core);

/// The module's line in the catalog.
[[nodiscard]] CatalogEntry catalog_entry();

}  // namespace opsd::pki
