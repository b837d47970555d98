#include "daemon/supervisor.hpp"

#include <boost/asio/experimental/awaitable_operators.hpp>

#include <algorithm>

namespace opsd::daemon {

using namespace std::chrono_literals;

namespace {

constexpr auto first_backoff = 1000ms;
constexpr auto last_backoff = 60'000ms;
constexpr auto stable_after = std::chrono::minutes{5};  // a module that ran this long starts again at 1 s

std::vector<http::Route> routes_of(const std::shared_ptr<Module>& module)
{
    auto routes = module->routes();
    for (auto& route : routes) {
        // A request in flight keeps the module it began with, also when a reload replaces it.
        route.handler = [module, inner = std::move(route.handler)](const http::Request& request) {
            return inner(request);
        };
    }
    return routes;
}

}  // namespace

/// One module: its line of the catalog, its section, and the instance of the moment.
struct Supervisor::Slot final : ModuleReporter {
    Slot(Supervisor& supervisor, CatalogEntry entry_of)
      : owner{supervisor}
      , entry{std::move(entry_of)}
      , services{owner.environment_.executor,
                 owner.environment_.clock,
                 owner.environment_.board,
                 owner.environment_.feeds,
                 owner.environment_.store,
                 owner.environment_.metrics,
                 owner.environment_.paths,
                 *this,
                 owner.environment_.log.named(entry.name)}
    {
        state.name = entry.name;
        state.since = owner.environment_.clock.now();
    }

    void running() override { enter(ModuleCondition::running, {}); }
    void degraded(std::string reason) override { enter(ModuleCondition::degraded, std::move(reason)); }
    void failed(std::string reason) override { enter(ModuleCondition::failed, std::move(reason)); }

    void enter(ModuleCondition condition, std::string reason)
    {
        if (state.condition == condition && state.reason == reason) return;
        const bool news = state.condition != condition;
        if (news) state.since = owner.environment_.clock.now();
        state.condition = condition;
        state.reason = std::move(reason);
        if (condition == ModuleCondition::failed)
            services.log.error("failed: {}", state.reason);
        else if (condition == ModuleCondition::degraded)
            services.log.warning("degraded: {}", state.reason);
        else if (news)
            services.log.info("{}", to_string(condition));
        owner.publish();
    }

    void run()
    {
        halting = false;
        group = std::make_shared<TaskGroup>(
            owner.environment_.executor, [this](std::string_view, std::exception_ptr e) {
                failed("the supervisor itself failed: "
                       + describe(e).what);  // a bug: supervise() catches everything
            });
        group->spawn(entry.name, owner.supervise(*this));
    }

    void cancel()
    {
        halting = true;
        if (group) group->cancel();
    }

    /// Also twice at once: a stop may come while a reload waits for the module.
    Task<> halt()
    {
        const auto ending = group;
        if (!ending) co_return;
        cancel();
        co_await ending->join();
        if (group == ending) group.reset();
    }

    Supervisor& owner;
    CatalogEntry entry;
    ModuleState state;
    Services services;
    config::Value section;
    std::shared_ptr<Module> module;
    std::shared_ptr<TaskGroup> group;
    bool halting = false;  ///< cancelled by us: its end is no failure
};

Supervisor::Supervisor(Environment environment, std::vector<CatalogEntry> catalog)
  : environment_{std::move(environment)}
{
    for (auto& entry : catalog)
        slots_.emplace_back(*this, std::move(entry));
    publish();
}

Supervisor::~Supervisor() = default;

void Supervisor::publish()
{
    std::vector<ModuleState> states;
    for (const auto& slot : slots_)
        states.push_back(slot.state);
    environment_.board.modules.publish(std::move(states), environment_.clock.now());
}

Result<std::shared_ptr<Module>> Supervisor::make(Slot& slot, const config::Value* section)
{
    auto made = slot.entry.create(section, slot.services);
    if (!made) return fail(std::move(made).error());
    return std::shared_ptr<Module>{std::move(*made)};
}

void Supervisor::create(const config::Value& root, config::Mistakes& mistakes)
{
    for (auto& slot : slots_) {
        const auto* section = root.find(slot.entry.name);
        auto made = make(slot, section);
        if (!made) {
            mistakes.push_back({section != nullptr ? section->where : config::Where{}, slot.entry.name,
                                made.error().message});
            continue;
        }
        slot.section = section != nullptr ? *section : config::Value{};
        slot.module = std::move(*made);
    }
}

void Supervisor::start()
{
    for (auto& slot : slots_)
        slot.run();
}

namespace {

/// Runs a module to its end and says why it ended; throws only when its supervisor was told to stop. It asks
/// that, and not the cancellation state: a module that joins its tasks has reset this coroutine's own.
Task<std::string> run_to_end(Module& module, const bool& halting)
{
    std::string why = "it returned, which a module never does";
    try {
        co_await module.run();
    } catch (...) {
        why = describe(std::current_exception()).what;
    }
    if (halting) throw boost::system::system_error{asio::error::operation_aborted};
    co_await asio::this_coro::reset_cancellation_state(asio::enable_terminal_cancellation());
    co_await asio::this_coro::throw_if_cancelled(true);
    co_return why;
}

}  // namespace

Task<> Supervisor::supervise(Slot& slot)
{
    auto& clock = environment_.clock;
    auto backoff = first_backoff;
    for (;;) {
        const auto started = clock.monotonic();
        if (slot.module) {
            const auto why = co_await run_to_end(*slot.module, slot.halting);
            slot.failed("stopped by a failure inside, will be started again: " + why);
        }
        if (clock.monotonic() - started > stable_after) backoff = first_backoff;
        co_await clock.sleep_for(backoff);
        backoff = std::min(backoff * 2, last_backoff);
        auto made = make(slot, slot.section.kind == config::Value::Kind::null ? nullptr : &slot.section);
        if (!made) {
            slot.module.reset();
            slot.failed(made.error().message);
            continue;
        }
        slot.module = std::move(*made);
        ++slot.state.restarts;
        slot.enter(ModuleCondition::starting, {});
        if (routes_changed_) routes_changed_();
    }
}

struct Supervisor::Changes::Change {
    Slot* slot;
    config::Value section;
    std::shared_ptr<Module> module;
};

Supervisor::Changes::Changes() = default;
Supervisor::Changes::Changes(Changes&& other) noexcept = default;
Supervisor::Changes::~Changes() = default;

Supervisor::Changes Supervisor::prepare(const config::Value& root, config::Mistakes& mistakes)
{
    Changes changes;
    for (auto& slot : slots_) {
        const auto* section = root.find(slot.entry.name);
        const auto wanted = section != nullptr ? *section : config::Value{};
        if (wanted == slot.section) continue;
        auto made = make(slot, section);
        if (!made)
            mistakes.push_back({wanted.where, slot.entry.name, made.error().message});
        else
            changes.all_.push_back({&slot, wanted, std::move(*made)});
    }
    return changes;
}

/// Requests go to the new instance at once: what an old one still answered, it would publish, too.
Task<> Supervisor::replace(Changes changes)
{
    for (auto& change : changes.all_) {
        change.slot->services.log.info("restarting with its new configuration");
        co_await change.slot->halt();
        if (stopping_) co_return;
        change.slot->section = std::move(change.section);
        change.slot->module = std::move(change.module);
        change.slot->enter(ModuleCondition::starting, {});
        change.slot->run();
        if (routes_changed_) routes_changed_();
    }
}

Task<> Supervisor::stop()
{
    stopping_ = true;
    for (auto& slot : slots_) {
        slot.cancel();
    }
    for (auto& slot : slots_) {
        co_await slot.halt();
        slot.enter(ModuleCondition::stopped, {});
    }
}

std::vector<std::string> Supervisor::running() const
{
    std::vector<std::string> names;
    for (const auto& slot : slots_) {
        if (slot.group && slot.group->size() > 0) names.push_back(slot.entry.name);
    }
    return names;
}

Task<bool> Supervisor::settled(std::chrono::milliseconds limit)
{
    using namespace asio::experimental::awaitable_operators;
    const auto starting = [this] {
        return std::ranges::any_of(
            slots_, [](const Slot& s) { return s.state.condition == ModuleCondition::starting; });
    };
    asio::steady_timer deadline{environment_.executor, limit};
    while (starting()) {
        const auto seen = environment_.board.modules.version();
        const auto first =
            co_await (environment_.board.modules.next(seen) || deadline.async_wait(asio::use_awaitable));
        if (first.index() == 1) co_return false;
    }
    co_return true;
}

std::vector<http::Route> Supervisor::routes() const
{
    std::vector<http::Route> all;
    for (const auto& slot : slots_) {
        if (!slot.module) continue;
        auto routes = routes_of(slot.module);
        std::ranges::move(routes, std::back_inserter(all));
    }
    return all;
}

}  // namespace opsd::daemon
