#pragma once
// A Store that is there from the start, whatever its file is like: until the file can be opened every call
// fails with the reason, and opening is tried again.
//
// Whoever writes keeps what it wants to be kept and tries again later, as it does when a disk is full for a
// while: so nothing has to be moved over when the file is opened at last.

#include "io/store/sqlite_store.hpp"
#include "opsd/log.hpp"

#include <memory>
#include <string>
#include <vector>

namespace opsd {

class PatientStore final : public Store {
public:
    /// References outlive the store. Metrics: opsd_store_open, opsd_store_open_failures_total, and those of
    /// open_store().
    PatientStore(StoreOptions options, Clock& clock, telemetry::Registry& metrics, Log log);

    /// The first attempt.
    Task<> open();
    /// Tries again after 1 s, 2 s, ... 60 s until the file is open; then it returns.
    Task<> run();

    /// What is wrong, "" when all is well: why the file is not open, or that a damaged one was moved aside.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

    Task<Result<>> migrate(std::string owner, std::vector<std::string> steps) override;
    Task<Result<std::vector<Row>>> read(Statement query, std::size_t max_rows) override;
    Task<Result<Written>> write(std::vector<Statement> statements) override;

private:
    [[nodiscard]] std::unexpected<Error> closed() const { return fail(Errc::unavailable, problem_); }

    StoreOptions options_;
    Clock& clock_;
    telemetry::Registry& metrics_;
    Log log_;
    telemetry::Gauge& open_;
    telemetry::Counter& failures_;
    std::string problem_ = "cannot use the store: it is not open yet";
    std::unique_ptr<Store> store_;  // null until it is open
};

}  // namespace opsd
