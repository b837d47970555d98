#pragma once
// The Store over SQLite on a worker thread. WAL, synchronous=FULL, busy timeout, foreign keys on, bounded
// file size.

#include "opsd/clock.hpp"
#include "opsd/store.hpp"
#include "opsd/telemetry.hpp"

#include <chrono>
#include <memory>
#include <string>

namespace opsd {

struct StoreOptions {
    std::string path = "/var/lib/opsd/state.db";
    std::uint64_t max_bytes = 256ULL << 20;  ///< PRAGMA max_page_count: beyond it writes fail as "full"
    std::chrono::milliseconds statement_timeout{5000};  ///< a longer statement is interrupted
    std::chrono::milliseconds check_timeout{
        200};  ///< of the integrity check at open; an unfinished one is no fault
};

/// Opens (or creates, mode 0600) the file on its thread. A corrupt file is moved aside to PATH.corrupt-<time>
/// (with its -wal and -shm; the newest three are kept) and a new one begun, which `warning` then says. A file
/// of a newer schema is refused by migrate(), not here. The store must outlive the calls under way; `metrics`
/// must outlive the store. Destroying it does not wait: the file is closed on the thread, which is one of
/// RetiredThreads until then. Metrics: opsd_store_bytes, opsd_store_write_seconds,
/// opsd_store_errors_total{code}, opsd_store_queue.
struct OpenedStore {
    std::unique_ptr<Store> store;
    std::string warning;
};
Task<Result<OpenedStore>> open_store(StoreOptions options, const Clock& clock, telemetry::Registry& metrics);

/// A store for tests: in memory, at most 8 MiB, same rules.
Task<Result<OpenedStore>> open_memory_store(telemetry::Registry& metrics);

}  // namespace opsd
