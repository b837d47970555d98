#include "io/systemd/properties.hpp"

#include <systemd/sd-bus.h>

#include <algorithm>
#include <array>

namespace opsd::systemd {
namespace {

struct Target {
    UnitFacts& facts;
    bool is_service;
    PendingJob* job;
};

/// Reads one value, already inside its variant; false when it cannot.
using Reader = bool (*)(sd_bus_message*, Target&);

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

template <std::string UnitFacts::* Field>
bool text(sd_bus_message* message, Target& target)
{
    const char* value = nullptr;
    if (!basic(message, SD_BUS_TYPE_STRING, value)) return false;
    (target.facts.*Field).assign(value);
    return true;
}

template <bool UnitFacts::* Field>
bool flag(sd_bus_message* message, Target& target)
{
    int value = 0;
    if (!basic(message, SD_BUS_TYPE_BOOLEAN, value)) return false;
    target.facts.*Field = value != 0;
    return true;
}

template <int UnitFacts::* Field>
bool integer(sd_bus_message* message, Target& target)
{
    std::int32_t value = 0;
    if (!basic(message, SD_BUS_TYPE_INT32, value)) return false;
    target.facts.*Field = value;
    return true;
}

template <std::uint32_t UnitFacts::* Field>
bool number(sd_bus_message* message, Target& target)
{
    return basic(message, SD_BUS_TYPE_UINT32, target.facts.*Field);
}

template <Monotonic UnitFacts::* Field>
bool monotonic(sd_bus_message* message, Target& target)
{
    std::uint64_t value = 0;
    if (!basic(message, SD_BUS_TYPE_UINT64, value)) return false;
    target.facts.*Field = Monotonic{static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX))};
    return true;
}

template <WallTime UnitFacts::* Field>
bool wall(sd_bus_message* message, Target& target)
{
    std::uint64_t value = 0;
    if (!basic(message, SD_BUS_TYPE_UINT64, value)) return false;
    target.facts.*Field = WallTime{
        std::chrono::microseconds{static_cast<std::int64_t>(std::min<std::uint64_t>(value, INT64_MAX))}};
    return true;
}

template <std::vector<std::string> UnitFacts::* Field>
bool texts(sd_bus_message* message, Target& target)
{
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "s") < 0) return false;
    auto& list = target.facts.*Field;
    list.clear();
    const char* value = nullptr;
    while (basic(message, SD_BUS_TYPE_STRING, value))
        list.emplace_back(value);
    return sd_bus_message_exit_container(message) >= 0;
}

/// 16 bytes; none while the unit never ran.
bool invocation(sd_bus_message* message, Target& target)
{
    constexpr std::string_view hex = "0123456789abcdef";
    const void* data = nullptr;
    std::size_t size = 0;
    if (sd_bus_message_read_array(message, SD_BUS_TYPE_BYTE, &data, &size) < 0) return false;
    auto& id = target.facts.invocation_id;
    id.clear();
    const auto* bytes = static_cast<const std::uint8_t*>(data);
    for (std::size_t i = 0; i < size; ++i) {
        id += hex[bytes[i] >> 4U];
        id += hex[bytes[i] & 15U];
    }
    return true;
}

/// (name, message); both empty when the unit was loaded.
bool load_error(sd_bus_message* message, Target& target)
{
    const char* name = nullptr;
    const char* why = nullptr;
    if (sd_bus_message_read(message, "(ss)", &name, &why) < 0) return false;
    target.facts.load_error.assign(*why != '\0' ? why : name);
    return true;
}

/// (id, path); id 0 without a job. Its type is not said here: "pending" until somebody who knows tells more.
bool pending_job(sd_bus_message* message, Target& target)
{
    PendingJob job;
    const char* path = nullptr;
    if (sd_bus_message_read(message, "(uo)", &job.id, &path) < 0) return false;
    if (job.id == 0)
        target.facts.job_type.clear();
    else if (target.facts.job_type.empty())
        target.facts.job_type = "pending";
    if (target.job != nullptr) {
        job.path = path;
        *target.job = std::move(job);
    }
    return true;
}

/// A mount has a Type too, its file system.
bool service_type(sd_bus_message* message, Target& target)
{
    if (target.is_service) return text<&UnitFacts::type>(message, target);
    return sd_bus_message_skip(message, "s") >= 0;
}

constexpr auto properties = std::to_array<Property>({
    {"ActiveEnterTimestampMonotonic", "t", monotonic<&UnitFacts::active_enter_at>},
    {"ActiveExitTimestampMonotonic", "t", monotonic<&UnitFacts::active_exit_at>},
    {"ActiveState", "s", text<&UnitFacts::active_state>},
    {"AssertResult", "b", flag<&UnitFacts::assert_result>},
    {"ConditionResult", "b", flag<&UnitFacts::condition_result>},
    {"ConditionTimestampMonotonic", "t", monotonic<&UnitFacts::condition_at>},
    {"Description", "s", text<&UnitFacts::description>},
    {"ExecMainCode", "i", integer<&UnitFacts::main_code>},
    {"ExecMainExitTimestamp", "t", wall<&UnitFacts::main_exited>},
    {"ExecMainPID", "u", number<&UnitFacts::last_main_pid>},
    {"ExecMainStartTimestamp", "t", wall<&UnitFacts::main_started>},
    {"ExecMainStatus", "i", integer<&UnitFacts::main_status>},
    {"FragmentPath", "s", text<&UnitFacts::fragment_path>},
    {"Id", "s", text<&UnitFacts::id>},
    {"InactiveEnterTimestampMonotonic", "t", monotonic<&UnitFacts::inactive_enter_at>},
    {"InactiveExitTimestampMonotonic", "t", monotonic<&UnitFacts::inactive_exit_at>},
    {"InvocationID", "ay", invocation},
    {"Job", "(uo)", pending_job},
    {"LoadError", "(ss)", load_error},
    {"LoadState", "s", text<&UnitFacts::load_state>},
    {"MainPID", "u", number<&UnitFacts::main_pid>},
    {"NRestarts", "u", number<&UnitFacts::restarts>},
    {"RemainAfterExit", "b", flag<&UnitFacts::remain_after_exit>},
    {"Result", "s", text<&UnitFacts::result>},
    {"StateChangeTimestamp", "t", wall<&UnitFacts::state_change_time>},
    {"StateChangeTimestampMonotonic", "t", monotonic<&UnitFacts::state_change_at>},
    {"StatusText", "s", text<&UnitFacts::status_text>},
    {"SubState", "s", text<&UnitFacts::sub_state>},
    {"TriggeredBy", "as", texts<&UnitFacts::triggered_by>},
    {"Triggers", "as", texts<&UnitFacts::triggers>},
    {"Type", "s", service_type},
    {"UnitFileState", "s", text<&UnitFacts::unit_file_state>},
});
static_assert(std::ranges::is_sorted(properties, {}, &Property::name));

const Property* find(std::string_view name) noexcept
{
    const auto it = std::ranges::lower_bound(properties, name, {}, &Property::name);
    return it != properties.end() && it->name == name ? &*it : nullptr;
}

enum class Read { done, skipped, broken };

/// The variant of one needed property.
Read read_value(sd_bus_message* message, const Property& property, Target& target)
{
    const char* contents = nullptr;
    if (sd_bus_message_peek_type(message, nullptr, &contents) < 0) return Read::broken;
    if (contents == nullptr || property.type != contents) {
        return sd_bus_message_skip(message, "v") < 0 ? Read::broken : Read::skipped;
    }
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_VARIANT, contents) < 0) return Read::broken;
    if (!property.read(message, target)) return Read::broken;
    return sd_bus_message_exit_container(message) < 0 ? Read::broken : Read::done;
}

}  // namespace

bool read_properties(sd_bus_message* message, UnitFacts& facts, bool is_service, PendingJob* job)
{
    Target target{facts, is_service, job};
    bool complete = true;
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "{sv}") < 0) return false;
    for (;;) {
        const int r = sd_bus_message_enter_container(message, SD_BUS_TYPE_DICT_ENTRY, "sv");
        if (r < 0) return false;
        if (r == 0) break;
        const char* name = nullptr;
        if (!basic(message, SD_BUS_TYPE_STRING, name)) return false;
        const auto* property = find(name);
        if (property == nullptr) {
            if (sd_bus_message_skip(message, "v") < 0) return false;
        } else {
            const auto read = read_value(message, *property, target);
            if (read == Read::broken) return false;
            complete = complete && read == Read::done;
        }
        if (sd_bus_message_exit_container(message) < 0) return false;
    }
    return sd_bus_message_exit_container(message) >= 0 && complete;
}

bool nothing_invalidated(sd_bus_message* message)
{
    if (sd_bus_message_enter_container(message, SD_BUS_TYPE_ARRAY, "s") < 0) return false;
    bool nothing = true;
    const char* name = nullptr;
    while (basic(message, SD_BUS_TYPE_STRING, name))
        nothing = nothing && !is_needed_property(name);
    return sd_bus_message_exit_container(message) >= 0 && nothing;
}

bool is_needed_property(std::string_view name) noexcept { return find(name) != nullptr; }

}  // namespace opsd::systemd
