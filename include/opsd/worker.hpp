#pragma once
// One thread for work that must not run on the event loop: SQLite, the journal, hashing, getaddrinfo.
// The thread owns its handles for life; it is talked to through a bounded queue of jobs.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <boost/asio/post.hpp>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace opsd {

/// A worker thread. Jobs run one after another in the order given. Destroying it finishes the job in hand,
/// drops the rest (their callers get Errc::cancelled) and joins the thread.
class WorkerThread {
public:
    /// `name` shows in `top -H` (15 characters at most); `capacity` bounds the jobs that wait.
    explicit WorkerThread(std::string name, std::size_t capacity = 1024);
    ~WorkerThread();
    WorkerThread(const WorkerThread&) = delete;
    WorkerThread& operator=(const WorkerThread&) = delete;

    /// Runs `job()` (returning Result<T>) on the thread and resumes on the caller's executor.
    /// Errc::unavailable at once when `capacity` jobs wait already; Errc::internal when the job throws.
    /// Not abandoned on cancellation: the job owns what it captured, its result is dropped.
    template <class Job, class R = std::invoke_result_t<Job&>>
    Task<R> run(Job job)
    {
        struct Shared {
            explicit Shared(const Executor& executor) : home{executor}, done{executor, never} {}
            Executor home;
            asio::steady_timer done;
            std::optional<R> result;
        };
        const auto executor = co_await asio::this_coro::executor;
        auto shared = std::make_shared<Shared>(executor);
        // The loop must release the last reference: the timer belongs to it.
        auto finish = [shared](R result) mutable {
            const auto home = shared->home;
            asio::post(home, [shared = std::move(shared), result = std::move(result)]() mutable {
                shared->result.emplace(std::move(result));
                shared->done.cancel();
            });
        };
        auto work = [job = std::move(job), finish = std::move(finish)](bool stopping) mutable {
            std::optional<R> result;
            try {
                if (stopping)
                    result.emplace(fail(Errc::cancelled, "cannot run the job: the worker is stopping"));
                else
                    result.emplace(job());
            } catch (const std::exception& e) {
                result.emplace(fail(Errc::internal, std::string{"cannot finish the job: "} + e.what()));
            } catch (...) {
                result.emplace(fail(Errc::internal, "cannot finish the job: it threw no std::exception"));
            }
            finish(std::move(*result));
        };
        const bool accepted = post(std::move(work));
        if (!accepted) co_return fail(Errc::unavailable, full_message());
        while (!shared->result)
            co_await wait_event(shared->done);
        co_return std::move(*shared->result);
    }

    /// Jobs waiting; a gauge.
    [[nodiscard]] std::size_t waiting() const;

private:
    using Work = std::move_only_function<void(bool stopping)>;
    bool post(Work work);
    [[nodiscard]] std::string full_message() const;
    void loop();

    std::string name_;
    std::size_t capacity_;
    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<Work> jobs_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace opsd
