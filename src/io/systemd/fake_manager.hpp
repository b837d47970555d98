#pragma once
// A systemd for unit tests: units, files, signals, failures and lost connections by script. One executor, and
// no clock: nothing happens but what the test says. Signals reach the observers inside the scripting call.
//
//     FakeManager systemd{executor};
//     systemd.add_unit({.id = "a.service", .load_state = "loaded", .active_state = "active", .sub_state =
//     "running"}); auto manager = systemd.connect();                      // what the code under test uses;
//     as often as it likes systemd.change("a.service", [](UnitFacts& unit) { unit.active_state = "failed";
//     }); systemd.lose_connection({Errc::unavailable, "cannot reach systemd: the test said so"});

#include "io/systemd/manager.hpp"

#include <functional>
#include <optional>

namespace opsd::systemd {

/// What can be counted, held or made to fail.
enum class FakeCall {
    connect,
    list_units,
    list_units_by_names,
    list_unit_files,
    read_unit,
    inspect_unit,
    subscribe
};

/// A Manager over a scripted world. All connections made by connect() share the world; every scripting call
/// may be made on any of them. Connections must not outlive the executor.
class FakeManager final : public Manager {
public:
    explicit FakeManager(Executor executor);
    ~FakeManager() override;
    FakeManager(const FakeManager&) = delete;
    FakeManager& operator=(const FakeManager&) = delete;

    /// A further connection to the same world; fails as scripted for FakeCall::connect.
    Result<std::unique_ptr<Manager>> connect();

    // --- the world

    /// A loaded unit; observers hear unit_new. Replaces a unit of that name. Empty load, active or sub state
    /// become loaded, inactive and dead.
    void add_unit(UnitFacts facts);
    /// A unit that only ListUnitsByNames and read_unit know, until it is loaded: masked, condition failed,
    /// ...
    void add_unloaded(UnitFacts facts);
    /// Unloads and forgets it; observers hear unit_removed.
    void remove_unit(std::string_view id);
    /// Changes the facts and tells the observers as systemd does: one signal with the properties of the
    /// unit's own interface, one with those of Unit, each carrying only what differs.
    void change(std::string_view id, const std::function<void(UnitFacts&)>& edit);
    /// The same, but the signal only says that something is no longer true (UnitChange::apply_to is false).
    void invalidate(std::string_view id, const std::function<void(UnitFacts&)>& edit);
    /// Changes the facts without a word: what was missed while nobody was connected.
    void change_silently(std::string_view id, const std::function<void(UnitFacts&)>& edit);
    /// Asserts that the unit exists.
    [[nodiscard]] const UnitFacts& unit(std::string_view id) const;
    /// What inspect_unit says beyond the facts, which are those of the unit.
    void set_details(std::string_view id, UnitDetails details);
    /// Observers hear unit_files_changed.
    void set_files(std::vector<ListedFile> files);
    void end_job(std::string_view unit, std::string_view result);
    /// reloading(true), `meanwhile`, reloading(false).
    void reload(const std::function<void()>& meanwhile = {});

    // --- failures

    /// The next call of this kind fails so; called n times, the next n calls do.
    void fail_next(FakeCall call, Error error);
    /// Every call of this kind fails so, until nullopt is given.
    void fail_always(FakeCall call, std::optional<Error> error);
    /// Calls of this kind wait until release(); they see the world of then.
    void hold(FakeCall call);
    void release(FakeCall call);
    /// What happens once, between the making of the next list_units and its arrival.
    void after_list(std::function<void()> happens);
    /// Every connection there is now ends: run() returns `error`, pending calls and later ones are
    /// unavailable. connect() works again at once.
    void lose_connection(Error error);

    // --- what was asked

    [[nodiscard]] std::size_t count(FakeCall call) const;
    [[nodiscard]] std::size_t reads_of(std::string_view id) const;
    /// Most calls that ever waited at the same time.
    [[nodiscard]] std::size_t most_in_flight() const;
    /// The names of the last list_units_by_names.
    [[nodiscard]] const std::vector<std::string>& last_names() const;
    /// Connections that are subscribed and alive.
    [[nodiscard]] std::size_t subscribers() const;

    // --- Manager

    Task<Result<std::vector<ListedUnit>>> list_units() override;
    Task<Result<std::vector<ListedUnit>>> list_units_by_names(std::vector<std::string> names) override;
    Task<Result<std::vector<ListedFile>>> list_unit_files() override;
    Task<Result<UnitFacts>> read_unit(std::string object_path) override;
    Task<Result<UnitDetails>> inspect_unit(std::string object_path) override;
    Task<Result<>> subscribe(Observer& observer) override;
    Task<Error> run() override;
    void linger() override {}

private:
    struct World;
    explicit FakeManager(std::shared_ptr<World> world);
    /// Suspends as a real call does; the error that was scripted, or that of the lost connection.
    Task<std::optional<Error>> enter(FakeCall call);

    std::shared_ptr<World> world_;
    asio::steady_timer ended_;  ///< wakes run() and held calls when the connection is lost
    std::optional<Error> lost_;
    Observer* observer_ = nullptr;
};

}  // namespace opsd::systemd
