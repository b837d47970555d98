#pragma once
// One thread for work that must not run on the event loop: SQLite, the journal, hashing, getaddrinfo.
// The thread owns its handles for life; it is talked to through a bounded queue of jobs.

#include "opsd/async.hpp"
#include "opsd/result.hpp"

#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>

#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace opsd {

/// What a worker's thread works on; it outlives its WorkerThread when that is retired.
struct WorkerJobs {
    using Work = std::move_only_function<void(bool stopping)>;

    std::string name;
    std::size_t capacity = 0;
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Work> waiting;
    bool stopping = false;
    bool ended = false;
    std::move_only_function<void()> on_ended;  ///< called by the thread as its last act
};

/// Threads whose owners are gone while they still finish a job: each is joined when it ends, at the latest
/// when the event loop's context is destroyed. One per context; used on its loop only.
class RetiredThreads final : public asio::execution_context::service {
public:
    using key_type = RetiredThreads;
    static asio::execution_context::id id;

    /// Threads of one name that may hang; beyond it a further worker of that name starts none.
    static constexpr std::size_t most_of_a_name = 4;

    explicit RetiredThreads(asio::execution_context& context);
    /// The one of the executor's context.
    static RetiredThreads& of(const Executor& executor);

    void take(const Executor& executor, std::shared_ptr<WorkerJobs> jobs, std::thread thread);
    /// Expires when the context is destroyed: take() must not be called any more.
    [[nodiscard]] std::weak_ptr<void> alive() const noexcept { return alive_; }
    [[nodiscard]] std::size_t size() const noexcept { return threads_.size(); }
    [[nodiscard]] std::vector<std::string> names() const;
    /// Until all have ended and are joined.
    Task<> ended();

private:
    struct Retired {
        std::shared_ptr<WorkerJobs> jobs;
        std::thread thread;
    };
    void shutdown() noexcept override;

    std::list<Retired> threads_;
    std::optional<asio::steady_timer> fewer_;
    std::shared_ptr<int> alive_ = std::make_shared<int>();  ///< until the shutdown
};

/// A worker thread, started by its first job. Jobs run one after another in the order given. Destroying it
/// finishes the job in hand, drops the rest (their callers get Errc::cancelled) and joins the thread.
class WorkerThread {
public:
    /// `name` shows in `top -H` (15 characters at most); `capacity` bounds the jobs that wait.
    explicit WorkerThread(std::string name, std::size_t capacity = 1024);
    ~WorkerThread();
    WorkerThread(const WorkerThread&) = delete;
    WorkerThread& operator=(const WorkerThread&) = delete;

    /// Ends as the destructor does, without waiting for the job in hand: for owners that end while the loop
    /// turns; it does wait when the loop's context is gone already. `owned` is what the jobs use: it is
    /// released on the thread, after the last of them. No run() may follow.
    void retire(std::shared_ptr<void> owned);

    /// Runs `job()` (returning Result<T>) on the thread and resumes on the caller's executor.
    /// Errc::unavailable at once when `capacity` jobs wait already, or when retired threads of this name
    /// still hang; Errc::internal when the job throws. Not abandoned on cancellation: the job owns what it
    /// captured, its result is dropped.
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
        auto accepted = post(executor, std::move(work));
        if (!accepted) co_return fail(std::move(accepted).error());
        while (!shared->result)
            co_await wait_event(shared->done);
        co_return std::move(*shared->result);
    }

    /// Jobs waiting; a gauge.
    [[nodiscard]] std::size_t waiting() const;

private:
    Result<> post(const Executor& executor, WorkerJobs::Work work);
    Result<> start(const Executor& executor);
    void stop(WorkerJobs::Work last);

    std::shared_ptr<WorkerJobs> jobs_;
    Executor home_;
    std::weak_ptr<void> home_alive_;
    std::thread thread_;
};

/// One whose jobs may hang (files, names) and whose owner ends while the loop turns: it is retired, not
/// joined. Its jobs own what they use. Destroyed on the loop, never by a job.
class RetiringWorker final : public WorkerThread {
public:
    using WorkerThread::WorkerThread;
    ~RetiringWorker() { retire(nullptr); }
    RetiringWorker(const RetiringWorker&) = delete;
    RetiringWorker& operator=(const RetiringWorker&) = delete;
};

}  // namespace opsd
