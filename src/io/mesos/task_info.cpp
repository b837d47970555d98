#include "io/mesos/task_info.hpp"

#include <cstdint>
#include <optional>

namespace opsd::mesos {
namespace {

// Of mesos.Task and mesos.TaskID.
constexpr std::uint64_t name_field = 1;
constexpr std::uint64_t id_field = 2;
constexpr std::uint64_t value_field = 1;
constexpr std::size_t length_bytes = 4;

std::optional<std::uint64_t> take_varint(std::string_view& bytes)
{
    constexpr unsigned step = 7;
    constexpr unsigned most = 63;
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift <= most && !bytes.empty(); shift += step) {
        const auto byte = static_cast<unsigned char>(bytes.front());
        bytes.remove_prefix(1);
        value |= std::uint64_t{byte & 0x7fU} << shift;
        if (byte < 0x80U) return value;
    }
    return std::nullopt;
}

struct Field {
    std::uint64_t number = 0;
    std::string_view bytes;  ///< of a string or a message
};

/// The next string or message; all that comes before name and id is one.
std::optional<Field> take_field(std::string_view& message)
{
    constexpr std::uint64_t kinds = 8;
    constexpr std::uint64_t with_length = 2;
    const auto key = take_varint(message);
    if (!key || *key % kinds != with_length) return std::nullopt;
    const auto length = take_varint(message);
    if (!length || *length > message.size()) return std::nullopt;
    const Field field{*key / kinds, message.substr(0, static_cast<std::size_t>(*length))};
    message.remove_prefix(field.bytes.size());
    return field;
}

}  // namespace

Result<TaskInfo> parse_task_info(std::string_view bytes)
{
    if (bytes.size() >= length_bytes) {
        bytes.remove_prefix(length_bytes);
        std::optional<std::string_view> name;
        std::optional<std::string_view> id;
        for (auto field = take_field(bytes); field; field = take_field(bytes)) {
            if (field->number == name_field) name = field->bytes;
            if (field->number == id_field) {
                auto inner = field->bytes;
                const auto value = take_field(inner);
                if (value && value->number == value_field) id = value->bytes;
            }
            if (name && id) return TaskInfo{std::string{*id}, std::string{*name}};
        }
    }
    return fail(Errc::protocol,
                "cannot read what the agent has checkpointed of a task: it has no name or no id");
}

}  // namespace opsd::mesos
