#pragma once
// The audit log: one JSON object per line, append-only, synced. The loop only queues; a thread writes. When
// the disk is full the entries wait, then the newest are dropped and counted, and the file says how many are
// missing.

#include "http/auth.hpp"
#include "opsd/clock.hpp"
#include "opsd/log.hpp"
#include "opsd/queue.hpp"
#include "opsd/telemetry.hpp"
#include "opsd/worker.hpp"

#include <string>
#include <vector>

namespace opsd::http {

struct AuditOptions {
    std::string path = "/var/lib/opsd/audit.log";
    std::size_t max_bytes = 16 << 20;  ///< then it becomes PATH.1
    std::size_t queue = 4096;          ///< entries that may wait
    /// Refusals (401, 403, and every failure of a caller below operator) written per ten seconds, counted
    /// apart for callers without credentials; the rest are folded into one line with their number, so that
    /// nobody rotates the evidence away by knocking.
    std::size_t refusals = 100;
    std::chrono::milliseconds retry{1000};  ///< after a failed write
};

class AuditLog final : public AuditSink {
public:
    AuditLog(Executor executor, AuditOptions options, Clock& clock, telemetry::Registry& metrics, Log log);

    void record(const Request& request, unsigned status, std::string_view outcome) override;

    /// Writes until close(), then what is left. Runs in the daemon's group; cancel it only when it must end
    /// now.
    Task<> run();
    void close();

private:
    [[nodiscard]] bool fold(const Caller& caller, unsigned status);
    void push(std::string line);
    void note_dropped();
    Task<> write(std::vector<std::string> batch);

    AuditOptions options_;
    Clock& clock_;
    Log log_;
    BoundedQueue<std::string> waiting_;
    telemetry::Counter& written_;
    telemetry::Counter& dropped_;
    telemetry::Counter& folded_;
    Monotonic window_begin_{};
    std::size_t anonymous_in_window_ = 0;  ///< listed
    std::size_t known_in_window_ = 0;      ///< listed
    std::uint64_t folded_in_window_ = 0;
    std::uint64_t dropped_since_ = 0;
    bool closing_ = false;
    WorkerThread thread_;
};

}  // namespace opsd::http
