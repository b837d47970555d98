#include "io/systemd/details.hpp"

#include <systemd/sd-bus.h>

#include <algorithm>
#include <array>

namespace opsd::systemd {
namespace {

/// More entries of one list than this do not help anybody; systemd's own lists are far shorter.
constexpr std::size_t longest_list = 512;

using Details = UnitDetails;
/// Reads one value, already inside its variant; `name` is the property's.
using Reader = bool (*)(sd_bus_message*, Details&, std::string_view name);

struct Property {
    std::string_view name;
    std::string_view type;
    Reader read;
};

template <class Wire>
bool basic(sd_bus_message* message, char type, Wire& value)
{
    return sd_bus_message_read_basic(message, type, &value) > 0;
}

WallTime wall_of(std::uint64_t usec)
{
    return WallTime{
        std::chrono::microseconds{static_cast<std::int64_t>(std::min<std::uint64_t>(usec, INT64_MAX))}};
}

template <std::string Details::* Field>
bool text(sd_bus_message* message, Details& details, std::string_view)
{
    const char* value = nullptr;
    if (!basic(message, SD_BUS_TYPE_STRING, value)) return false;
    (details.*Field).assign(value);
    return true;
}

template <bool Details::* Field>
bool flag(sd_bus_message* message, Details& details, std::string_view)
{
    int value = 0;
    if (!basic(message, SD_BUS_TYPE_BOOLEAN, value)) return false;
    details.*Field = value != 0;
    return true;
}

template <std::uint32_t Details::* Field>
bool small_number(sd_bus_message* message, Details& details, std::string_view)
{
    return basic(message, SD_BUS_TYPE_UINT32, details.*Field);
}

template <std::uint64_t Details::* Field>
bool number(sd_bus_message* message, Details& details, std::string_view)
{
    return basic(message, SD_BUS_TYPE_UINT64, details.*Field);
}

template <WallTime Details::* Field>
bool wall(sd_bus_message* message, Details& details, std::string_view)
{
    std::uint64_t value = 0;
    if (!basic(message, SD_BUS_TYPE_UINT64, value)) return false;
    details.*Field = wall_of(value);
    return true;
}

bool read_strings(sd_bus_message* message, std::vector<std::string>& list)
{
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "s") < 0) return false;
    const char* value = nullptr;
    while (basic(message, SD_BUS_TYPE_STRING, value)) {
        if (list.size() < longest_list) list.emplace_back(value);
    }
    return sd_bus_message_exit_container(message) >= 0;
}

template <std::vector<std::string> Details::* Field>
bool strings(sd_bus_message* message, Details& details, std::string_view)
{
    return read_strings(message, details.*Field);
}

/// An array of structures, one call of `read_one` for each; it returns what sd_bus_message_read does.
template <class ReadOne>
bool each(sd_bus_message* message, const char* element, const ReadOne& read_one)
{
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, element) < 0) return false;
    int r = 1;
    while (r > 0)
        r = read_one();
    return r >= 0 && sd_bus_message_exit_container(message) >= 0;
}

template <std::vector<ConditionCheck> Details::* Field>
bool checks(sd_bus_message* message, Details& details, std::string_view)
{
    return each(message, "(sbbsi)", [&] {
        const char* type = nullptr;
        const char* parameter = nullptr;
        int trigger = 0;
        int negated = 0;
        std::int32_t result = 0;
        const int r = sd_bus_message_read(message, "(sbbsi)", &type, &trigger, &negated, &parameter, &result);
        auto& list = details.*Field;
        if (r > 0 && list.size() < longest_list)
            list.push_back({type, trigger != 0, negated != 0, parameter, result});
        return r;
    });
}

bool environment_files(sd_bus_message* message, Details& details, std::string_view)
{
    return each(message, "(sb)", [&] {
        const char* path = nullptr;
        int optional = 0;
        const int r = sd_bus_message_read(message, "(sb)", &path, &optional);
        if (r > 0 && details.environment_files.size() < longest_list)
            details.environment_files.push_back({path, optional != 0});
        return r;
    });
}

bool credentials(sd_bus_message* message, Details& details, std::string_view)
{
    return each(message, "(ss)", [&] {
        const char* name = nullptr;
        const char* path = nullptr;
        const int r = sd_bus_message_read(message, "(ss)", &name, &path);
        if (r > 0 && details.credentials.size() < longest_list) details.credentials.emplace_back(name, path);
        return r;
    });
}

bool listens(sd_bus_message* message, Details& details, std::string_view)
{
    return each(message, "(ss)", [&] {
        const char* kind = nullptr;
        const char* address = nullptr;
        const int r = sd_bus_message_read(message, "(ss)", &kind, &address);
        if (r > 0 && details.listen.size() < longest_list)
            details.listen.push_back(std::string{kind} + " " + address);
        return r;
    });
}

/// (path, argv, ignore failure, began, began monotonic, ended, ended monotonic, pid, code, status)
bool commands(sd_bus_message* message, Details& details, std::string_view name)
{
    return each(message, "(sasbttttuii)", [&] {
        ExecCommand command{.setting = std::string{name}};
        const char* path = nullptr;
        int r = sd_bus_message_enter_container(message, SD_BUS_TYPE_STRUCT, "sasbttttuii");
        if (r <= 0) return r;
        if (!basic(message, SD_BUS_TYPE_STRING, path)) return -1;
        command.path = path;
        if (!read_strings(message, command.arguments)) return -1;
        int ignored = 0;
        std::array<std::uint64_t, 4> times{};
        std::uint32_t pid = 0;
        std::int32_t code = 0;
        std::int32_t status = 0;
        r = sd_bus_message_read(message, "bttttuii", &ignored, &times[0], &times[1], &times[2], &times[3],
                                &pid, &code, &status);
        if (r < 0) return r;
        command.ignored = ignored != 0;
        command.began = wall_of(times[0]);
        command.ended = wall_of(times[2]);
        command.code = code;
        command.status = status;
        if (details.commands.size() < longest_list) details.commands.push_back(std::move(command));
        r = sd_bus_message_exit_container(message);
        return r < 0 ? r : 1;
    });
}

/// "StateDirectory" names directories below "/var/lib/".
bool directories(sd_bus_message* message, Details& details, std::string_view name)
{
    std::vector<std::string> names;
    if (!read_strings(message, names)) return false;
    const std::string_view base = name.starts_with("State")           ? "/var/lib/"
                                  : name.starts_with("Cache")         ? "/var/cache/"
                                  : name.starts_with("Logs")          ? "/var/log/"
                                  : name.starts_with("Configuration") ? "/etc/"
                                                                      : "/run/";
    for (const auto& one : names)
        details.directories.push_back(std::string{base} + one);
    return true;
}

constexpr auto properties = std::to_array<Property>({
    {"ActiveEnterTimestamp", "t", wall<&Details::active_enter>},
    {"ActiveExitTimestamp", "t", wall<&Details::active_exit>},
    {"Asserts", "a(sbbsi)", checks<&Details::asserts>},
    {"BindsTo", "as", strings<&Details::binds_to>},
    {"CacheDirectory", "as", directories},
    {"ConditionTimestamp", "t", wall<&Details::condition_at>},
    {"Conditions", "a(sbbsi)", checks<&Details::conditions>},
    {"ConfigurationDirectory", "as", directories},
    {"ControlGroup", "s", text<&Details::control_group>},
    {"DropInPaths", "as", strings<&Details::drop_in_paths>},
    {"DynamicUser", "b", flag<&Details::dynamic_user>},
    {"EnvironmentFiles", "a(sb)", environment_files},
    {"ExecCondition", "a(sasbttttuii)", commands},
    {"ExecMainExitTimestamp", "t", wall<&Details::main_ended>},
    {"ExecMainStartTimestamp", "t", wall<&Details::main_began>},
    {"ExecMount", "a(sasbttttuii)", commands},
    {"ExecReload", "a(sasbttttuii)", commands},
    {"ExecStart", "a(sasbttttuii)", commands},
    {"ExecStartPost", "a(sasbttttuii)", commands},
    {"ExecStartPre", "a(sasbttttuii)", commands},
    {"ExecStop", "a(sasbttttuii)", commands},
    {"ExecStopPost", "a(sasbttttuii)", commands},
    {"Group", "s", text<&Details::group>},
    {"InactiveEnterTimestamp", "t", wall<&Details::inactive_enter>},
    {"InactiveExitTimestamp", "t", wall<&Details::inactive_exit>},
    {"Listen", "a(ss)", listens},
    {"LoadCredential", "a(ss)", credentials},
    {"LoadCredentialEncrypted", "a(ss)", credentials},
    {"LogsDirectory", "as", directories},
    {"MemoryCurrent", "t", number<&Details::memory_current>},
    {"MemoryHigh", "t", number<&Details::memory_high>},
    {"MemoryMax", "t", number<&Details::memory_max>},
    {"MemoryPeak", "t", number<&Details::memory_peak>},
    {"NeedDaemonReload", "b", flag<&Details::need_daemon_reload>},
    {"PIDFile", "s", text<&Details::pid_file>},
    {"Requires", "as", strings<&Details::requires_units>},
    {"Requisite", "as", strings<&Details::requisite>},
    {"RootDirectory", "s", text<&Details::root_directory>},
    {"RootImage", "s", text<&Details::root_image>},
    {"RuntimeDirectory", "as", directories},
    {"SourcePath", "s", text<&Details::source_path>},
    {"StartLimitBurst", "u", small_number<&Details::start_limit_burst>},
    {"StartLimitIntervalUSec", "t", number<&Details::start_limit_interval_usec>},
    {"StateDirectory", "as", directories},
    {"TimeoutStartUSec", "t", number<&Details::timeout_start_usec>},
    {"TimeoutStopUSec", "t", number<&Details::timeout_stop_usec>},
    {"TimeoutUSec", "t", number<&Details::timeout_start_usec>},  // of sockets, mounts and swaps
    {"User", "s", text<&Details::user>},
    {"WatchdogUSec", "t", number<&Details::watchdog_usec>},
    {"What", "s", text<&Details::what>},
    {"Where", "s", text<&Details::where>},
    {"WorkingDirectory", "s", text<&Details::working_directory>},
});
static_assert(std::ranges::is_sorted(properties, {}, &Property::name));

/// The variant of one property: false when the message is broken.
bool read_value(sd_bus_message* message, const Property& property, Details& details)
{
    const char* contents = nullptr;
    if (sd_bus_message_peek_type(message, nullptr, &contents) < 0) return false;
    if (contents == nullptr || property.type != contents) return sd_bus_message_skip(message, "v") >= 0;
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, contents) < 0) return false;
    return property.read(message, details, property.name) && sd_bus_message_exit_container(message) >= 0;
}

}  // namespace

bool read_details(sd_bus_message* message, UnitDetails& details)
{
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sv}") < 0) return false;
    for (;;) {
        const int r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv");
        if (r < 0) return false;
        if (r == 0) return sd_bus_message_exit_container(message) >= 0;
        const char* name = nullptr;
        if (!basic(message, SD_BUS_TYPE_STRING, name)) return false;
        const auto it = std::ranges::lower_bound(properties, std::string_view{name}, {}, &Property::name);
        const bool known = it != properties.end() && it->name == name;
        const bool read = known ? read_value(message, *it, details) : sd_bus_message_skip(message, "v") >= 0;
        if (!read || sd_bus_message_exit_container(message) < 0) return false;
    }
}

}  // namespace opsd::systemd
