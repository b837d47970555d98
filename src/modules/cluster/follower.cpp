#include "modules/cluster/follower.hpp"

#include "core/first_of.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::cluster {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t parsed_here = 256 * 1024;  // a larger document is read on a thread
constexpr Duration first_retry = 200ms;          // of a member that was fresh a moment ago
constexpr Duration speech_time = 5min;           // then a member that spoke as DC/OS does is asked for more
constexpr Duration own_interval = 1min;          // of another address of this node, which may move
constexpr int catch_up_tasks = 8;

/// Counts a question for as long as it is under way.
struct Counted {
    explicit Counted(std::size_t& n) : number{n} { ++number; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { --number; }
    std::size_t& number;
};

/// Labels and verdicts were made on the thread; what they share is decided on the loop.
void share(NodeDocument& document, TextPool& pool)
{
    for (auto& unit : document.units) {
        unit.label = pool.label(*unit.label);
        unit.verdict = pool.verdict(*unit.verdict);
    }
}

}  // namespace

Followers::Followers(Parts parts)
  : parts_{std::move(parts)}
  , slots_{parts_.executor, parts_.clock, static_cast<std::size_t>(parts_.options.first_contacts),
           parts_.options.first_contact_time}
  , group_{parts_.executor,
           [this](std::string_view, std::exception_ptr e) {
               if (!failure_) failure_ = std::move(e);
               failed_event_.cancel();
           }}
  , failed_event_{parts_.executor, never}
  , behind_event_{parts_.executor, never}
  , random_{parts_.seed}
{}

Followers::~Followers() = default;

void Followers::follow(const std::string& address)
{
    auto& one = followed_[address];
    if (one) {
        one->stopped = false;  // its task has not ended yet
        one->caught_up = 0;
        return;
    }
    one = std::make_shared<Followed>(address, parts_.executor);
    if (running_) start(one);
}

void Followers::unfollow(const std::string& address)
{
    const auto known = followed_.find(address);
    if (known == followed_.end()) return;
    const auto one = known->second;
    one->stopped = true;
    one->wake.cancel();
    if (!running_) followed_.erase(known);
}

void Followers::start(const Member& one) { group_.spawn("follow " + one->address, follow_one(one)); }

Task<> Followers::run()
{
    running_ = true;
    group_.spawn("contact slots", slots_.run());
    for (int i = 0; i < catch_up_tasks; ++i)
        group_.spawn("catch up", catch_up_loop());
    const auto all = followed_;
    for (const auto& [address, one] : all)
        start(one);
    std::exception_ptr ended;
    try {
        while (!failure_)
            co_await wait_event(failed_event_);
    } catch (...) {
        ended = std::current_exception();
    }
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    group_.cancel();
    co_await group_.join();
    running_ = false;
    std::rethrow_exception(failure_ ? failure_ : ended);
}

Task<> Followers::follow_one(Member one)
{
    while (!one->stopped) {
        const auto pause = co_await ask_once(one);
        if (one->stopped || pause.count() <= 0) continue;
        if (pause < 1s)
            co_await parts_.clock.sleep_for(pause);
        else
            co_await first_of(parts_.clock.sleep_for(pause), wait_event(one->wake));
    }
    const auto known = followed_.find(one->address);
    if (known != followed_.end() && known->second == one) followed_.erase(known);
}

bool Followers::is_fresh(const std::string& address) const
{
    const auto member = parts_.table.find(address);
    return member && member->freshness == Freshness::fresh;
}

Duration Followers::jitter(Duration around)
{
    std::uniform_int_distribution<Duration::rep> share{around.count() * 3 / 4, around.count() * 5 / 4};
    return Duration{share(random_)};
}

Question Followers::question_for(const Followed& one)
{
    const auto& options = parts_.options;
    Question question;
    question.address = one.address;
    question.speech = one.speech;
    question.connect = options.connect_timeout;
    question.first_byte = options.answer_timeout;
    question.rest = options.answer_timeout;
    question.max_body = options.max_document.count;
    if (!is_fresh(one.address)) return question;
    question.held = one.speech == Speech::dcos ? one.etag : parts_.table.held(one.address);
    if (one.failing_since) {
        // It answered a moment ago: as long as it is not called stale, it is asked without patience.
        const auto left = *one.failing_since + options.stale_after - parts_.clock.monotonic();
        const auto limit = std::max(std::chrono::ceil<Duration>(left), Duration{250ms});
        question.connect = std::min(question.connect, limit);
        question.first_byte = std::min(question.first_byte, limit);
        return question;
    }
    // Not all at the same time: the answers of a thousand quiet members are spread by it.
    if (one.speech == Speech::opsd && !question.held.empty())
        question.wait = std::max(Duration{1s}, std::min(options.wait, jitter(options.wait * 4 / 5)));
    return question;
}

Task<Reply> Followers::ask(Question question)
{
    const Counted flight{counters_.in_flight};
    std::size_t none = 0;
    const Counted held{question.wait.count() > 0 ? counters_.held : none};
    auto response = co_await parts_.send(request_of(question, parts_.reach));
    co_return reply_of(question, std::move(response));
}

/// The pause until the next question.
Task<Duration> Followers::ask_once(Member one)
{
    std::uint64_t ticket = 0;
    if (!is_fresh(one->address)) ticket = co_await slots_.take();
    if (one->stopped) {
        slots_.give_back(ticket);
        co_return Duration{0};
    }
    if (one->speech == Speech::dcos && parts_.clock.monotonic() - one->speech_since > speech_time)
        one->speech = Speech::opsd;
    const auto question = question_for(*one);
    const auto begun = parts_.clock.monotonic();
    auto reply = co_await ask(question);
    slots_.give_back(ticket);
    if (one->stopped) co_return Duration{0};
    if (reply.kind == Reply::Kind::missing && question.speech == Speech::opsd) {
        one->speech = Speech::dcos;
        one->speech_since = parts_.clock.monotonic();
        co_return Duration{0};
    }
    if (reply.kind == Reply::Kind::unchanged) {
        took_unchanged(*one);
        co_return pause_after_success(*one, question, reply, begun);
    }
    if (reply.kind == Reply::Kind::document) {
        const auto about = Reply{.kind = reply.kind, .etag = reply.etag, .holds = reply.holds};
        auto taken = co_await take_document(one, question, std::move(reply), begun);
        if (taken) co_return pause_after_success(*one, question, about, begun);
        reply = Reply{};
        reply.failure = taken.error().code == Errc::unavailable ? "busy" : "document";
        reply.why = std::move(taken).error();
    }
    co_return failed(*one, question, reply);
}

Task<Result<NodeDocument>> Followers::understand(std::string body)
{
    if (body.size() <= parsed_here) co_return read_document(body, parts_.table.pool());
    auto work = [text = std::move(body)] {
        TextPool pool;
        return read_document(text, pool);
    };
    if (!reader_) reader_.emplace("opsd-cluster", 64);
    auto document = co_await reader_->run(std::move(work));
    if (document) share(*document, parts_.table.pool());
    co_return document;
}

Task<Result<>> Followers::take_document(Member one, const Question& question, Reply reply, Monotonic begun)
{
    const auto ended = parts_.clock.monotonic();
    const auto now = parts_.clock.now();
    counters_.bytes += reply.body.size();
    const bool plain = question.speech == Speech::dcos;
    const auto hash = plain ? std::hash<std::string>{}(reply.body) : 0;
    if (plain && hash == one->body_hash && is_fresh(one->address)) {
        took_unchanged(*one);
        co_return Result<>{};
    }
    auto document = co_await understand(std::move(reply.body));
    if (!document) co_return fail(std::move(document).error());
    if (one->stopped) co_return Result<>{};
    ++counters_.answers;
    const bool same_run = !document->instance.empty() && document->instance == one->instance;
    if (same_run
        && (document->version < one->version || (document->version == one->version && document->base > 0))) {
        ++counters_.overtaken;
        answered(*one);
        co_return Result<>{};
    }
    // A held answer was made just before it came; another one in the middle of the exchange.
    const auto half = question.wait.count() > 0 ? Monotonic{0} : (ended - begun) / 2;
    const auto offset = document->time == WallTime{}
                            ? Duration{0}
                            : std::chrono::duration_cast<Duration>(document->time - (now - half));
    const auto instance = document->instance;
    const auto version = document->version;
    const auto told = document->last_transition;
    auto changes = parts_.table.answered(one->address, std::move(*document), now, offset);
    if (!changes && changes.error().code == Errc::protocol) {
        one->instance.clear();  // a partial picture that does not fit: the whole one is asked for next
        answered(*one);
        co_return Result<>{};
    }
    if (!changes) co_return Result<>{};                 // it was removed meanwhile
    if (one->instance != instance) one->caught_up = 0;  // perhaps another machine, with numbers of its own
    one->instance = instance;
    one->version = version;
    one->etag = plain ? reply.etag : std::string{};
    one->body_hash = hash;
    one->told = told;
    answered(*one);
    parts_.changed(std::move(*changes));
    co_return Result<>{};
}

void Followers::took_unchanged(Followed& one)
{
    ++counters_.unchanged;
    answered(one);
    parts_.changed(parts_.table.unchanged(one.address, parts_.clock.now()));
}

void Followers::answered(Followed& one)
{
    one.failures = 0;
    one.failing_since.reset();
    if (one.told > one.caught_up) want_transitions(one);
}

Duration Followers::pause_after_success(const Followed& one, const Question& question, const Reply& reply,
                                        Monotonic begun)
{
    const auto& options = parts_.options;
    if (question.speech == Speech::dcos) return jitter(options.poll_interval);
    if (!one.instance.empty() && one.instance == parts_.own_instance) return jitter(own_interval);
    const auto spent = std::chrono::duration_cast<Duration>(parts_.clock.monotonic() - begun);
    const auto pace = std::max(options.min_interval - spent, Duration{0});
    if (question.wait.count() == 0) {
        // The next question is one that it may hold.
        return question.held.empty() && !parts_.table.held(one.address).empty() ? Duration{0} : pace;
    }
    return reply.holds ? pace : jitter(options.poll_interval);
}

Duration Followers::failed(Followed& one, const Question& question, const Reply& reply)
{
    const auto& options = parts_.options;
    const auto now = parts_.clock.monotonic();
    ++counters_.failures[reply.failure];
    ++one.failures;
    if (is_fresh(one.address)) {
        if (!one.failing_since) {
            // A held answer that times out: its connection has been dead for most of the patience already.
            const bool silent = question.wait.count() > 0 && reply.why.code == Errc::timeout;
            one.failing_since = silent ? now - options.stale_after * 4 / 5 : now;
        }
        const auto left = std::chrono::ceil<Duration>(*one.failing_since + options.stale_after - now);
        if (left.count() > 0) {
            if (one.failures == 1) return Duration{0};
            const auto pause = first_retry * (1U << std::min(one.failures - 2, 4U));
            return std::min(jitter(pause), left);
        }
    }
    one.failing_since.reset();
    one.speech = Speech::opsd;  // when it comes back it may be another program
    parts_.changed(parts_.table.failed(one.address, reply.why.message, parts_.clock.now()));
    const auto doubled = options.retry_min * (1U << std::min(one.failures > 0 ? one.failures - 1 : 0U, 16U));
    return jitter(std::min<Duration>(doubled, options.retry_max));
}

}  // namespace opsd::cluster
