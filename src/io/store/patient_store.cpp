#include "io/store/patient_store.hpp"

#include <algorithm>

namespace opsd {
namespace {

using namespace std::chrono_literals;

constexpr auto first_pause = 1'000ms;
constexpr auto longest_pause = 60'000ms;

}  // namespace

PatientStore::PatientStore(StoreOptions options, Clock& clock, telemetry::Registry& metrics, Log log)
  : options_{std::move(options)}
  , clock_{clock}
  , metrics_{metrics}
  , log_{std::move(log)}
  , open_{metrics.gauge("opsd_store_open", "0 while the state file cannot be opened; it is tried again")}
  , failures_{
        metrics.counter("opsd_store_open_failures_total", "Attempts to open the state file that failed")}
{}

Task<> PatientStore::open()
{
    auto opened = co_await open_store(options_, clock_, metrics_);
    if (!opened) {
        failures_.add();
        const auto& why = opened.error().message;
        if (why != problem_) log_.warning("{}", why);
        problem_ = why;
        co_return;
    }
    if (failures_.value() > 0) log_.info("{} is open now", options_.path);
    problem_ = std::move(opened->warning);
    if (!problem_.empty()) log_.warning("{}", problem_);
    store_ = std::move(opened->store);
    open_.set(1);
}

Task<> PatientStore::run()
{
    for (auto pause = first_pause; !store_; pause = std::min(pause * 2, longest_pause)) {
        co_await clock_.sleep_for(pause);
        co_await open();
    }
}

Task<Result<>> PatientStore::migrate(std::string owner, std::vector<std::string> steps)
{
    if (!store_) co_return closed();
    auto done = co_await store_->migrate(std::move(owner), std::move(steps));
    co_return done;
}

Task<Result<std::vector<Row>>> PatientStore::read(Statement query, std::size_t max_rows)
{
    if (!store_) co_return closed();
    auto rows = co_await store_->read(std::move(query), max_rows);
    co_return rows;
}

Task<Result<Written>> PatientStore::write(std::vector<Statement> statements)
{
    if (!store_) co_return closed();
    auto written = co_await store_->write(std::move(statements));
    co_return written;
}

}  // namespace opsd
