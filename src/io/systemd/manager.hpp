#pragma once
// systemd as the daemon sees it: typed calls and signals over one long-lived D-Bus connection. sd-bus itself
// stays in the .cpp files of this folder. FakeManager (fake_manager.hpp) stands in for it in unit tests.
// Costs and limits: spec systemd 3 and 4 (bulk calls; at most 128 unanswered calls on the system bus).

#include "io/systemd/details.hpp"
#include "opsd/async.hpp"
#include "opsd/model.hpp"
#include "opsd/result.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::systemd {

/// One row of ListUnits or ListUnitsByNames.
struct ListedUnit {
    std::string id;
    std::string description;
    std::string load_state;
    std::string active_state;
    std::string sub_state;
    std::string object_path;
    std::string job_type;  ///< "" without a pending job
};

/// One row of ListUnitFiles: "/lib/systemd/system/ssh.service", "enabled".
struct ListedFile {
    std::string path;
    std::string state;
};

/// A PropertiesChanged signal of one unit, valid only inside Observer::changed() unless kept.
class UnitChange {
public:
    virtual ~UnitChange() = default;
    [[nodiscard]] virtual std::string_view object_path() const = 0;
    /// Writes the properties that the signal carries into `facts`. Returns false when a property we need was
    /// only invalidated (or could not be decoded), so that the unit must be read again.
    virtual bool apply_to(UnitFacts& facts) const = 0;
    /// Is it about the interface Unit, or about that of the unit's own type? Each signal tells all changing
    /// properties of its interface, so that a later one makes an earlier one of the same interface needless.
    [[nodiscard]] virtual bool of_unit() const = 0;
    /// The same, valid for as long as it is kept.
    [[nodiscard]] virtual std::unique_ptr<const UnitChange> keep() const = 0;
};

/// Told about everything that happens; called on the loop, must not block.
class Observer {
public:
    virtual ~Observer() = default;
    virtual void changed(const UnitChange& change) = 0;
    virtual void unit_new(std::string_view id, std::string_view object_path) = 0;
    virtual void unit_removed(std::string_view id, std::string_view object_path) = 0;
    /// `result`: done, canceled, timeout, failed, dependency, skipped, invalid, assert, ...
    virtual void job_removed(std::string_view unit, std::string_view result) = 0;
    virtual void unit_files_changed() = 0;
    /// true: systemd began to reload its units; false: it is done, and anything may have changed. Between the
    /// two every unit is removed, and new again if it still exists.
    virtual void reloading(bool active) = 0;
};

/// A connection to systemd. Each call has the deadline given at connect(); errors: timeout, unavailable (the
/// connection is gone), denied, not_found, protocol.
class Manager {
public:
    virtual ~Manager() = default;

    virtual Task<Result<std::vector<ListedUnit>>> list_units() = 0;
    /// Also loads and lists units that are not loaded: missing, masked, broken (spec systemd 3.3). One row
    /// per name, in the order of `names`; an alias is listed under the unit's own id. A name that is not
    /// valid_unit_name() is invalid_argument: systemd would refuse all for one.
    virtual Task<Result<std::vector<ListedUnit>>> list_units_by_names(std::vector<std::string> names) = 0;
    virtual Task<Result<std::vector<ListedFile>>> list_unit_files() = 0;

    /// All facts of one unit as of one moment: one GetAll over all its interfaces. Calls beyond the window
    /// wait their turn, as long as answers still come. A unit that is not loaded is loaded for it (missing:
    /// not-found), and what a condition said is forgotten with the unloading.
    virtual Task<Result<UnitFacts>> read_unit(std::string object_path) = 0;

    /// The same and everything that helps to explain the unit, from one GetAll too: for questions of people.
    virtual Task<Result<UnitDetails>> inspect_unit(std::string object_path) = 0;

    /// Asks systemd for signals and delivers them to `observer` until the connection ends. Once.
    virtual Task<Result<>> subscribe(Observer& observer) = 0;

    /// Called inside an Observer: what comes next may wait for some milliseconds, so that more of it is
    /// handled at once. Answers of calls do not wait.
    virtual void linger() = 0;

    /// Pumps the connection; returns why it ended. Runs as a task of the caller's group beside its other
    /// work.
    virtual Task<Error> run() = 0;
};

/// How to reach systemd.
struct ConnectOptions {
    std::string address;               ///< D-Bus address; "" is the machine's own
    bool allow_private_socket = true;  ///< use /run/systemd/private when we are root
    std::chrono::milliseconds call_timeout{5000};
    std::size_t window = 100;  ///< calls in flight, 1 to 120
};

/// Opens a connection (non-blocking; authentication happens while run() pumps).
Result<std::unique_ptr<Manager>> connect(Executor executor, const ConnectOptions& options);

/// "ssh.service" -> "/org/freedesktop/systemd1/unit/ssh_2eservice", and back ("" if it is not such a path).
[[nodiscard]] std::string unit_path(std::string_view id);
[[nodiscard]] std::string unit_id(std::string_view object_path);

/// Is it a valid unit name: a known type suffix, allowed characters, at most 255 bytes? Several dots and
/// template instances are fine ("a.b@c.d.service"); a template without its instance ("a@.service") is no
/// unit.
[[nodiscard]] bool valid_unit_name(std::string_view name) noexcept;

}  // namespace opsd::systemd
