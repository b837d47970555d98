#pragma once
// Splunk's HTTP Event Collector: what is sent, what an answer means, and the acknowledgements of indexers.
// Pure.
//
// Code 0 says "received"; only an indexer's acknowledgement says "kept". Splunk knows no ids: the entry's is
// in "fields", for who wants to remove repetitions when searching.

#include "opsd/result.hpp"
#include "pipeline/sinks/ecs.hpp"
#include "pipeline/verdict.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace opsd::pipeline {

struct HecOptions {
    std::string index;  ///< "": the token's own
    std::string source_type = "opsd:journal";
    EcsOptions document;
};

/// One object a record; the body of a request is joined().
class HecWriter final : public systemd::EntryWriter {
public:
    explicit HecWriter(HecOptions options);
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    std::string constant_;  ///< index and source type, ready to be appended
    std::string fields_;    ///< "fields" up to the id
    std::string id_;
    EcsDocument document_;
};

/// An answer to events.
struct HecReply {
    Verdict verdict;
    std::optional<std::uint64_t> ack_id;  ///< ask for it before the records count as accepted
};
[[nodiscard]] HecReply read_hec_reply(int status, std::string_view body,
                                      std::optional<std::chrono::milliseconds> after = {});

/// {"acks":[0,1]}
[[nodiscard]] std::string hec_ack_request(std::span<const std::uint64_t> ids);

/// An answer to hec_ack_request(): true: kept; false: not yet, or never; absent: no word of it.
struct HecAcks {
    std::map<std::uint64_t, bool> acks;
    bool disabled = false;  ///< this token has none: code 0 is all there is
};
/// Errc::protocol for an answer that cannot be read, unavailable for an error of the far side, denied.
[[nodiscard]] Result<HecAcks> read_hec_acks(int status, std::string_view body);

}  // namespace opsd::pipeline
