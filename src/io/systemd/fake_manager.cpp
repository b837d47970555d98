#include "io/systemd/fake_manager.hpp"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <cassert>
#include <deque>
#include <map>
#include <utility>

namespace opsd::systemd {
namespace {

struct FakeUnit {
    UnitFacts facts;
    bool loaded = true;
    std::size_t reads = 0;
    UnitDetails details;
};

ListedUnit row(const UnitFacts& facts)
{
    return {facts.id,        facts.description,   facts.load_state, facts.active_state,
            facts.sub_state, unit_path(facts.id), facts.job_type};
}

UnitFacts missing(std::string id)
{
    UnitFacts facts;
    facts.description = id;
    facts.id = std::move(id);
    facts.load_state = "not-found";
    facts.active_state = "inactive";
    facts.sub_state = "dead";
    return facts;
}

template <class Field>
bool carry(const UnitFacts& before, const UnitFacts& after, UnitFacts& target, Field UnitFacts::* field)
{
    if (before.*field == after.*field) return false;
    target.*field = after.*field;
    return true;
}

template <class... Fields>
bool carry_all(const UnitFacts& before, const UnitFacts& after, UnitFacts& target, Fields... fields)
{
    return (static_cast<int>(carry(before, after, target, fields)) + ...) > 0;
}

/// What the unit's own interface says (Service, Socket, ...).
bool carry_own(const UnitFacts& before, const UnitFacts& after, UnitFacts& target)
{
    return carry_all(before, after, target, &UnitFacts::type, &UnitFacts::result,
                     &UnitFacts::remain_after_exit, &UnitFacts::main_code, &UnitFacts::main_status,
                     &UnitFacts::main_pid, &UnitFacts::last_main_pid, &UnitFacts::main_started,
                     &UnitFacts::main_exited, &UnitFacts::restarts, &UnitFacts::status_text);
}

/// What the Unit interface says.
bool carry_unit(const UnitFacts& before, const UnitFacts& after, UnitFacts& target)
{
    return carry_all(
        before, after, target, &UnitFacts::description, &UnitFacts::load_state, &UnitFacts::active_state,
        &UnitFacts::sub_state, &UnitFacts::unit_file_state, &UnitFacts::fragment_path, &UnitFacts::load_error,
        &UnitFacts::condition_result, &UnitFacts::assert_result, &UnitFacts::condition_at,
        &UnitFacts::triggered_by, &UnitFacts::triggers, &UnitFacts::job_type, &UnitFacts::invocation_id,
        &UnitFacts::state_change_at, &UnitFacts::active_enter_at, &UnitFacts::active_exit_at,
        &UnitFacts::inactive_enter_at, &UnitFacts::inactive_exit_at, &UnitFacts::state_change_time);
}

enum class Part { own, unit, invalidated };

class FakeChange final : public UnitChange {
public:
    FakeChange(const UnitFacts& before, const UnitFacts& after, Part part)
      : path_{unit_path(after.id)}
      , before_{before}
      , after_{after}
      , part_{part}
    {}
    [[nodiscard]] std::string_view object_path() const override { return path_; }
    bool apply_to(UnitFacts& facts) const override
    {
        if (part_ == Part::invalidated) return false;
        if (part_ == Part::own)
            carry_own(before_, after_, facts);
        else
            carry_unit(before_, after_, facts);
        return true;
    }
    [[nodiscard]] bool of_unit() const override { return part_ == Part::unit; }
    /// Carries more than what differs from its predecessor, which it may replace.
    [[nodiscard]] std::unique_ptr<const UnitChange> keep() const override
    {
        UnitFacts unlike;
        unlike.assert_result = !after_.assert_result;
        unlike.condition_result = !after_.condition_result;
        return std::make_unique<FakeChange>(unlike, after_, part_);
    }

private:
    std::string path_;
    UnitFacts before_;
    UnitFacts after_;
    Part part_;
};

}  // namespace

struct FakeManager::World {
    struct Script {
        std::deque<Error> next;
        std::optional<Error> always;
        bool held = false;
        std::size_t count = 0;
    };

    explicit World(Executor e) : executor{std::move(e)} {}

    template <class Tell>
    void tell(Tell what)
    {
        const auto now = connections;  // an observer may close its connection
        for (auto* connection : now) {
            if (std::ranges::find(connections, connection) == connections.end()) continue;
            if (connection->observer_ != nullptr && !connection->lost_) what(*connection->observer_);
        }
    }

    std::optional<Error> scripted(FakeCall call)
    {
        auto& script = scripts[call];
        if (!script.next.empty()) {
            auto error = std::move(script.next.front());
            script.next.pop_front();
            return error;
        }
        return script.always;
    }

    void wake()
    {
        for (auto* connection : connections)
            connection->ended_.cancel();
    }

    FakeUnit& find(std::string_view id)
    {
        const auto it = units.find(id);
        assert(it != units.end() && "FakeManager: no such unit");
        return it->second;
    }

    Executor executor;
    std::vector<FakeManager*> connections;
    std::map<std::string, FakeUnit, std::less<>> units;
    std::vector<ListedFile> files;
    std::map<FakeCall, Script> scripts;
    std::vector<std::string> last_names;
    std::function<void()> after_list;
    std::size_t in_flight = 0;
    std::size_t most_in_flight = 0;
};

FakeManager::FakeManager(Executor executor) : FakeManager{std::make_shared<World>(std::move(executor))} {}

FakeManager::FakeManager(std::shared_ptr<World> world)
  : world_{std::move(world)}
  , ended_{world_->executor, never}
{
    world_->connections.push_back(this);
}

FakeManager::~FakeManager() { std::erase(world_->connections, this); }

Result<std::unique_ptr<Manager>> FakeManager::connect()
{
    ++world_->scripts[FakeCall::connect].count;
    auto error = world_->scripted(FakeCall::connect);
    if (error) return fail(std::move(*error));
    return std::unique_ptr<Manager>{new FakeManager{world_}};
}

void FakeManager::add_unit(UnitFacts facts)
{
    const auto id = facts.id;
    add_unloaded(std::move(facts));
    world_->find(id).loaded = true;
    world_->tell([&](Observer& observer) { observer.unit_new(id, unit_path(id)); });
}

void FakeManager::add_unloaded(UnitFacts facts)
{
    if (facts.load_state.empty()) facts.load_state = "loaded";
    if (facts.active_state.empty()) facts.active_state = "inactive";
    if (facts.sub_state.empty()) facts.sub_state = "dead";
    const auto id = facts.id;
    world_->units.insert_or_assign(id, FakeUnit{.facts = std::move(facts), .loaded = false});
}

void FakeManager::remove_unit(std::string_view id)
{
    const std::string name{id};  // may be the key itself
    world_->find(name);
    world_->units.erase(name);
    world_->tell([&](Observer& observer) { observer.unit_removed(name, unit_path(name)); });
}

void FakeManager::change(std::string_view id, const std::function<void(UnitFacts&)>& edit)
{
    const auto before = unit(id);
    change_silently(id, edit);
    const auto after = unit(id);
    UnitFacts scratch;
    if (carry_own(before, after, scratch)) {
        const FakeChange own{before, after, Part::own};
        world_->tell([&](Observer& observer) { observer.changed(own); });
    }
    // systemd sends the Unit interface's properties at every change, whatever it was.
    const FakeChange whole{before, after, Part::unit};
    world_->tell([&](Observer& observer) { observer.changed(whole); });
}

void FakeManager::invalidate(std::string_view id, const std::function<void(UnitFacts&)>& edit)
{
    const auto before = unit(id);
    change_silently(id, edit);
    const auto after = unit(id);
    const FakeChange signal{before, after, Part::invalidated};
    world_->tell([&](Observer& observer) { observer.changed(signal); });
}

void FakeManager::change_silently(std::string_view id, const std::function<void(UnitFacts&)>& edit)
{
    edit(world_->find(id).facts);
}

const UnitFacts& FakeManager::unit(std::string_view id) const { return world_->find(id).facts; }

void FakeManager::set_details(std::string_view id, UnitDetails details)
{
    world_->find(id).details = std::move(details);
}

void FakeManager::set_files(std::vector<ListedFile> files)
{
    world_->files = std::move(files);
    world_->tell([](Observer& observer) { observer.unit_files_changed(); });
}

void FakeManager::end_job(std::string_view unit, std::string_view result)
{
    world_->tell([&](Observer& observer) { observer.job_removed(unit, result); });
}

void FakeManager::reload(const std::function<void()>& meanwhile)
{
    world_->tell([](Observer& observer) { observer.reloading(true); });
    if (meanwhile) meanwhile();
    world_->tell([](Observer& observer) { observer.reloading(false); });
}

void FakeManager::fail_next(FakeCall call, Error error)
{
    world_->scripts[call].next.push_back(std::move(error));
}

void FakeManager::fail_always(FakeCall call, std::optional<Error> error)
{
    world_->scripts[call].always = std::move(error);
}

void FakeManager::hold(FakeCall call) { world_->scripts[call].held = true; }

void FakeManager::release(FakeCall call)
{
    world_->scripts[call].held = false;
    world_->wake();
}

void FakeManager::after_list(std::function<void()> happens) { world_->after_list = std::move(happens); }

void FakeManager::lose_connection(Error error)
{
    for (auto* connection : world_->connections) {
        connection->lost_ = error;
        connection->observer_ = nullptr;
    }
    world_->wake();
}

std::size_t FakeManager::count(FakeCall call) const { return world_->scripts[call].count; }

std::size_t FakeManager::reads_of(std::string_view id) const { return world_->find(id).reads; }

std::size_t FakeManager::most_in_flight() const { return world_->most_in_flight; }

const std::vector<std::string>& FakeManager::last_names() const { return world_->last_names; }

std::size_t FakeManager::subscribers() const
{
    return static_cast<std::size_t>(
        std::ranges::count_if(world_->connections, [](const auto* c) { return c->observer_ != nullptr; }));
}

Task<std::optional<Error>> FakeManager::enter(FakeCall call)
{
    struct InFlight {
        explicit InFlight(std::shared_ptr<World> w) : world{std::move(w)}
        {
            world->most_in_flight = std::max(world->most_in_flight, ++world->in_flight);
        }
        InFlight(const InFlight&) = delete;
        InFlight& operator=(const InFlight&) = delete;
        ~InFlight() { --world->in_flight; }
        std::shared_ptr<World> world;
    };
    const InFlight in_flight{world_};
    auto& script = world_->scripts[call];
    ++script.count;
    co_await asio::post(world_->executor, asio::use_awaitable);
    while (script.held && !lost_)
        co_await wait_event(ended_);
    if (lost_) co_return Error{Errc::unavailable, lost_->message};
    co_return world_->scripted(call);
}

Task<Result<std::vector<ListedUnit>>> FakeManager::list_units()
{
    auto error = co_await enter(FakeCall::list_units);
    if (error) co_return fail(std::move(*error));
    std::vector<ListedUnit> rows;
    for (const auto& [id, unit] : world_->units) {
        if (unit.loaded) rows.push_back(row(unit.facts));
    }
    if (auto meanwhile = std::exchange(world_->after_list, nullptr)) meanwhile();
    co_return rows;
}

Task<Result<std::vector<ListedUnit>>> FakeManager::list_units_by_names(std::vector<std::string> names)
{
    auto error = co_await enter(FakeCall::list_units_by_names);
    if (error) co_return fail(std::move(*error));
    std::vector<ListedUnit> rows;
    for (const auto& name : names) {
        const auto it = world_->units.find(name);
        rows.push_back(it == world_->units.end() ? row(missing(name)) : row(it->second.facts));
    }
    world_->last_names = std::move(names);
    co_return rows;
}

Task<Result<std::vector<ListedFile>>> FakeManager::list_unit_files()
{
    auto error = co_await enter(FakeCall::list_unit_files);
    if (error) co_return fail(std::move(*error));
    co_return world_->files;
}

Task<Result<UnitFacts>> FakeManager::read_unit(std::string object_path)
{
    const auto it = world_->units.find(unit_id(object_path));
    if (it != world_->units.end()) ++it->second.reads;
    // As it is now: an answer that is held back is an old one when it comes.
    auto facts = it == world_->units.end() ? missing(unit_id(object_path)) : it->second.facts;
    facts.details = true;
    auto error = co_await enter(FakeCall::read_unit);
    if (error) co_return fail(std::move(*error));
    if (!valid_unit_name(unit_id(object_path)))
        co_return fail(Errc::not_found, "cannot read the unit " + object_path + ": no such unit");
    co_return facts;
}

Task<Result<UnitDetails>> FakeManager::inspect_unit(std::string object_path)
{
    auto error = co_await enter(FakeCall::inspect_unit);
    if (error) co_return fail(std::move(*error));
    const auto known = world_->units.find(unit_id(object_path));
    UnitDetails details;
    if (known != world_->units.end()) details = known->second.details;
    details.facts = known == world_->units.end() ? missing(unit_id(object_path)) : known->second.facts;
    details.facts.details = true;
    co_return details;
}

Task<Result<>> FakeManager::subscribe(Observer& observer)
{
    auto error = co_await enter(FakeCall::subscribe);
    if (error) co_return fail(std::move(*error));
    observer_ = &observer;
    co_return Result<>{};
}

Task<Error> FakeManager::run()
{
    while (!lost_)
        co_await wait_event(ended_);
    co_return *lost_;
}

}  // namespace opsd::systemd
