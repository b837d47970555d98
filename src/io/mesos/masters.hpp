#pragma once
// Asks the leading Mesos master. Any master may be asked first: a standby answers 307 with a scheme-relative
// Location, which is followed here under rules of its own (docs: spec mesos.md, section 6).

#include "io/mesos/documents.hpp"
#include "io/net/client.hpp"
#include "io/net/transport.hpp"
#include "io/net/url.hpp"
#include "opsd/async.hpp"
#include "opsd/config.hpp"
#include "opsd/worker.hpp"

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::mesos {

/// How requests are authenticated; without a secret they are not.
struct Credentials {
    enum class Scheme {
        basic,   ///< user and password (Mesos' own)
        bearer,  ///< Authorization: Bearer TOKEN
        dcos,    ///< Authorization: token=TOKEN
    };
    Scheme scheme = Scheme::basic;
    std::string user;
    config::Secret secret;              ///< read anew for every round, so that it may be exchanged
    std::string credentials_directory;  ///< $CREDENTIALS_DIRECTORY
};

struct MastersOptions {
    std::vector<std::string> urls;  ///< base URLs, http or https; a path (of a proxy) is kept
    Credentials credentials;
    std::size_t max_body = 64U << 20U;
    std::size_t max_agents = most_agents;
    int max_hops = 3;  ///< redirects followed from one master
    net::TlsClientOptions tls;
};

/// The masters of one cluster. Credentials (and the client certificate) go to those that the options or
/// named() gave, never to a host that only a redirect named. Loop thread only; questions may overlap.
/// Errors: unavailable (nobody answers, no leader, a leader that died and is still named), timeout, denied
/// (401, 403, TLS), not_found (the master does not know the path), protocol (an answer that cannot be read).
class MesosMasters {
public:
    /// `worker` parses what is too large for the loop, and reads the secret.
    MesosMasters(const Executor& executor, MastersOptions options, WorkerThread& worker);

    /// The masters that ZooKeeper knows now: asked (after those of the options) and trusted like those.
    /// `scheme` is "http" or "https"; with https they are asked by name, for their certificates' sake.
    void named(const std::vector<Master>& masters, std::string_view scheme);
    /// Whether there is anybody to ask.
    [[nodiscard]] bool any() const noexcept { return !configured_.empty() || !named_.empty(); }
    /// Counts the changes that named() made; changed() returns when it is no longer `seen`.
    [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
    Task<> changed(std::uint64_t seen);

    // --- `end` is the deadline of a question: all masters, redirects and the answer together
    /// GET_MASTER. A leader that has not read its registry yet is unavailable, while /slaves of the same
    /// leader is an empty list: ask this first.
    Task<Result<Master>> leader(net::Deadline end);
    /// GET /slaves.
    Task<Result<AgentList>> agents(net::Deadline end);
    /// GET /state, many times as large: for masters that answer not_found to the others.
    Task<Result<MasterState>> state(net::Deadline end);
    /// The same as it came, for who reads something else in it. `authorization` is sent where the options
    /// have no credentials; "" for none.
    Task<Result<std::string>> state_text(net::Deadline end, std::string authorization);

private:
    struct Question {
        std::string method = "GET";
        std::string path;  ///< "/master/slaves"
        std::string body;
        std::string authorization = {};  ///< instead of that of the options, if they have none
    };
    /// One question on its way through the masters.
    struct Round {
        const Question& question;
        net::Deadline deadline;  ///< of the master in hand
        std::string authorization;
        std::set<std::string> dead;  ///< origins that a redirect named and nobody answers at
    };

    Task<Result<std::string>> ask(Question question, net::Deadline end);
    Task<Result<std::string>> ask_one(Round& round, net::Url at);
    Task<Result<net::ClientResponse>> send(const Round& round, const net::Url& at);
    Task<Result<std::string>> authorization();
    [[nodiscard]] std::vector<net::Url> candidates() const;
    [[nodiscard]] bool trusted(const net::Url& at) const;
    [[nodiscard]] Result<net::Url> next_hop(const Round& round, const net::Url& from,
                                            const net::ClientResponse& answer) const;
    [[nodiscard]] Result<std::string> judge(const Round& round, const net::Url& at,
                                            net::ClientResponse answer) const;

    MastersOptions options_;
    WorkerThread& worker_;
    net::HttpClient client_;
    net::HttpClient stranger_;  ///< without our certificate, for hosts that only a redirect named
    std::vector<net::Url> configured_;
    std::vector<net::Url> named_;
    std::vector<net::Url> also_trusted_;  ///< other addresses of the named
    std::uint64_t version_ = 0;
    asio::steady_timer news_;
    std::string last_good_;  ///< origin of the master that answered last
};

}  // namespace opsd::mesos
