#include "modules/forward/task_ledger.hpp"

#include "modules/forward/place.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace opsd::forward {

using pipeline::Start;
using pipeline::TailPosition;

namespace {

/// What an output calls a position that is not a record's.
constexpr std::string_view loaded = "0";

class LedgerPositions final : public pipeline::PositionStore {
public:
    LedgerPositions(std::unique_ptr<PositionStore> inner, std::shared_ptr<TaskLedger> ledger)
      : inner_{std::move(inner)}
      , ledger_{std::move(ledger)}
    {}

    Task<Result<Start>> load() override
    {
        auto start = co_await inner_->load();
        if (!start) co_return start;
        TailPosition position;
        if (!start->position.empty()) {
            auto parsed = pipeline::parse_tail(start->position);
            if (parsed) {
                position = std::move(*parsed);
            } else {
                start->kind = Start::Kind::unknown;
                start->sentence = parsed.error().message + "; it begins as its configuration says";
            }
        }
        const bool known = start->kind == Start::Kind::saved || start->kind == Start::Kind::previous;
        start->position = known ? loaded : std::string_view{};
        ledger_->begin(std::move(position));
        co_return start;
    }

    Task<Result<>> save(std::string position) override
    {
        std::string text;
        if (position == beginning) {
            text = pipeline::tail_text(from_the_start(ledger_->delivered()));
        } else {
            std::uint64_t number = 0;
            const auto* end = position.data() + position.size();
            const auto [last, ec] = std::from_chars(position.data(), end, number);
            if (ec != std::errc{} || last != end)
                co_return fail(Errc::internal,
                               "cannot save the position of an output of tasks: it is no number; "
                               "this is a bug, please report it");
            text = ledger_->text_up_to(number);
        }
        auto saved = co_await inner_->save(std::move(text));
        co_return saved;
    }

private:
    std::unique_ptr<PositionStore> inner_;
    std::shared_ptr<TaskLedger> ledger_;
};

}  // namespace

void TaskLedger::begin(TailPosition position)
{
    delivered_ = std::move(position);
    steps_.clear();
}

void TaskLedger::add(std::vector<LedgerStep> steps)
{
    for (auto& step : steps)
        steps_.push_back(std::move(step));
}

std::string TaskLedger::text_up_to(std::uint64_t number)
{
    for (; !steps_.empty() && steps_.front().number <= number; steps_.pop_front())
        apply(steps_.front());
    return pipeline::tail_text(delivered_);
}

void TaskLedger::apply(const LedgerStep& step)
{
    const auto& spot = *step.spot;
    const auto& container = spot.run.container;
    switch (spot.what) {
    case LedgerSpot::What::run: {
        auto& run = delivered_.runs[container];
        run.run = spot.run;
        run.pod = spot.pod;
        run.tasks = spot.tasks;
        break;
    }
    case LedgerSpot::What::file: {
        auto& run = delivered_.runs[container];
        if (run.run.container.empty()) run.run = spot.run;
        auto& at = run.files[spot.name];
        at = spot.at;
        at.offset = step.offset;
        break;
    }
    case LedgerSpot::What::gone: {
        auto& run = delivered_.runs[container];
        if (run.run.container.empty()) run.run = spot.run;
        run.files.erase(spot.name);
        run.generation = std::max(run.generation, step.offset);
        break;
    }
    case LedgerSpot::What::done:
        delivered_.runs.erase(container);
        delivered_.done.insert(container);
        break;
    case LedgerSpot::What::forget:
        delivered_.done.erase(container);
        break;
    case LedgerSpot::What::looked:
        delivered_.looked = static_cast<std::int64_t>(step.offset);
        break;
    }
}

TailPosition from_the_start(const TailPosition& position)
{
    auto out = position;
    out.looked = 0;
    out.done.clear();
    for (auto& [container, run] : out.runs) {
        for (auto& [name, at] : run.files) {
            const auto generation = at.generation;
            at = {};
            at.generation = generation;
        }
    }
    return out;
}

std::unique_ptr<pipeline::PositionStore> make_ledger_positions(std::unique_ptr<pipeline::PositionStore> inner,
                                                               std::shared_ptr<TaskLedger> ledger)
{
    return std::make_unique<LedgerPositions>(std::move(inner), std::move(ledger));
}

}  // namespace opsd::forward
