#include "io/store/patient_store.hpp"

#include <algorithm>

namespace opsd {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 1'000ms;
constexpr auto longest_pause = 60'000ms;
constexpr auto patience = 2'000ms;        // of calls, with the first attempt
constexpr std::size_t most_waiting = 64;  // calls that have it

}  // namespace

PatientStore::PatientStore(StoreOptions options, Clock& clock, telemetry::Registry& metrics, Log log,
                           Open open)
  : options_{std::move(options)}
  , clock_{clock}
  , metrics_{metrics}
  , log_{std::move(log)}
  , open_store_{std::move(open)}
  , open_{metrics.gauge("opsd_store_open", "0 while the state file cannot be opened; it is tried again")}
  , failures_{metrics.counter("opsd_store_open_failures_total",
                              "Attempts to open the state file that failed")}
  , problem_{"cannot use " + options_.path + ": it is still being opened; the disk may be slow or hang"}
  , patient_until_{clock.monotonic() + patience}
{}

Task<> PatientStore::open()
{
    auto opened = co_await open_store_(options_, clock_, metrics_);
    if (opened) {
        if (!first_ || late_) log_.info("{} is open now", options_.path);
        problem_ = std::move(opened->warning);
        if (!problem_.empty()) log_.warning("{}", problem_);
        store_ = std::move(opened->store);
        open_.set(1);
    } else {
        failures_.add();
        const auto& why = opened.error().message;
        if (why != problem_) log_.warning("{}", why);
        problem_ = why;
    }
    first_ = false;
    for (auto* waiting : waiting_)
        waiting->cancel();
}

Task<> PatientStore::run()
{
    co_await open();
    for (auto pause = first_pause; !store_; pause = std::min(pause * 2, longest_pause)) {
        co_await clock_.sleep_for(pause);
        co_await open();
    }
}

Task<> PatientStore::first_attempt(std::chrono::milliseconds limit)
{
    if (!first_) co_return;
    struct Place {
        Place(std::list<asio::steady_timer*>& of, asio::steady_timer& event)
          : all{of}
          , here{of.insert(of.end(), &event)}
        {}
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;
        ~Place() { all.erase(here); }
        std::list<asio::steady_timer*>& all;
        std::list<asio::steady_timer*>::iterator here;
    };
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer ended{executor, never};
    const Place place{waiting_, ended};
    co_await clock_.wait_for(ended, limit);
    if (!first_ || late_) co_return;
    late_ = true;
    log_.warning("{}", problem_);
}

Task<Result<>> PatientStore::ready()
{
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(patient_until_ - clock_.monotonic());
    if (first_ && left.count() > 0 && waiting_.size() < most_waiting) co_await first_attempt(left);
    if (!store_) co_return fail(Errc::unavailable, problem_);
    co_return Result<>{};
}

Task<Result<>> PatientStore::migrate(std::string owner, std::vector<std::string> steps)
{
    auto open = co_await ready();
    if (!open) co_return open;
    auto done = co_await store_->migrate(std::move(owner), std::move(steps));
    co_return done;
}

Task<Result<std::vector<Row>>> PatientStore::read(Statement query, std::size_t max_rows)
{
    auto open = co_await ready();
    if (!open) co_return fail(std::move(open).error());
    auto rows = co_await store_->read(std::move(query), max_rows);
    co_return rows;
}

Task<Result<Written>> PatientStore::write(std::vector<Statement> statements)
{
    auto open = co_await ready();
    if (!open) co_return fail(std::move(open).error());
    auto written = co_await store_->write(std::move(statements));
    co_return written;
}

}  // namespace opsd
