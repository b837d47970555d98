#include "opsd/worker.hpp"

#include <pthread.h>

#include <algorithm>

namespace opsd {
namespace {

void work_until_stopped(WorkerJobs& jobs)
{
    std::unique_lock lock{jobs.mutex};
    for (;;) {
        jobs.wake.wait(lock, [&jobs] { return jobs.stopping || !jobs.waiting.empty(); });
        if (jobs.waiting.empty()) break;
        auto work = std::move(jobs.waiting.front());
        jobs.waiting.pop_front();
        const bool stopping = jobs.stopping;
        lock.unlock();
        work(stopping);
        work = nullptr;  // what the job captured is released before the next wait
        lock.lock();
    }
    jobs.ended = true;
    auto tell = std::move(jobs.on_ended);
    lock.unlock();
    if (tell) tell();
}

}  // namespace

WorkerThread::WorkerThread(std::string name, std::size_t capacity) : jobs_{std::make_shared<WorkerJobs>()}
{
    jobs_->name = std::move(name);
    jobs_->capacity = capacity;
}

WorkerThread::~WorkerThread()
{
    if (!thread_.joinable()) return;
    stop(nullptr);
    thread_.join();
}

void WorkerThread::stop(WorkerJobs::Work last)
{
    {
        const std::lock_guard lock{jobs_->mutex};
        jobs_->stopping = true;
        if (last) jobs_->waiting.push_back(std::move(last));
    }
    jobs_->wake.notify_one();
}

void WorkerThread::retire(std::shared_ptr<void> owned)
{
    if (!thread_.joinable()) return;
    stop([owned = std::move(owned)](bool) mutable { owned.reset(); });
    if (home_alive_.expired())
        thread_.join();
    else
        RetiredThreads::of(home_).take(home_, jobs_, std::move(thread_));
}

Result<> WorkerThread::start(const Executor& executor)
{
    const auto& retired = RetiredThreads::of(executor);
    const auto hanging = retired.names();
    if (std::ranges::count(hanging, jobs_->name) >= std::ptrdiff_t{RetiredThreads::most_of_a_name})
        return fail(Errc::unavailable,
                    "cannot begin the job: earlier " + jobs_->name
                        + " threads still hang in theirs; what they read may be on a failing disk");
    home_ = executor;
    home_alive_ = retired.alive();
    thread_ = std::thread{[jobs = jobs_] { work_until_stopped(*jobs); }};
    ::pthread_setname_np(thread_.native_handle(), jobs_->name.substr(0, 15).c_str());
    return {};
}

Result<> WorkerThread::post(const Executor& executor, WorkerJobs::Work work)
{
    if (!thread_.joinable()) {
        auto started = start(executor);
        if (!started) return started;
    }
    {
        const std::lock_guard lock{jobs_->mutex};
        if (jobs_->waiting.size() >= jobs_->capacity)
            return fail(Errc::unavailable, "cannot queue the job: " + std::to_string(jobs_->capacity)
                                               + " jobs wait for the " + jobs_->name
                                               + " thread already; the disk may be slow, try again later");
        jobs_->waiting.push_back(std::move(work));
    }
    jobs_->wake.notify_one();
    return {};
}

std::size_t WorkerThread::waiting() const
{
    const std::lock_guard lock{jobs_->mutex};
    return jobs_->waiting.size();
}

asio::execution_context::id RetiredThreads::id;

RetiredThreads::RetiredThreads(asio::execution_context& context) : service{context} {}

RetiredThreads& RetiredThreads::of(const Executor& executor)
{
    return asio::use_service<RetiredThreads>(executor.context());
}

void RetiredThreads::take(const Executor& executor, std::shared_ptr<WorkerJobs> jobs, std::thread thread)
{
    if (!fewer_) fewer_.emplace(executor, never);
    threads_.push_front({std::move(jobs), std::move(thread)});
    const auto self = threads_.begin();
    auto join = [this, self] {
        self->thread.join();  // its last act was to post this
        threads_.erase(self);
        fewer_->cancel();
    };
    const std::unique_lock lock{self->jobs->mutex};
    if (self->jobs->ended)
        asio::post(executor, join);
    else
        self->jobs->on_ended = [executor, join] { asio::post(executor, join); };
}

std::vector<std::string> RetiredThreads::names() const
{
    std::vector<std::string> all;
    for (const auto& retired : threads_)
        all.push_back(retired.jobs->name);
    return all;
}

Task<> RetiredThreads::ended()
{
    while (!threads_.empty())
        co_await wait_event(*fewer_);
}

void RetiredThreads::shutdown() noexcept
{
    for (auto& retired : threads_)
        retired.thread.join();
    threads_.clear();
    fewer_.reset();
    alive_.reset();
}

}  // namespace opsd
