#include "opsd/worker.hpp"

#include <pthread.h>

namespace opsd {

WorkerThread::WorkerThread(std::string name, std::size_t capacity)
  : name_{std::move(name)}
  , capacity_{capacity}
{
    thread_ = std::thread{[this] { loop(); }};
    ::pthread_setname_np(thread_.native_handle(), name_.substr(0, 15).c_str());
}

WorkerThread::~WorkerThread()
{
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

bool WorkerThread::post(Work work)
{
    {
        const std::lock_guard lock{mutex_};
        if (stopping_ || jobs_.size() >= capacity_) return false;
        jobs_.push_back(std::move(work));
    }
    wake_.notify_one();
    return true;
}

std::size_t WorkerThread::waiting() const
{
    const std::lock_guard lock{mutex_};
    return jobs_.size();
}

std::string WorkerThread::full_message() const
{
    return "cannot queue the job: " + std::to_string(capacity_) + " jobs wait for the " + name_
           + " thread already; the disk may be slow, try again later";
}

void WorkerThread::loop()
{
    std::unique_lock lock{mutex_};
    for (;;) {
        wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
        if (jobs_.empty()) return;
        auto work = std::move(jobs_.front());
        jobs_.pop_front();
        const bool stopping = stopping_;
        lock.unlock();
        work(stopping);
        work = nullptr;  // what the job captured is released before the next wait
        lock.lock();
    }
}

}  // namespace opsd
