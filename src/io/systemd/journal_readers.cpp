#include "io/systemd/journal_readers.hpp"

#include "io/systemd/journal_handle.hpp"
#include "io/systemd/journal_reading.hpp"
#include "opsd/worker.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>
#include <vector>

namespace opsd::systemd {
namespace {

constexpr std::size_t most_waiting = 256;  // slices for one thread

}  // namespace

/// A thread and its handle.
struct JournalReaders::Reader {
    explicit Reader(const std::string& directory) : handle{std::make_shared<JournalHandle>(directory)} {}

    /// Runs `work(handle)`, which returns a negative errno, on the thread; once more with a fresh handle when
    /// files were rotated or removed below it (ESTALE, EBADMSG, ...).
    template <class Work>
    static Result<> attempt(JournalHandle& handle, std::string_view what, Work work)
    {
        int r = 0;
        for (int turn = 0; turn < 2; ++turn) {
            r = handle.ready();
            if (r >= 0) r = work(handle);
            if (r >= 0) return {};
            handle.close();
            if (r == -EACCES || r == -ENOENT) break;
        }
        return fail(handle.failure(what, -r));
    }

    std::shared_ptr<JournalHandle> handle;
    /// Each of its jobs holds it until it is done, also the one in hand, which the worker does not count.
    std::shared_ptr<int> jobs = std::make_shared<int>();
    WorkerThread worker{"journal", most_waiting};
};

struct JournalReaders::Impl {
    std::vector<std::unique_ptr<Reader>> readers;

    Reader& least_busy()
    {
        return **std::ranges::min_element(readers, {}, [](const auto& one) { return one->jobs.use_count(); });
    }
};

JournalReaders::JournalReaders(const std::string& directory, std::size_t threads)
  : impl_{std::make_unique<Impl>()}
{
    for (std::size_t i = 0; i < std::clamp<std::size_t>(threads, 1, 16); ++i)
        impl_->readers.push_back(std::make_unique<Reader>(directory));
}

JournalReaders::~JournalReaders()
{
    for (auto& one : impl_->readers)
        one->worker.retire(std::move(one->handle));
}

std::shared_ptr<JournalReading> JournalReaders::open(JournalRange range, std::unique_ptr<EntryWriter> writer)
{
    return std::make_shared<JournalReading>(std::move(range), std::move(writer));
}

Task<Result<JournalSlice>> JournalReaders::next(std::shared_ptr<JournalReading> reading, SliceLimits limits)
{
    auto& reader = impl_->least_busy();
    auto job = [handle = reader.handle.get(), counted = reader.jobs, reading,
                limits]() mutable -> Result<JournalSlice> {
        const auto until_done = std::move(counted);
        JournalSlice slice;
        auto work = [&](JournalHandle& journal) {
            slice = {};
            const int r = reading->slice(journal, limits, slice);
            return r < 0 || !slice.position.empty() ? r : journal.why_nothing();
        };
        auto done = Reader::attempt(*handle, "read log entries", work);
        if (!done) return fail(std::move(done).error());
        return slice;
    };
    auto slice = co_await reader.worker.run(std::move(job));
    co_return slice;
}

namespace {

int read_values(sd_journal* journal, const std::string& field, std::size_t most, std::size_t most_bytes,
                std::set<std::string>& all)
{
    std::size_t bytes = 0;
    const void* data = nullptr;
    std::size_t size = 0;
    sd_journal_set_data_threshold(journal, field.size() + 1 + JournalReaders::longest_value);
    int r = sd_journal_query_unique(journal, field.c_str());
    while (r >= 0 && all.size() < most && bytes < most_bytes
           && (r = sd_journal_enumerate_available_unique(journal, &data, &size)) > 0) {
        std::string_view value{static_cast<const char*>(data), size};
        value.remove_prefix(std::min(field.size() + 1, size));
        value = value.substr(0, JournalReaders::longest_value);
        bytes += value.size();
        all.emplace(value);
    }
    return std::min(r, 0);
}

}  // namespace

Task<Result<std::vector<std::string>>> JournalReaders::values(std::string field, std::size_t most,
                                                              std::size_t most_bytes)
{
    auto& reader = impl_->least_busy();
    auto job = [handle = reader.handle.get(), counted = reader.jobs, field, most,
                most_bytes]() mutable -> Result<std::vector<std::string>> {
        const auto until_done = std::move(counted);
        std::set<std::string> all;
        auto work = [&](JournalHandle& journal) {
            all.clear();
            return read_values(journal.get(), field, most, most_bytes, all);
        };
        auto done = Reader::attempt(*handle, "list the values of " + field, work);
        if (!done) return fail(std::move(done).error());
        return std::vector<std::string>{all.begin(), all.end()};
    };
    auto values = co_await reader.worker.run(std::move(job));
    co_return values;
}

std::size_t JournalReaders::waiting() const
{
    std::size_t all = 0;
    for (const auto& one : impl_->readers)
        all += one->worker.waiting();
    return all;
}

}  // namespace opsd::systemd
