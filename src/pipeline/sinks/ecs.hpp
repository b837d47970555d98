#pragma once
// An entry of the journal as a document of the Elastic Common Schema: what Elasticsearch, Logstash and,
// inside its own envelope, Splunk get. Pure.

#include "io/systemd/journal_entry.hpp"
#include "pipeline/batch.hpp"
#include "pipeline/sinks/stamp.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace opsd::pipeline {

struct EcsOptions {
    Labels labels;            ///< under "labels": node, role, cluster
    bool id = false;          ///< "event.id": for far sides that take no id beside the document
    bool raw_fields = false;  ///< all fields of the journal too, as strings, under "journald"
};

/// What sinks pick out of an entry, found in one pass; views into it.
struct EntryParts {
    std::string_view message;
    std::string_view hostname;
    std::string_view priority;
    std::string_view facility;
    std::string_view pid;
    std::string_view name;        ///< of the process
    std::string_view unit;        ///< whose it is, or, of the manager's own entries, which it is about
    std::string_view identifier;  ///< what the program calls itself
    // Of what a task has written, by Mesos' own names; see for_each_task_label().
    std::string_view agent;
    std::string_view framework;
    std::string_view executor;
    std::string_view container;
    std::string_view task_id;
    std::string_view task_name;
    std::string_view stream;
    std::string_view file;
    std::int64_t time = 0;  ///< when it was sent, if that is known, else received
};
[[nodiscard]] EntryParts parts_of(const systemd::JournalEntry& entry);

/// Calls `each(name, value)` for the labels that an entry of a task has beside its node's; also for those
/// that Mesos' own logger has sent to the journal.
template <class Each>
void for_each_task_label(const EntryParts& parts, Each each)
{
    if (parts.framework.empty()) return;  // Docker's entries have a container, too
    const std::pair<std::string_view, std::string_view> labels[] = {
        {"agent", parts.agent},         {"framework", parts.framework}, {"executor", parts.executor},
        {"container", parts.container}, {"task_id", parts.task_id},     {"task_name", parts.task_name},
        {"stream", parts.stream},
    };
    for (const auto& [name, value] : labels)
        if (!value.empty()) each(name, value);
}

/// "emergency" ... "debug"; empty for anything but one digit from 0 to 7.
[[nodiscard]] std::string_view level_name(std::string_view priority) noexcept;

/// Used by one thread at a time, as every writer.
class EcsDocument {
public:
    explicit EcsDocument(const EcsOptions& options);
    /// Appends the object.
    void append(std::string& out, const systemd::JournalEntry& entry, const EntryParts& parts);

private:
    void append_labels(std::string& out, const EntryParts& parts) const;
    void append_raw(std::string& out, const systemd::JournalEntry& entry) const;

    bool id_;
    bool raw_fields_;
    std::string labels_;  ///< ready to be appended
    Stamp stamp_;
    std::string scratch_;
};

/// One document a record, nothing around it: Lumberjack.
class EcsWriter final : public systemd::EntryWriter {
public:
    explicit EcsWriter(const EcsOptions& options) : document_{options} {}
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    EcsDocument document_;
};

}  // namespace opsd::pipeline
