#include "io/mesos/task_lookup.hpp"

#include <utility>

namespace opsd::mesos {
namespace {

constexpr std::size_t most_jobs = 64;  // waiting for the thread

}  // namespace

TaskLookup::TaskLookup(const Executor& executor, Clock& clock, Fetch fetch, LookupOptions options)
  : clock_{clock}
  , fetch_{std::move(fetch)}
  , options_{options}
  , fetched_{executor, never}
  , worker_{"opsd-mesos-tasks", most_jobs}
{}

Task<Result<FoundTask>> TaskLookup::find(std::string wanted, std::string authorization)
{
    std::optional<Monotonic> than;
    for (;;) {
        const auto asked_at = clock_.monotonic();
        auto known = co_await state(authorization, than);
        if (!known) co_return fail(std::move(known).error());
        const auto at = (*known)->at;
        auto job = [known = std::move(*known), wanted] { return find_task(known->text, wanted); };
        auto found = co_await worker_.run(std::move(job));
        const bool old = at < asked_at && !than;
        if (found || found.error().code != Errc::not_found || !old) co_return found;
        than = at;
    }
}

Task<Result<std::vector<FoundTask>>> TaskLookup::list(bool completed, std::string authorization)
{
    auto known = co_await state(std::move(authorization), std::nullopt);
    if (!known) co_return fail(std::move(known).error());
    auto job = [known = std::move(*known), completed] { return list_tasks(known->text, completed); };
    auto listed = co_await worker_.run(std::move(job));
    co_return listed;
}

Task<Result<TaskLookup::StatePtr>> TaskLookup::state(std::string authorization, std::optional<Monotonic> than)
{
    for (;;) {
        const bool same = kept_ && kept_->authorization == authorization;
        const bool good =
            same && clock_.monotonic() - kept_->at < options_.keep && (!than || kept_->at > *than);
        if (good) co_return kept_;
        if (!fetching_) co_return co_await fetch(std::move(authorization));
        co_await wait_event(fetched_);
    }
}

Task<Result<TaskLookup::StatePtr>> TaskLookup::fetch(std::string authorization)
{
    // Whoever asked may leave: the others that wait must ask themselves then.
    struct Under {
        explicit Under(TaskLookup& whose) : lookup{whose} { lookup.fetching_ = true; }
        ~Under()
        {
            lookup.fetching_ = false;
            lookup.fetched_.cancel();
        }
        Under(const Under&) = delete;
        Under& operator=(const Under&) = delete;
        TaskLookup& lookup;
    };
    const Under under{*this};
    ++fetches_;
    const auto end = std::chrono::steady_clock::now() + options_.timeout;
    auto text = co_await fetch_(end, authorization);
    if (!text) co_return fail(std::move(text).error());
    kept_ =
        std::make_shared<const State>(State{std::move(*text), std::move(authorization), clock_.monotonic()});
    co_return kept_;
}

}  // namespace opsd::mesos
