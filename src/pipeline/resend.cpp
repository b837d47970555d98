#include "pipeline/resend.hpp"

#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <optional>
#include <utility>

namespace opsd::pipeline {
namespace {

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

Task<Result<std::uint64_t>> remove(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker,
                                   std::set<std::string> ids)
{
    auto job = [file = std::move(file), ids = std::move(ids)] { return file->remove(ids); };
    auto removed = co_await worker.run(std::move(job));
    co_return removed;
}

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

}  // namespace

Task<Result<Resent>> resend(std::shared_ptr<DeadLetterFile> file, WorkerThread& worker, Sink& sink,
                            Clock& clock, std::chrono::milliseconds deadline, std::set<std::string> ids)
{
    auto job = [file] { return file->list(); };
    auto list = co_await worker.run(std::move(job));
    if (!list) co_return fail(std::move(list).error());
    Resent resent;
    std::set<std::string> done;
    for (auto letter = list->letters.begin(); letter != list->letters.end(); ++letter) {
        if (!ids.empty() && !ids.contains(letter->id)) continue;
        if (letter->bytes.empty()) {
            ++resent.without;
            continue;
        }
        const auto batch = batch_of(*letter);
        const auto verdict = co_await send_within(sink, batch, clock, deadline);
        const auto outcome = taken(verdict);
        if (!outcome) {
            resent.error = fmt::format("cannot send dead letter {} again: {}", letter->id, verdict.reason);
            break;
        }
        ++(*outcome ? resent.accepted : resent.refused);
        if (*outcome) done.insert(letter->id);
        if (done.size() < remove_at_once) continue;
        auto sent = std::exchange(done, {});
        auto removed = co_await remove(file, worker, std::move(sent));
        if (!removed) co_return fail(std::move(removed).error());
    }
    if (!done.empty()) {
        auto removed = co_await remove(file, worker, std::move(done));
        if (!removed) co_return fail(std::move(removed).error());
    }
    co_return resent;
}

}  // namespace opsd::pipeline
