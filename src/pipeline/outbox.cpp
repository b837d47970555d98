#include "pipeline/outbox.hpp"

#include <algorithm>
#include <cassert>

namespace opsd::pipeline {
namespace {

constexpr std::size_t slot_cost = 100;             // what a record costs beside its bytes
constexpr std::size_t smallest_limit = 64 * 1024;  // bytes of a request, however often one was too large
constexpr std::size_t good_before_growing = 50;    // requests, before larger ones are tried again
constexpr std::size_t bad_before_doubting = 100;   // records: with so many it is hardly the records' fault

}  // namespace

Outbox::Outbox(OutboxOptions options, Counters& counters, std::uint32_t seed)
  : options_{options}
  , counters_{counters}
  , random_{seed}
  , limit_records_{std::max<std::size_t>(options.batch.records, 1)}
  , limit_bytes_{options.batch.bytes}
{
    options_.in_flight = std::max<std::size_t>(options_.in_flight, 1);
    if (options_.most_unsaved == 0) options_.most_unsaved = limit_records_ * options_.in_flight;
    // What was pending in an outbox before this one is read again.
    counters_.in -= counters_.pending;
    counters_.pending = 0;
}

void Outbox::begin(std::string position)
{
    saved_position_ = position;
    position_ = std::move(position);
}

bool Outbox::full() const noexcept
{
    return held_ >= options_.memory || slots_.size() >= options_.most_records;
}

void Outbox::add(Slice slice, Monotonic now)
{
    counters_.in += slice.records.size() + slice.lost;
    counters_.lost += slice.lost;
    counters_.pending += slice.records.size();
    if (slice.some_lost) ++counters_.unknown_losses;
    behind_ = slice.behind;
    if (slice.records.empty() && !slices_.empty()) {
        // Nothing of it has to be kept but how far it went.
        if (!slice.position.empty()) slices_.back().position = std::move(slice.position);
        return;
    }
    Held held;
    held.cost = (slice.text ? slice.text->bytes.capacity() : 0) + slice.records.size() * slot_cost;
    held.text = std::move(slice.text);
    held.position = std::move(slice.position);
    held.end = first_ + slots_.size() + slice.records.size();
    held.arrived = now;
    held_ += held.cost;
    const auto number = first_slice_ + slices_.size();
    for (const auto& record : slice.records)
        slots_.push_back({record, number, State::fresh});
    slices_.push_back(std::move(held));
    advance();
}

Offer Outbox::next(Monotonic now)
{
    Offer offer;
    if (in_flight_.size() >= options_.in_flight || !refused_.empty()) return offer;
    if (now < not_before_) {
        if (!retries_.empty() || next_fresh_ < first_ + slots_.size()) offer.at = not_before_;
        return offer;
    }
    if (retries_.empty()) return offer_fresh(now);
    auto oldest = retries_.extract(retries_.begin());
    offer.batch = take(std::move(oldest.mapped()));
    return offer;
}

Offer Outbox::offer_fresh(Monotonic now)
{
    Offer offer;
    const auto end = first_ + slots_.size();
    if (next_fresh_ >= end) return offer;
    Cutter cutter{doubtful() ? 1 : limit_records_, limit_bytes_};
    for (auto number = next_fresh_; number < end && cutter.take(slot(number).record.bytes.size());)
        ++number;
    const auto& cut = cutter.cut();
    const auto due = slices_[slot(next_fresh_).slice - first_slice_].arrived + options_.batch.age;
    if (!cut.full && !full() && now < due) {
        offer.at = due;
        return offer;
    }
    if (beyond_unsaved(cut.records)) {
        offer.save_first = dirty();
        return offer;
    }
    Sequence records(cut.records);
    for (auto& number : records)
        number = next_fresh_++;
    offer.batch = take(std::move(records));
    return offer;
}

bool Outbox::beyond_unsaved(std::size_t more) const noexcept
{
    if (unsavable_) return false;
    const auto unsaved = acknowledged_ - saved_acknowledged_ + records_in_flight_;
    return unsaved > 0 && unsaved + more > options_.most_unsaved;
}

Batch Outbox::take(Sequence records)
{
    Batch batch{++batches_};
    for (const auto number : records) {
        auto& one = slot(number);
        one.state = State::taken;
        batch.add(one.record, slices_[one.slice - first_slice_].text);
    }
    ++counters_.requests;
    counters_.sent += records.size();
    counters_.sent_bytes += batch.bytes();
    records_in_flight_ += records.size();
    in_flight_.emplace(batch.number(), std::move(records));
    return batch;
}

void Outbox::settle(std::uint64_t batch, Verdict verdict, Monotonic now)
{
    auto sent = in_flight_.extract(batch);
    assert(!sent.empty() && "a batch is settled once");
    if (sent.empty()) return;
    auto records = std::move(sent.mapped());
    records_in_flight_ -= records.size();
    if (verdict.kind != Verdict::Kind::accepted) ++counters_.failed_requests;
    switch (verdict.kind) {
    case Verdict::Kind::accepted:
        for (const auto number : records)
            acknowledge(number);
        went_well();
        break;
    case Verdict::Kind::records:
        settle_records(records, verdict, now);
        break;
    case Verdict::Kind::retry:
    case Verdict::Kind::keep:
        again(std::move(records));
        back_off(verdict, now);
        break;
    case Verdict::Kind::too_large:
        if (records.size() > 1)
            shrink(records);
        else
            restore();  // it was this record, not the size of requests
        [[fallthrough]];
    case Verdict::Kind::refused:
        if (records.size() > 1) {
            divide(records);
            break;
        }
        refuse(records.front(), std::move(verdict.reason));
        doubt(verdict, now);
        break;
    }
    advance();
}

void Outbox::settle_records(const Sequence& records, Verdict& verdict, Monotonic now)
{
    // An answer about other records than were sent says nothing about these.
    if (verdict.fates.size() != records.size()) {
        again(records);
        back_off(verdict, now);
        return;
    }
    Sequence failed;
    Sequence suspects;
    for (std::size_t i = 0; i < records.size(); ++i) {
        switch (verdict.fates[i]) {
        case Fate::accepted:
            acknowledge(records[i]);
            break;
        case Fate::retry:
            failed.push_back(records[i]);
            break;
        case Fate::suspect:
            suspects.push_back(records[i]);
            break;
        case Fate::refused:
            const auto reason = verdict.reasons.find(i);
            refuse(records[i], reason == verdict.reasons.end() ? verdict.reason : std::move(reason->second));
            break;
        }
    }
    if (suspects.size() > 1)
        divide(suspects);
    else if (!suspects.empty())
        refuse(suspects.front(), verdict.reason);
    if (failed.size() < records.size() && !doubtful()) failures_ = 0;
    if (failed.empty()) {
        not_before_ = asked_for_;
        if (doubtful()) back_off(verdict, now);
        return;
    }
    again(std::move(failed));
    back_off(verdict, now);
}

void Outbox::acknowledge(std::uint64_t number)
{
    slot(number).state = State::acknowledged;
    refused_in_a_row_ = 0;
    ++acknowledged_;
    ++counters_.acknowledged;
    --counters_.pending;
}

void Outbox::refuse(std::uint64_t number, std::string reason)
{
    ++refused_in_a_row_;
    refused_.push_back({number, std::move(reason)});
}

bool Outbox::doubtful() const noexcept { return refused_in_a_row_ > bad_before_doubting; }

/// A far side that refuses everything has another fault than the records: not all of them shall become dead
/// letters before somebody looks, so it gets one at a time, ever slower.
void Outbox::doubt(const Verdict& verdict, Monotonic now)
{
    if (doubtful())
        back_off(verdict, now);
    else
        failures_ = 0;
}

void Outbox::again(Sequence records)
{
    const auto first = records.front();
    retries_.emplace(first, std::move(records));
}

void Outbox::divide(const Sequence& records)
{
    auto [front, back] = halves(records);
    again(std::move(front));
    again(std::move(back));
}

void Outbox::back_off(const Verdict& verdict, Monotonic now)
{
    const bool kept = verdict.kind == Verdict::Kind::keep || verdict.alert;
    auto ceiling = options_.first_pause;
    for (std::size_t i = 0; i < failures_ && ceiling < options_.longest_pause; ++i)
        ceiling *= 2;
    ceiling = kept ? options_.kept_pause : std::min(ceiling, options_.longest_pause);
    ++failures_;
    good_in_a_row_ = 0;
    // Full jitter: outputs of many nodes do not come back in step. Not at once either.
    std::uniform_int_distribution<std::int64_t> any{kept ? ceiling.count() / 2 : 1, ceiling.count()};
    auto pause = std::chrono::milliseconds{any(random_)};
    if (verdict.after) {
        pause = std::max(pause, *verdict.after);
        asked_for_ = std::max(asked_for_, now + *verdict.after);
    }
    not_before_ = std::max(not_before_, now + pause);
}

void Outbox::shrink(const Sequence& records)
{
    std::size_t bytes = 0;
    for (const auto number : records)
        bytes += slot(number).record.bytes.size();
    if (!before_shrinking_) before_shrinking_ = Limits{limit_records_, limit_bytes_};
    limit_records_ = std::max<std::size_t>(std::min(limit_records_, records.size() / 2), 1);
    limit_bytes_ = std::max(std::min(limit_bytes_, bytes / 2), std::min(smallest_limit, limit_bytes_));
    good_in_a_row_ = 0;
}

void Outbox::restore() noexcept
{
    if (!before_shrinking_) return;
    limit_records_ = before_shrinking_->records;
    limit_bytes_ = before_shrinking_->bytes;
    before_shrinking_.reset();
}

void Outbox::went_well() noexcept
{
    failures_ = 0;
    not_before_ = asked_for_;
    // All halves passed: smaller requests are what the far side wants.
    if (retries_.empty() && in_flight_.empty()) before_shrinking_.reset();
    if (++good_in_a_row_ < good_before_growing) return;
    good_in_a_row_ = 0;
    limit_records_ = std::min(limit_records_ * 2, std::max<std::size_t>(options_.batch.records, 1));
    limit_bytes_ = std::min(limit_bytes_ * 2, options_.batch.bytes);
}

std::vector<DeadLetter> Outbox::refused(std::size_t most, WallTime now) const
{
    std::vector<DeadLetter> letters;
    for (std::size_t i = 0; i < std::min(most, refused_.size()); ++i) {
        const auto& record = slot(refused_[i].record).record;
        DeadLetter letter;
        letter.id = record.id;
        letter.position = record.position;
        letter.time = record.time;
        letter.died = now.time_since_epoch().count();
        letter.reason = refused_[i].reason;
        letter.bytes = record.bytes;
        letters.push_back(std::move(letter));
    }
    return letters;
}

void Outbox::buried(std::size_t letters, std::uint64_t dropped)
{
    letters = std::min(letters, refused_.size());
    for (std::size_t i = 0; i < letters; ++i)
        slot(refused_[i].record).state = State::buried;
    refused_.erase(refused_.begin(), refused_.begin() + static_cast<std::ptrdiff_t>(letters));
    counters_.pending -= letters;
    counters_.dead_lettered += letters;
    // Letters of an earlier life of the daemon are not among these.
    const auto given_up = std::min(dropped, counters_.dead_lettered);
    counters_.dead_lettered -= given_up;
    counters_.lost += given_up;
    advance();
}

void Outbox::advance()
{
    std::size_t done = 0;
    for (; done < slots_.size() && slots_[done].state >= State::acknowledged; ++done)
        settled_acknowledged_ += slots_[done].state == State::acknowledged ? 1U : 0U;
    if (done > 0) {
        position_ = slots_[done - 1].record.position;
        slots_.erase(slots_.begin(), slots_.begin() + static_cast<std::ptrdiff_t>(done));
        first_ += done;
    }
    for (; !slices_.empty() && slices_.front().end <= first_; ++first_slice_) {
        auto& slice = slices_.front();
        // Unless records of a later slice are done, too: theirs is further.
        if (!slice.position.empty() && slice.end == first_) position_ = std::move(slice.position);
        held_ -= slice.cost;
        slices_.pop_front();
    }
}

void Outbox::saved(Mark mark)
{
    saved_position_ = std::move(mark.position);
    saved_acknowledged_ = mark.acknowledged;
    unsavable_ = false;
}

std::optional<std::int64_t> Outbox::oldest() const
{
    return slots_.empty() ? std::nullopt : std::optional{slots_.front().record.time};
}

}  // namespace opsd::pipeline
