#pragma once
// A Store that is there from the start, whatever its file is like: until the file can be opened every call
// fails with the reason, and opening is tried again. While it is being opened for the first time calls wait
// for that, but not for long: a disk that hangs must not hold up what works without it.
//
// Whoever writes keeps what it wants to be kept and tries again later, as it does when a disk is full for a
// while: so nothing has to be moved over when the file is opened at last.

#include "io/store/sqlite_store.hpp"
#include "opsd/log.hpp"

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace opsd {

class PatientStore final : public Store {
public:
    using Open = std::function<Task<Result<OpenedStore>>(StoreOptions, const Clock&, telemetry::Registry&)>;

    /// References outlive the store. Metrics: opsd_store_open, opsd_store_open_failures_total, and those of
    /// open_store().
    PatientStore(StoreOptions options, Clock& clock, telemetry::Registry& metrics, Log log,
                 Open open = open_store);

    /// Opens the file: at once, and again after 1 s, 2 s, ... 60 s until it is open; then it returns. An
    /// attempt that hangs is waited for, not repeated.
    Task<> run();
    /// Until the first attempt has ended, well or not, for at most `limit`.
    Task<> first_attempt(std::chrono::milliseconds limit);

    /// What is wrong, "" when all is well: why the file is not open, or that a damaged one was moved aside.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    Task<Result<>> migrate(std::string owner, std::vector<std::string> steps) override;
    Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows) override;
    Task<Result<Written>> write(std::vector<Statement> statements) override;

private:
    Task<> open();
    Task<Result<>> ready();

    StoreOptions options_;
    Clock& clock_;
    telemetry::Registry& metrics_;
    Log log_;
    Open open_store_;
    telemetry::Gauge& open_;
    telemetry::Counter& failures_;
    std::string problem_;
    bool first_ = true;        // the first attempt has not ended
    bool late_ = false;        // somebody waited for it in vain
    Monotonic patient_until_;  // calls wait for it until then
    std::list<asio::steady_timer*> waiting_;
    std::unique_ptr<Store> store_;  // null until it is open
};

}  // namespace opsd
