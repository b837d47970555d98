#include "pipeline/resend.hpp"

#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

namespace opsd::pipeline {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t remove_at_once = 100;

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

/// Those that were asked for and can be sent.
std::vector<const DeadLetter*> chosen(const LetterList& list, const std::set<std::string>& ids,
                                      Resent& resent)
{
    std::vector<const DeadLetter*> letters;
    for (const auto& letter : list.letters) {
        if (!ids.empty() && !ids.contains(letter.id)) continue;
        if (letter.bytes.empty())
            ++resent.without;
        else
            letters.push_back(&letter);
    }
    return letters;
}

}  // namespace

Task<Result<Resent>> resend(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker, Sink& sink,
                            Clock& clock, ResendLimits limits, std::set<std::string> ids)
{
    const auto end = clock.monotonic() + limits.budget;
    auto job = [file] { return file->list(); };
    const auto list = co_await worker.run(std::move(job));
    if (!list) co_return fail(list.error());
    Resent resent;
    const auto letters = chosen(*list, ids, resent);
    resent.left = letters.size();
    Taken gone{file, worker, clock, limits.remove_interval};
    for (const auto* letter : letters) {
        const auto deadline = co_await my_turn(limits, end, clock);
        if (deadline == 0ms) {
            resent.error = fmt::format("cannot send more within {}: {} letters are left; ask again to go on",
                                       human_duration(limits.budget), resent.left);
            break;
        }
        const auto batch = batch_of(*letter);
        if (limits.rate != nullptr) limits.rate->spend(batch.bytes(), clock.monotonic());
        const auto verdict = co_await send_within(sink, batch, clock, deadline);
        const auto outcome = taken(verdict);
        if (!outcome) {
            resent.error = fmt::format("cannot send dead letter {} again: {}", letter->id, verdict.reason);
            break;
        }
        --resent.left;
        ++(*outcome ? resent.accepted : resent.refused);
        if (!*outcome) continue;
        const auto removed = co_await gone.add(letter->id);
        if (!removed) co_return fail(removed.error());
    }
    const auto removed = co_await gone.remove();
    if (!removed) co_return fail(removed.error());
    co_return resent;
}

}  // namespace opsd::pipeline
