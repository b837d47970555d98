#pragma once
// Follows the members: one task each, which asks for what changed since the last answer and lets the member
// hold its answer until there is something.
//
// In: addresses to follow, the HTTP client, time. Out: changes of the table, pages of transitions.
// Promises: a member that does not answer delays nobody: it has its own deadlines, and gives the place of a
// first contact back; one that was fresh a moment ago is asked again at once, and called stale after
// stale_after; what cannot be understood is a failure with its reason and never an empty picture; an answer
// that was overtaken by a newer one is dropped; nothing is fetched while the archive has no room.

#include "core/transition_text.hpp"
#include "modules/cluster/asking.hpp"
#include "modules/cluster/contact_slots.hpp"
#include "modules/cluster/table.hpp"
#include "opsd/log.hpp"
#include "opsd/task_group.hpp"
#include "opsd/worker.hpp"

#include <deque>
#include <functional>
#include <optional>
#include <random>

namespace opsd::cluster {

/// What following has cost so far.
struct FollowCounters {
    std::uint64_t answers = 0;    ///< documents
    std::uint64_t unchanged = 0;  ///< answers that nothing changed
    std::uint64_t bytes = 0;      ///< of documents
    std::uint64_t refreshes = 0;  ///< rounds that a client asked for
    std::uint64_t overtaken = 0;  ///< answers that came after a newer one
    std::uint64_t transitions = 0;
    std::map<std::string, std::uint64_t> failures;  ///< by kind
    std::size_t in_flight = 0;
    std::size_t held = 0;  ///< of these: answers that members hold
};

class Followers {
public:
    using Send = std::function<Task<Result<net::ClientResponse>>(net::ClientRequest)>;
    struct Parts {
        Executor executor;
        Clock& clock;
        Table& table;
        PullOptions options;
        Reach reach;
        std::int64_t backlog = 2'000;  ///< transitions of an unknown member that are asked for at most
        Send send;
        std::function<void(TableChanges)> changed;
        /// The newest transition of the member that is kept; nothing while there is no room for more.
        std::function<std::optional<std::int64_t>(const std::string& address)> kept;
        std::function<void(const std::string& address, TransitionPage page)> learned;
        Log log;
        std::uint32_t seed = 1;    ///< of the jitter
        std::string own_instance;  ///< a member that turns out to be this node is hardly asked any more
    };
    explicit Followers(Parts parts);
    ~Followers();

    /// Before run().
    void use_token(std::string token) { parts_.reach.token = std::move(token); }

    void follow(const std::string& address);
    /// Its question under way ends by itself.
    void unfollow(const std::string& address);

    /// Asks all members now. Rounds do not overlap: who asks while one is under way gets its result. An
    /// error: not all had answered or failed within `limit`; the round goes on.
    Task<Result<>> refresh_all(Duration limit);

    /// Lives until cancelled; what is to be followed before waits for it.
    Task<> run();

    [[nodiscard]] const FollowCounters& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t following() const noexcept { return followed_.size(); }
    [[nodiscard]] std::size_t contacts_waiting() const noexcept { return slots_.waiting(); }

private:
    struct Followed;
    struct Refresh;
    struct Flight;
    using Member = std::shared_ptr<Followed>;

    void start(const Member& one);
    Task<> follow_one(Member one);
    Task<Duration> ask_once(Member one);
    [[nodiscard]] Question question_for(const Followed& one);
    Task<Reply> ask(Question question);
    Task<Result<>> take_document(Member one, const Question& question, Reply reply, Monotonic begun);
    Task<Result<NodeDocument>> understand(std::string body);
    void took_unchanged(Followed& one);
    void answered(Followed& one);
    [[nodiscard]] Duration pause_after_success(const Followed& one, const Question& question,
                                               const Reply& reply, Monotonic begun);
    [[nodiscard]] Duration failed(Followed& one, const Question& question, const Reply& reply);
    [[nodiscard]] bool is_fresh(const std::string& address) const;
    [[nodiscard]] Duration jitter(Duration around);

    // rounds (refresh.cpp)
    Task<> refresh_round(std::shared_ptr<Refresh> round);
    Task<> refresh_some(std::shared_ptr<Refresh> round);
    Task<> refresh_one(Member one);

    // transitions (catch_up.cpp)
    void want_transitions(Followed& one);
    Task<> catch_up_loop();
    Task<Result<>> catch_up(Member one);

    Parts parts_;
    FollowCounters counters_;
    ContactSlots slots_;
    std::map<std::string, Member, std::less<>> followed_;
    TaskGroup group_;
    bool running_ = false;
    std::exception_ptr failure_;
    asio::steady_timer failed_event_;
    std::shared_ptr<Refresh> refresh_;
    std::deque<Member> behind_;
    asio::steady_timer behind_event_;
    std::minstd_rand random_;
    std::optional<WorkerThread> reader_;  // begun with the first large document
};

/// A member that is followed.
struct Followers::Followed {
    Followed(std::string where, const Executor& executor) : address{std::move(where)}, wake{executor, never}
    {}
    std::string address;
    asio::steady_timer wake;
    bool stopped = false;
    Speech speech = Speech::opsd;
    Monotonic speech_since{};
    bool holds = false;         // its answers
    std::string instance;       // of the newest document
    std::uint64_t version = 0;  // of it
    std::string etag;           // of a member that speaks as DC/OS does
    std::size_t body_hash = 0;  // of its last answer
    unsigned failures = 0;      // since the last answer
    std::optional<Monotonic> failing_since;
    std::int64_t told = 0;       // its newest transition, by its own word
    std::int64_t caught_up = 0;  // asked for up to here
    Monotonic next_catch_up{};
    bool is_behind = false;  // waits for its turn
};

}  // namespace opsd::cluster
