#include "io/systemd/manager.hpp"

#include "io/systemd/bus.hpp"
#include "io/systemd/properties.hpp"

#include <systemd/sd-bus.h>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace opsd::systemd {
namespace {

constexpr const char* systemd_name = "org.freedesktop.systemd1";
constexpr const char* manager_path = "/org/freedesktop/systemd1";
constexpr std::string_view unit_interface = "org.freedesktop.systemd1.Unit";
constexpr const char* manager_interface = "org.freedesktop.systemd1.Manager";
constexpr const char* properties_interface = "org.freedesktop.DBus.Properties";
constexpr const char* bus_name = "org.freedesktop.DBus";
constexpr const char* bus_path = "/org/freedesktop/DBus";
constexpr std::string_view unit_prefix = "/org/freedesktop/systemd1/unit/";
constexpr const char* private_socket = "/run/systemd/private";

/// What we ask the bus to deliver. JobNew and the jobs' own properties are not: they are half of the traffic.
constexpr const char* wanted_signals[] = {
    "member='PropertiesChanged',path_namespace='/org/freedesktop/systemd1/unit'",
    "interface='org.freedesktop.systemd1.Manager',member='UnitNew'",
    "interface='org.freedesktop.systemd1.Manager',member='UnitRemoved'",
    "interface='org.freedesktop.systemd1.Manager',member='JobRemoved'",
    "interface='org.freedesktop.systemd1.Manager',member='UnitFilesChanged'",
    "interface='org.freedesktop.systemd1.Manager',member='Reloading'",
};
constexpr const char* owner_changes =
    "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',member='NameOwnerChanged',"
    "arg0='org.freedesktop.systemd1'";

using Rows = std::vector<ListedUnit>;
using BusRef = std::shared_ptr<Bus>;

std::string_view text_or_empty(const char* text) { return text == nullptr ? std::string_view{} : text; }

Error unreadable(std::string_view what)
{
    return {Errc::protocol,
            fmt::format("cannot {}: systemd answered something unexpected; please report its version", what)};
}

/// One PropertiesChanged.
class Signal final : public UnitChange {
public:
    Signal(sd_bus_message* message, std::string_view path) : message_{message}, path_{path} {}
    [[nodiscard]] std::string_view object_path() const override { return path_; }
    bool apply_to(UnitFacts& facts) const override
    {
        const char* interface = nullptr;
        if (sd_bus_message_rewind(message_, 1) < 0) return false;
        if (sd_bus_message_read_basic(message_, SD_BUS_TYPE_STRING, &interface) <= 0) return false;
        const bool complete = read_properties(message_, facts, path_.ends_with("_2eservice"));
        return complete && nothing_invalidated(message_);
    }
    [[nodiscard]] bool of_unit() const override
    {
        const char* interface = nullptr;
        if (sd_bus_message_rewind(message_, 1) < 0) return false;
        if (sd_bus_message_read_basic(message_, SD_BUS_TYPE_STRING, &interface) <= 0) return false;
        return std::string_view{interface} == unit_interface;
    }
    [[nodiscard]] std::unique_ptr<const UnitChange> keep() const override;

private:
    sd_bus_message* message_;
    std::string_view path_;
};

class KeptSignal final : public UnitChange {
public:
    explicit KeptSignal(sd_bus_message* message) : message_{sd_bus_message_ref(message)} {}
    [[nodiscard]] std::string_view object_path() const override { return signal_.object_path(); }
    bool apply_to(UnitFacts& facts) const override { return signal_.apply_to(facts); }
    [[nodiscard]] bool of_unit() const override { return signal_.of_unit(); }
    [[nodiscard]] std::unique_ptr<const UnitChange> keep() const override { return signal_.keep(); }

private:
    Message message_;
    Signal signal_{message_.get(), text_or_empty(sd_bus_message_get_path(message_.get()))};
};

std::unique_ptr<const UnitChange> Signal::keep() const { return std::make_unique<KeptSignal>(message_); }

/// Sorts signals and passes them on. Whoever can reach the system bus can send us a signal directly, so only
/// those of systemd's own connection count.
class Signals {
public:
    Signals(Observer& observer, const BusRef& bus) : observer_{observer}, bus_{bus} {}

    void set_owner(std::string owner) { owner_ = std::move(owner); }

    void handle(sd_bus_message* message)
    {
        const auto interface = text_or_empty(sd_bus_message_get_interface(message));
        const auto sender = text_or_empty(sd_bus_message_get_sender(message));
        const auto bus = bus_.lock();
        if (!bus) return;
        if (!bus->direct()) {
            if (sender == bus_name && interface == bus_name) return owner_changed(*bus, message);
            if (owner_.empty() || sender != owner_) return;
        }
        const auto path = text_or_empty(sd_bus_message_get_path(message));
        const auto member = text_or_empty(sd_bus_message_get_member(message));
        if (interface == properties_interface && member == "PropertiesChanged"
            && path.starts_with(unit_prefix)) {
            observer_.changed(Signal{message, path});
        } else if (interface == manager_interface) {
            manager_signal(message, member);
        }
    }

private:
    void owner_changed(Bus& bus, sd_bus_message* message)
    {
        const char* name = nullptr;
        const char* old_owner = nullptr;
        const char* new_owner = nullptr;
        if (sd_bus_message_read(message, "sss", &name, &old_owner, &new_owner) < 0) return;
        if (std::string_view{name} != systemd_name || owner_ == new_owner) return;
        bus.close({Errc::unavailable,
                   "systemd left the bus: it was re-executed (daemon-reexec) or dbus lost it; "
                   "connect again"});
    }

    void manager_signal(sd_bus_message* message, std::string_view member)
    {
        const char* first = nullptr;
        const char* second = nullptr;
        if (member == "UnitNew" || member == "UnitRemoved") {
            if (sd_bus_message_read(message, "so", &first, &second) < 0) return;
            if (member == "UnitNew")
                observer_.unit_new(first, second);
            else
                observer_.unit_removed(first, second);
        } else if (member == "JobRemoved") {
            std::uint32_t id = 0;
            const char* path = nullptr;
            if (sd_bus_message_read(message, "uoss", &id, &path, &first, &second) < 0) return;
            observer_.job_removed(first, second);
        } else if (member == "UnitFilesChanged") {
            observer_.unit_files_changed();
        } else if (member == "Reloading") {
            int active = 0;
            if (sd_bus_message_read(message, "b", &active) < 0) return;
            observer_.reloading(active != 0);
        }
    }

    Observer& observer_;
    std::weak_ptr<Bus> bus_;  // the bus holds us
    std::string owner_;       // systemd's unique name; "" until known
};

Result<Message> manager_call(Bus& bus, const char* member)
{
    return bus.method(systemd_name, manager_path, manager_interface, member);
}

/// a(ssssssouso): id, description, load, active, sub, following, path, job id, job type, job path.
Result<Rows> read_rows(sd_bus_message* reply, std::string_view what)
{
    Rows rows;
    int r = sd_bus_message_enter_container(reply, SD_BUS_TYPE_ARRAY, "(ssssssouso)");
    const char* f[9] = {};
    std::uint32_t job = 0;
    while (r > 0) {
        r = sd_bus_message_read(reply, "(ssssssouso)", &f[0], &f[1], &f[2], &f[3], &f[4], &f[5], &f[6], &job,
                                &f[7], &f[8]);
        if (r > 0) rows.push_back({f[0], f[1], f[2], f[3], f[4], f[6], f[7]});
    }
    if (r < 0) return fail(unreadable(what));
    return rows;
}

Task<Result<Rows>> list(BusRef bus)
{
    const std::string what = "list the units";
    auto request = manager_call(*bus, "ListUnits");
    if (!request) co_return fail(std::move(request).error());
    auto reply = co_await Bus::call(bus, std::move(*request), what);
    if (!reply) co_return fail(std::move(reply).error());
    co_return read_rows(reply->get(), what);
}

Task<Result<Rows>> list_by_names(BusRef bus, std::vector<std::string> names)
{
    const std::string what = fmt::format("list {} units by name", names.size());
    const auto wrong = std::ranges::find_if_not(names, valid_unit_name);
    if (wrong != names.end()) {  // systemd would refuse them all for one
        co_return fail(Errc::invalid_argument,
                       fmt::format("cannot {}: \"{}\" is no unit name", what, *wrong));
    }
    auto request = manager_call(*bus, "ListUnitsByNames");
    if (!request) co_return fail(std::move(request).error());
    int r = sd_bus_message_open_container(request->get(), SD_BUS_TYPE_ARRAY, "s");
    for (const auto& name : names) {
        if (r >= 0) r = sd_bus_message_append_basic(request->get(), SD_BUS_TYPE_STRING, name.c_str());
    }
    if (r >= 0) r = sd_bus_message_close_container(request->get());
    if (r < 0) co_return fail(cause_of_errno(-r, "the request").when_asked_to(what));
    auto reply = co_await Bus::call(bus, std::move(*request), what);
    if (!reply) co_return fail(std::move(reply).error());
    auto rows = read_rows(reply->get(), what);
    if (rows && rows->size() != names.size()) co_return fail(unreadable(what));
    co_return rows;
}

Task<Result<std::vector<ListedFile>>> list_files(BusRef bus)
{
    const std::string what = "list the unit files";
    auto request = manager_call(*bus, "ListUnitFiles");
    if (!request) co_return fail(std::move(request).error());
    auto reply = co_await Bus::call(bus, std::move(*request), what);
    if (!reply) co_return fail(std::move(reply).error());
    std::vector<ListedFile> files;
    int r = sd_bus_message_enter_container(reply->get(), SD_BUS_TYPE_ARRAY, "(ss)");
    const char* path = nullptr;
    const char* state = nullptr;
    while (r > 0) {
        r = sd_bus_message_read(reply->get(), "(ss)", &path, &state);
        if (r > 0) files.push_back({path, state});
    }
    if (r < 0) co_return fail(unreadable(what));
    co_return files;
}

/// The type of a job; "" when it is done meanwhile.
Task<Result<std::string>> job_type(BusRef bus, std::string path)
{
    const std::string what = "read the job " + path;
    auto request = bus->method(systemd_name, path.c_str(), properties_interface, "Get");
    if (!request) co_return fail(std::move(request).error());
    sd_bus_message_append(request->get(), "ss", "org.freedesktop.systemd1.Job", "JobType");
    auto reply = co_await Bus::call(bus, std::move(*request), what);
    if (!reply && reply.error().code == Errc::not_found) co_return std::string{};
    if (!reply) co_return fail(std::move(reply).error());
    const char* type = nullptr;
    if (sd_bus_message_read(reply->get(), "v", "s", &type) < 0) co_return fail(unreadable(what));
    co_return std::string{type};
}

/// GetAll of the empty interface is all interfaces: one call, one moment, and cheaper than two (spec systemd
/// 4).
Task<Result<Message>> get_all(BusRef bus, std::string path, std::string what)
{
    if (unit_id(path).empty())
        co_return fail(Errc::invalid_argument,
                       fmt::format("cannot read the unit at \"{}\": no unit has such a path", path));
    auto request = bus->method(systemd_name, path.c_str(), properties_interface, "GetAll");
    if (!request) co_return fail(std::move(request).error());
    sd_bus_message_append(request->get(), "s", "");
    co_return co_await Bus::call(bus, std::move(*request), std::move(what));
}

Task<Result<UnitFacts>> read(BusRef bus, std::string path)
{
    auto id = unit_id(path);
    const std::string what = "read the unit " + id;
    auto reply = co_await get_all(bus, path, what);
    if (!reply) co_return fail(std::move(reply).error());
    UnitFacts facts;
    PendingJob job;
    facts.id = std::move(id);
    const bool complete = read_properties(reply->get(), facts, path.ends_with("_2eservice"), &job);
    if (!complete || facts.active_state.empty()) co_return fail(unreadable(what));
    facts.details = true;
    if (job.id != 0) {
        auto type = co_await job_type(bus, std::move(job.path));
        if (type) facts.job_type = std::move(*type);
    }
    co_return facts;
}

Task<Result<UnitDetails>> inspect(BusRef bus, std::string path)
{
    UnitDetails details;
    details.facts.id = unit_id(path);
    const std::string what = "inspect the unit " + details.facts.id;
    auto reply = co_await get_all(bus, path, what);
    if (!reply) co_return fail(std::move(reply).error());
    PendingJob job;
    bool complete = read_properties(reply->get(), details.facts, path.ends_with("_2eservice"), &job);
    complete = complete && !details.facts.active_state.empty();
    complete = complete && sd_bus_message_rewind(reply->get(), 1) >= 0 && read_details(reply->get(), details);
    if (!complete) co_return fail(unreadable(what));
    details.facts.details = true;
    if (job.id != 0) {
        auto type = co_await job_type(bus, std::move(job.path));
        if (type) details.facts.job_type = std::move(*type);
    }
    co_return details;
}

Result<Message> bus_call(Bus& bus, const char* member, const char* argument)
{
    auto request = bus.method(bus_name, bus_path, bus_name, member);
    if (request) sd_bus_message_append(request->get(), "s", argument);
    return request;
}

Task<Result<std::vector<Message>>> ask_all(BusRef bus, std::vector<Result<Message>> made)
{
    std::vector<Message> requests;
    for (auto& request : made) {
        if (!request) co_return fail(std::move(request).error());
        requests.push_back(std::move(*request));
    }
    auto replies = co_await Bus::call_all(bus, std::move(requests), "subscribe to systemd's signals");
    co_return replies;
}

/// The unique name behind org.freedesktop.systemd1, watched before it is read so that no change is missed.
Task<Result<std::string>> find_owner(BusRef bus)
{
    std::vector<Result<Message>> calls;
    calls.push_back(bus_call(*bus, "AddMatch", owner_changes));
    calls.push_back(bus_call(*bus, "GetNameOwner", systemd_name));
    auto replies = co_await ask_all(bus, std::move(calls));
    if (!replies) co_return fail(std::move(replies).error());
    const char* owner = nullptr;
    if (sd_bus_message_read(replies->back().get(), "s", &owner) < 0)
        co_return fail(unreadable("find systemd on the bus"));
    co_return std::string{owner};
}

/// In two goes: one by one, the calls would cost nine hops between four processes before the first list can
/// be asked for.
Task<Result<>> watch(BusRef bus, std::shared_ptr<Signals> signals)
{
    if (bus->direct()) co_return Result<>{};  // PID 1 sends everything to whoever is on its private socket
    auto owner = co_await find_owner(bus);
    if (!owner) co_return fail(std::move(owner).error());
    signals->set_owner(std::move(*owner));
    std::vector<Result<Message>> calls;
    for (const auto* wanted : wanted_signals) {
        const auto rule = fmt::format("type='signal',sender='{}',{}", systemd_name, wanted);
        calls.push_back(bus_call(*bus, "AddMatch", rule.c_str()));
    }
    calls.push_back(manager_call(*bus, "Subscribe"));
    auto replies = co_await ask_all(bus, std::move(calls));
    if (!replies) co_return fail(std::move(replies).error());
    co_return Result<>{};
}

class BusManager final : public Manager {
public:
    explicit BusManager(BusRef bus) : bus_{std::move(bus)} {}
    ~BusManager() override
    {
        bus_->on_signal({});
        bus_->close({Errc::cancelled, "the connection was closed by opsd itself"});
    }
    BusManager(const BusManager&) = delete;
    BusManager& operator=(const BusManager&) = delete;

    Task<Result<Rows>> list_units() override { return list(bus_); }
    Task<Result<Rows>> list_units_by_names(std::vector<std::string> names) override
    {
        return list_by_names(bus_, std::move(names));
    }
    Task<Result<std::vector<ListedFile>>> list_unit_files() override { return list_files(bus_); }
    Task<Result<UnitFacts>> read_unit(std::string path) override { return read(bus_, std::move(path)); }
    Task<Result<UnitDetails>> inspect_unit(std::string path) override
    {
        return inspect(bus_, std::move(path));
    }
    Task<Error> run() override { return bus_->run(); }
    void linger() override { bus_->linger(); }
    Task<Result<>> subscribe(Observer& observer) override
    {
        auto signals = std::make_shared<Signals>(observer, bus_);
        bus_->on_signal([signals](sd_bus_message* message) { signals->handle(message); });
        return watch(bus_, std::move(signals));
    }

private:
    BusRef bus_;
};

BusOptions choose(const ConnectOptions& options)
{
    BusOptions chosen{.address = options.address, .call_timeout = options.call_timeout};
    chosen.window = std::clamp<std::size_t>(options.window, 1, 120);
    if (!chosen.address.empty()) return chosen;
    if (options.allow_private_socket && ::geteuid() == 0 && ::access(private_socket, F_OK) == 0) {
        chosen.address = std::string{"unix:path="} + private_socket;
        chosen.direct = true;
        return chosen;
    }
    const char* configured = ::secure_getenv("DBUS_SYSTEM_BUS_ADDRESS");
    chosen.address = configured != nullptr ? configured : "unix:path=/run/dbus/system_bus_socket";
    return chosen;
}

}  // namespace

Result<std::unique_ptr<Manager>> connect(Executor executor, const ConnectOptions& options)
{
    auto bus = Bus::open(executor, choose(options));
    if (!bus) return fail(std::move(bus).error());
    return std::unique_ptr<Manager>{std::make_unique<BusManager>(std::move(*bus))};
}

}  // namespace opsd::systemd
