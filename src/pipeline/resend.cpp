#include "pipeline/resend.hpp"

#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace opsd::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t remove_at_once = 100;
constexpr std::size_t page_bytes = 4 * 1024 * 1024;  // of letters held at a time

Batch batch_of(const DeadLetter& letter)
{
    auto text = std::make_shared<Text>();
    const auto frame = begin_frame(text->bytes, letter.id, letter.position, letter.time);
    text->bytes += letter.bytes;
    end_frame(text->bytes, frame);
    Batch batch;
    const auto records = read_frames(*text);
    if (records) batch.add(records->front(), text);
    return batch;
}

/// Letters that were taken, on their way out of the file.
class Taken {
public:
    Taken(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker, Clock& clock,
          std::chrono::milliseconds interval)
      : file_{std::move(file)}
      , worker_{worker}
      , clock_{clock}
      , interval_{interval}
      , written_{clock.monotonic()}
    {}

    /// Each time the whole file is written again, so some go together when they come fast.
    Task<Result<>> add(std::string id)
    {
        ids_.insert(std::move(id));
        const bool due = ids_.size() >= remove_at_once || clock_.monotonic() - written_ >= interval_;
        if (!due) co_return Result<>{};
        auto removed = co_await remove();
        co_return removed;
    }
    Task<Result<>> remove()
    {
        if (ids_.empty()) co_return Result<>{};
        auto job = [file = file_, ids = std::exchange(ids_, {})] { return file->remove(ids); };
        const auto removed = co_await worker_.run(std::move(job));
        written_ = clock_.monotonic();
        if (!removed) co_return fail(removed.error());
        co_return Result<>{};
    }

private:
    std::shared_ptr<DeadLetterFile> file_;
    WorkerThread& worker_;
    Clock& clock_;
    std::chrono::milliseconds interval_;
    Monotonic written_{};
    std::set<std::string> ids_;
};

/// Was the one record of the request accepted (true), refused (false), or is the answer not about it?
std::optional<bool> taken(const Verdict& verdict)
{
    using Kind = Verdict::Kind;
    if (verdict.kind == Kind::accepted) return true;
    if (verdict.kind == Kind::refused || verdict.kind == Kind::too_large) return false;
    if (verdict.kind != Kind::records || verdict.fates.size() != 1 || verdict.fates[0] == Fate::retry)
        return std::nullopt;
    return verdict.fates[0] == Fate::accepted;  // alone, a suspect is guilty
}

std::chrono::milliseconds until(Monotonic end, Clock& clock)
{
    return std::max(std::chrono::floor<std::chrono::milliseconds>(end - clock.monotonic()), 0ms);
}

/// How long the next letter may take; 0: none may begin any more, the rest is too short for an answer.
Task<std::chrono::milliseconds> my_turn(ResendLimits limits, Monotonic end, Clock& clock)
{
    for (;;) {
        const auto left = until(end, clock);
        if (left <= limits.budget / 8) co_return 0ms;
        const auto pause = limits.rate == nullptr ? 0ms : limits.rate->wait(clock.monotonic());
        if (pause <= 0ms) co_return std::min(left, limits.deadline);
        if (pause >= left) co_return 0ms;
        co_await clock.sleep_for(pause);
    }
}

/// One resend at work: page by page, so that a large file is never held.
class Resending {
public:
    Resending(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker, Sink& sink, Clock& clock,
              ResendLimits limits, std::set<std::string> ids)
      : file_{std::move(file)}
      , worker_{worker}
      , sink_{sink}
      , clock_{clock}
      , limits_{limits}
      , ids_{std::move(ids)}
      , end_{clock.monotonic() + limits.budget}
      , gone_{file_, worker, clock, limits.remove_interval}
    {}
    Task<Result<Resent>> run()
    {
        for (bool first = true;; first = false) {
            auto job = [file = file_, ids = ids_, asked = asked_] {
                return file->page(ids, asked, page_bytes);
            };
            const auto page = co_await worker_.run(std::move(job));
            if (!page) co_return fail(page.error());
            resent_.left = page->letters.size() + page->more;
            if (first) resent_.without = page->without;
            for (const auto& letter : page->letters) {
                const auto sent = co_await send(letter);
                if (!sent) co_return fail(sent.error());
                if (!resent_.error.empty()) break;
            }
            const auto removed = co_await gone_.remove();
            if (!removed) co_return fail(removed.error());
            if (page->more == 0 || !resent_.error.empty()) co_return resent_;
        }
    }

private:
    Task<Result<>> send(const DeadLetter& letter)
    {
        const auto deadline = co_await my_turn(limits_, end_, clock_);
        if (deadline == 0ms) {
            resent_.error = fmt::format("cannot send more within {}: {} letters are left; ask again to go on",
                                        human_duration(limits_.budget), resent_.left);
            co_return Result<>{};
        }
        const auto batch = batch_of(letter);
        if (limits_.rate != nullptr) limits_.rate->spend(batch.bytes(), clock_.monotonic());
        const auto verdict = co_await send_within(sink_, batch, clock_, deadline);
        const auto outcome = taken(verdict);
        if (!outcome) {
            resent_.error = fmt::format("cannot send dead letter {} again: {}", letter.id, verdict.reason);
            co_return Result<>{};
        }
        asked_.insert(letter.id);
        --resent_.left;
        ++(*outcome ? resent_.accepted : resent_.refused);
        if (!*outcome) co_return Result<>{};
        auto removed = co_await gone_.add(letter.id);
        co_return removed;
    }

    std::shared_ptr<DeadLetterFile> file_;
    WorkerThread& worker_;
    Sink& sink_;
    Clock& clock_;
    ResendLimits limits_;
    std::set<std::string> ids_;
    std::set<std::string> asked_;  ///< about in this run
    Monotonic end_;
    Resent resent_;
    Taken gone_;
};

}  // namespace

Task<Result<Resent>> resend(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker, Sink& sink,
                            Clock& clock, ResendLimits limits, std::set<std::string> ids)
{
    Resending resending{std::move(file), worker, sink, clock, limits, std::move(ids)};
    auto resent = co_await resending.run();
    co_return resent;
}

}  // namespace opsd::pipeline
