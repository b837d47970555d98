#include "modules/dcos/calls.hpp"

#include "io/mesos/address.hpp"
#include "io/mesos/json_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace opsd::dcos {
namespace {

/// mesos.v1.master.Call.Type; 0: only by its name, which does not change between versions.
struct Call {
    std::string_view name;
    std::uint64_t number;
};
constexpr std::array<Call, 16> reading{{{"GET_HEALTH", 1},
                                        {"GET_VERSION", 3},
                                        {"GET_METRICS", 4},
                                        {"GET_LOGGING_LEVEL", 5},
                                        {"GET_STATE", 9},
                                        {"GET_AGENTS", 10},
                                        {"GET_FRAMEWORKS", 11},
                                        {"GET_EXECUTORS", 12},
                                        {"GET_TASKS", 13},
                                        {"GET_ROLES", 14},
                                        {"GET_WEIGHTS", 15},
                                        {"GET_MASTER", 17},
                                        {"GET_MAINTENANCE_STATUS", 0},
                                        {"GET_MAINTENANCE_SCHEDULE", 0},
                                        {"GET_QUOTA", 0},
                                        {"GET_OPERATIONS", 0}}};

std::unexpected<Error> unreadable(std::string_view why)
{
    return fail(Errc::invalid_argument, fmt::format("cannot hand the call on to Mesos: {}", why));
}

std::unexpected<Error> refused(std::string_view call)
{
    return fail(Errc::denied,
                fmt::format("cannot hand the call {} on to Mesos: opsd passes on only calls that read; ask "
                            "the Mesos master itself",
                            call));
}

/// Reads protobuf's wire format just far enough to know every field.
class Wire {
public:
    explicit Wire(std::string_view bytes) : rest_{bytes} {}
    [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

    std::optional<std::uint64_t> varint()
    {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
            const auto byte = static_cast<unsigned char>(rest_.front());
            rest_.remove_prefix(1);
            value |= std::uint64_t{byte & 0x7fU} << shift;
            if (byte < 0x80) return value;
        }
        return std::nullopt;
    }
    bool skip(std::uint64_t count)
    {
        if (count > rest_.size()) return false;
        rest_.remove_prefix(count);
        return true;
    }
    bool skip_value(std::uint64_t wire_type)
    {
        switch (wire_type) {
        case 0:
            return varint().has_value();
        case 1:
            return skip(8);
        case 2: {
            const auto length = varint();
            return length && skip(*length);
        }
        case 5:
            return skip(4);
        default:
            return false;
        }
    }

private:
    std::string_view rest_;
};

Result<std::uint64_t> type_of_protobuf(std::string_view body)
{
    Wire wire{body};
    std::optional<std::uint64_t> type;
    while (!wire.empty()) {
        const auto tag = wire.varint();
        if (!tag || *tag >> 3U == 0 || *tag > 0xffffffffU) return unreadable("its body is no protobuf");
        if (*tag >> 3U != 1) {
            const bool good = wire.skip_value(*tag & 7U);
            if (!good) return unreadable("its body is no protobuf");
            continue;
        }
        const auto value = (*tag & 7U) == 0 ? wire.varint() : std::nullopt;
        if (!value) return unreadable("its type is no number");
        if (type) return unreadable("it says its type twice");
        type = value;
    }
    if (!type) return unreadable("it does not say its type");
    return *type;
}

Result<std::string> type_of_json(std::string_view body)
{
    using Kind = mesos::JsonEvent::Kind;
    std::optional<std::string> type;
    int times = 0;
    bool object = false;
    auto read = mesos::walk_json(body, "the call", [&](const mesos::JsonEvent& event) -> Result<> {
        if (event.path.empty() && event.kind == Kind::begin_object) object = true;
        if (event.path != "type") return {};
        if (event.kind != Kind::end_object && event.kind != Kind::end_array) ++times;
        if (event.kind == Kind::text) type = event.text.substr(0, 80);
        return {};
    });
    if (!read) return fail(Errc::invalid_argument, std::move(read).error().message);
    if (times > 1) return unreadable("it says its type twice");
    if (!object || !type) return unreadable("it does not say its type");
    return *type;
}

}  // namespace

std::optional<CallForm> call_form(std::string_view content_type) noexcept
{
    auto type = content_type.substr(0, content_type.find(';'));
    while (type.ends_with(' '))
        type.remove_suffix(1);
    if (type == "application/json") return CallForm::json;
    if (type == "application/x-protobuf") return CallForm::protobuf;
    return std::nullopt;
}

Result<std::string> reading_call(CallForm form, std::string_view body)
{
    if (form == CallForm::json) {
        auto type = type_of_json(body);
        if (!type) return type;
        const auto known = std::ranges::find(reading, *type, &Call::name);
        if (known == reading.end()) return refused(mesos::printable(*type));
        return std::string{known->name};
    }
    const auto type = type_of_protobuf(body);
    if (!type) return fail(type.error());
    const auto known = *type == 0 ? reading.end() : std::ranges::find(reading, *type, &Call::number);
    if (known == reading.end()) return refused(fmt::format("number {}", *type));
    return std::string{known->name};
}

}  // namespace opsd::dcos
