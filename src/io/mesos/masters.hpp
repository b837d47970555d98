#pragma once
// Asks the leading Mesos master. Any master may be asked first: a standby answers 307 with a scheme-relative
// Location, which is followed here under rules of its own (docs: spec mesos.md, section 6).

#include "io/mesos/documents.hpp"
#include "io/net/client.hpp"
#include "io/net/incoming.hpp"
#include "io/net/transport.hpp"
#include "io/net/url.hpp"
#include "opsd/async.hpp"
#include "opsd/config.hpp"
#include "opsd/worker.hpp"

#include <cstdint>
#include <memory>
#include <optional>
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

/// Somebody else's question, handed on to the leader as it is.
struct PassedQuestion {
    std::string method = "GET";
    std::string path;                                               ///< "/master/state", without parameters
    std::vector<std::pair<std::string, std::string>> headers = {};  ///< Accept, Content-Type
    std::string body = {};
    /// The value of that header instead of our credentials, "" for none; it goes where ours would go.
    std::optional<std::string> authorization = {};
    std::chrono::milliseconds idle{10'000};  ///< the longest silence in the answer
    std::size_t max_answer = 1U << 30U;      ///< bytes of its body
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
    /// Any other question that is answered in JSON, to /master/api/v1: {"type":"GET_FRAMEWORKS"}.
    Task<Result<std::string>> call(std::string body, net::Deadline end);
    /// The leader's answer to somebody else's question, whatever its status (but for 502, 503 and 504: then
    /// the next master is asked); `end` is for its head.
    Task<Result<std::unique_ptr<net::Incoming>>> pass(PassedQuestion passed, net::Deadline end);

    /// Whether the one who answered last is the options' or named()'s, not only a redirect's: whom he names
    /// may be shown the credentials, too.
    [[nodiscard]] bool answered_by_trusted() const noexcept { return answered_by_trusted_; }
    /// What is sent to those who may see it, "" without a secret. Read anew each time.
    Task<Result<std::string>> authorization();

private:
    using Opened = std::unique_ptr<net::Incoming>;
    struct Question {
        std::string method = "GET";
        std::string path;  ///< "/master/slaves"
        std::string body;
        std::vector<std::pair<std::string, std::string>> headers = {};  ///< beside the credentials
        std::optional<std::string> authorization = {};                  ///< instead of ours
        std::string stand_in = {};                                      ///< where we have none
        std::chrono::milliseconds idle{0};                              ///< of an answer that is passed on
        std::size_t max_body = 0;
    };
    /// One question on its way through the masters.
    struct Round {
        const Question& question;
        net::Deadline deadline;  ///< of the master in hand
        std::string authorization;
        std::set<std::string> dead;  ///< origins that a redirect named and nobody answers at
    };

    /// Who answered in the end.
    template <class Answer>
    struct Reached {
        net::Url at;
        Answer answer;
    };
    template <class Answer>
    using Send = Task<Result<Answer>> (MesosMasters::*)(const Round&, const net::Url&);
    template <class Answer>
    using AskOne = Task<Result<Answer>> (MesosMasters::*)(Round&, net::Url);

    template <class Answer>
    Task<Result<Answer>> by_turns(Question question, net::Deadline end, AskOne<Answer> ask_this_one);
    template <class Answer>
    Task<Result<Reached<Answer>>> reach(Round& round, net::Url at, Send<Answer> send_it);

    [[nodiscard]] Question question_of(std::string method, std::string path, std::string body) const;
    Task<Result<std::string>> ask(Question question, net::Deadline end);
    Task<Result<std::string>> ask_one(Round& round, net::Url at);
    Task<Result<Opened>> pass_one(Round& round, net::Url at);
    Task<Result<net::ClientResponse>> send(const Round& round, const net::Url& at);
    Task<Result<Opened>> open(const Round& round, const net::Url& at);
    [[nodiscard]] net::ClientRequest request_of(const Round& round, const net::Url& at) const;
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
    bool answered_by_trusted_ = false;
};

}  // namespace opsd::mesos
