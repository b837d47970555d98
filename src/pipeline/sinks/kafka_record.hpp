#pragma once
// Records for Kafka: a document of the Elastic Common Schema behind its key, the unit or task it is of, so
// that what one of them says stays in order. Pure.

#include "pipeline/sinks/ecs.hpp"

#include <string>
#include <string_view>

namespace opsd::pipeline {

/// Begins a record: the key, up to 255 bytes of it, and a line feed; the value follows. An empty key lets
/// Kafka choose the partition.
void append_kafka_key(std::string& out, std::string_view key);

struct KafkaRecord {
    std::string_view key;
    std::string_view value;
};
/// A record's bytes; without a line feed all of it is the value.
[[nodiscard]] KafkaRecord split_kafka_record(std::string_view bytes) noexcept;

/// The key of an entry of the journal is its unit, else what its program calls itself; of a task its id.
class KafkaWriter final : public systemd::EntryWriter {
public:
    explicit KafkaWriter(const EcsOptions& options) : document_{options} {}
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    EcsDocument document_;
};

}  // namespace opsd::pipeline
