#pragma once
// Finds and lists tasks by the word of the leading master, without asking it for each question.
//
// What comes in
//   What is wanted; /state, as a function.
// What goes out
//   Tasks, or why there are none.
// What it promises
//   - One question to the masters at a time, whoever waits for it; its answer serves all that ask within
//     `keep`. A task that is not in a kept answer is looked for in a new one.
//   - An answer that was given to one authorization is never shown to another.
//   - At most one answer is held; it is parsed on a thread.

#include "io/mesos/tasks.hpp"
#include "io/net/transport.hpp"
#include "opsd/async.hpp"
#include "opsd/clock.hpp"
#include "opsd/worker.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace opsd::mesos {

struct LookupOptions {
    std::chrono::milliseconds timeout{10'000};  ///< of a question to the masters
    std::chrono::milliseconds keep{2'000};      ///< how long an answer is good
};

/// Loop thread only; outlives its calls.
class TaskLookup {
public:
    using Fetch = std::function<Task<Result<std::string>>(net::Deadline end, std::string authorization)>;

    TaskLookup(const Executor& executor, Clock& clock, Fetch fetch, LookupOptions options);

    /// See find_task. Also the errors of the masters.
    Task<Result<FoundTask>> find(std::string wanted, std::string authorization);
    /// See list_tasks.
    Task<Result<std::vector<FoundTask>>> list(bool completed, std::string authorization);

    [[nodiscard]] std::uint64_t fetches() const noexcept { return fetches_; }
    /// Bytes of the answer that is held.
    [[nodiscard]] std::size_t held() const noexcept { return kept_ ? kept_->text.size() : 0; }

private:
    struct State {
        std::string text;
        std::string authorization;
        Monotonic at{};
    };
    using StatePtr = std::shared_ptr<const State>;

    /// One that is not older than `keep`, or newer than `than`.
    Task<Result<StatePtr>> state(std::string authorization, std::optional<Monotonic> than);
    Task<Result<StatePtr>> fetch(std::string authorization);

    Clock& clock_;
    Fetch fetch_;
    LookupOptions options_;
    StatePtr kept_;
    bool fetching_ = false;
    asio::steady_timer fetched_;
    std::uint64_t fetches_ = 0;
    RetiringWorker worker_;
};

}  // namespace opsd::mesos
