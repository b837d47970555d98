#include "pipeline/sinks/kafka_record.hpp"

namespace opsd::pipeline {
namespace {

constexpr std::size_t longest_key = 255;

}  // namespace

void append_kafka_key(std::string& out, std::string_view key)
{
    for (const char c : key.substr(0, longest_key))
        out += static_cast<unsigned char>(c) < 0x20 ? '_' : c;
    out += '\n';
}

KafkaRecord split_kafka_record(std::string_view bytes) noexcept
{
    const auto end = bytes.find('\n');
    if (end == std::string_view::npos) return {{}, bytes};
    return {bytes.substr(0, end), bytes.substr(end + 1)};
}

bool KafkaWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    const auto parts = parts_of(entry);
    const bool of_task = !parts.framework.empty() && !parts.task_id.empty();
    append_kafka_key(out, of_task ? parts.task_id : parts.unit.empty() ? parts.identifier : parts.unit);
    document_.append(out, entry, parts);
    return true;
}

}  // namespace opsd::pipeline
