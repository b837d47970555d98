#include "modules/health/explain/explainer.hpp"

#include "modules/health/bell.hpp"
#include "modules/health/explain/render.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::health::explain {

using http::Response;

namespace {

Response try_again(std::string_view sentence)
{
    return Response::problem(503, sentence).with("Retry-After", "1");
}

}  // namespace

Explainer::Explainer(Parts parts) : parts_{std::move(parts)} {}

Task<> Explainer::run()
{
    const auto failed = [this](std::string_view task, const std::exception_ptr& e) {
        parts_.log.error("cannot go on with {}: {}", task, describe(e).what);
    };
    TaskGroup group{parts_.executor, failed};
    group_ = &group;
    std::exception_ptr ended;
    try {
        asio::steady_timer forever{parts_.executor, never};
        for (;;)
            co_await wait_event(forever);
    } catch (...) {
        ended = std::current_exception();
    }
    group_ = nullptr;
    group.cancel();
    co_await asio::this_coro::throw_if_cancelled(false);
    co_await group.join();
    std::rethrow_exception(ended);
}

Task<Response> Explainer::ask(std::shared_ptr<const UnitState> unit, bool systemd_readable)
{
    ++counters_.asked;
    if (auto known = recent(unit, systemd_readable)) {
        ++counters_.cached;
        co_return Response::shared(std::move(known));
    }
    // A gathering that began before the unit changed is waited for, because one per unit is enough, and then
    // asked anew.
    if (const auto older = flights_.find(unit->id); older != flights_.end() && older->second->unit != unit)
        co_await land(older->second);
    auto answer = co_await join_or_begin(std::move(unit), systemd_readable);
    co_return answer;
}

Task<Response> Explainer::join_or_begin(std::shared_ptr<const UnitState> unit, bool readable)
{
    std::shared_ptr<Flight> flight;
    if (const auto under_way = flights_.find(unit->id); under_way != flights_.end()) {
        ++counters_.joined;
        flight = under_way->second;
    } else {
        if (group_ == nullptr)
            co_return try_again("cannot explain: the health module does not run; try again");
        if (flights_.size() >= static_cast<std::size_t>(parts_.options.concurrent)) {
            ++counters_.refused;
            co_return try_again(fmt::format("cannot explain {}: {} explanations are being gathered already "
                                            "(health.explain.concurrent); try again in a second",
                                            unit->id, flights_.size()));
        }
        ++counters_.gathered;
        flight = std::make_shared<Flight>(parts_.executor, unit);
        flights_.emplace(unit->id, flight);
        group_->spawn("explain " + unit->id, fly(flight, readable));
    }
    co_await land(flight);
    if (!flight->content) co_return try_again("cannot explain: the gathering was cut off; try again");
    co_return Response::shared(flight->content);
}

Task<> Explainer::land(std::shared_ptr<Flight> flight)
{
    while (!flight->done)
        co_await wait_event(flight->landed);
}

Task<> Explainer::fly(std::shared_ptr<Flight> flight, bool readable)
{
    // Whatever happens, those who wait are told.
    struct Landing {
        Explainer& explainer;
        Flight& flight;
        ~Landing()
        {
            explainer.flights_.erase(flight.unit->id);
            flight.done = true;
            flight.landed.cancel();
        }
    };
    const Landing landing{*this, *flight};
    auto content = co_await gather_and_explain(*flight->unit, readable);
    flight->content = content;
    keep(flight->unit, readable, std::move(content));
}

Task<Explainer::Content> Explainer::gather_and_explain(const UnitState& unit, bool readable)
{
    const auto began = parts_.clock.monotonic();
    auto gathering = begin(unit, readable, parts_.clock.now(), parts_.restart_window);
    co_await first_of(gather(parts_.sources, parts_.options, gathering),
                      parts_.clock.sleep_for(parts_.options.deadline));
    const bool late = !gathering.part.empty();
    if (late) ++counters_.late;
    const auto facts =
        std::move(gathering).ended(fmt::format("it could not be gathered within {} (health.explain.deadline)",
                                               human_duration(parts_.options.deadline)));
    const auto took = std::chrono::duration_cast<Duration>(parts_.clock.monotonic() - began);
    auto text = explanation_json(explain(facts), parts_.node_name(), took);
    co_return http::make_content(std::move(text));
}

void Explainer::keep(const std::shared_ptr<const UnitState>& unit, bool readable, Content content)
{
    const auto now = parts_.clock.monotonic();
    std::erase_if(kept_, [&](const auto& entry) { return now - entry.second.at >= parts_.options.keep; });
    if (kept_.size() >= static_cast<std::size_t>(parts_.options.kept)) {
        const auto oldest =
            std::ranges::min_element(kept_, {}, [](const auto& entry) { return entry.second.at; });
        kept_.erase(oldest);
    }
    kept_.insert_or_assign(unit->id, Kept{unit, readable, now, std::move(content)});
}

Explainer::Content Explainer::recent(const std::shared_ptr<const UnitState>& unit, bool readable) const
{
    const auto it = kept_.find(unit->id);
    if (it == kept_.end() || it->second.unit != unit || it->second.readable != readable) return nullptr;
    return parts_.clock.monotonic() - it->second.at < parts_.options.keep ? it->second.content : nullptr;
}

}  // namespace opsd::health::explain
