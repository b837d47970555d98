#pragma once
// Elasticsearch and OpenSearch by `POST /_bulk`: what is sent, and what an answer means. Pure.
//
// A request is an action line and a document for each record, each line ended. The id of a document is the
// entry's, and its index is chosen by the time of the event: sent again, it meets itself (409), which is as
// good as accepted. An answer 200 says nothing: the items say it.

#include "pipeline/sinks/ecs.hpp"
#include "pipeline/verdict.hpp"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::pipeline {

struct BulkOptions {
    /// Index or data stream; %Y, %m and %d are the day of the event.
    std::string index = "logs-opsd-default";
    EcsOptions document;
};

/// What is asked for of an answer: without it an answer is as large as half the request.
inline constexpr std::string_view bulk_path = "/_bulk?filter_path=errors,items.*.status,items.*.error";
inline constexpr std::string_view bulk_content_type = "application/x-ndjson";

/// Two lines a record; the body of a request is joined().
class BulkWriter final : public systemd::EntryWriter {
public:
    explicit BulkWriter(BulkOptions options);
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    void name_index(std::string_view day);

    std::string pattern_;
    std::string day_;     ///< of action_
    std::string action_;  ///< an action line up to the id
    std::string id_;
    Stamp stamp_;
    EcsDocument document_;
};

/// The verdict on `sent` records. Believes nothing else than one item for each.
[[nodiscard]] Verdict read_bulk_reply(int status, std::string_view body, std::size_t sent,
                                      std::optional<std::chrono::milliseconds> after = {});

/// The largest answer that is read; a larger one means: fewer records at a time.
inline constexpr std::size_t largest_bulk_reply = 16 * 1024 * 1024;

}  // namespace opsd::pipeline
