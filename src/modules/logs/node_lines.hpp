#pragma once
// The entries of one node as another node reads them: cut from the bytes of its answer, and where each node's
// answer was left off. Pure.

#include "modules/logs/query.hpp"
#include "opsd/clock.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::logs {

/// An entry as /api/v1/logs writes it, or its word that entries were lost.
struct NodeLine {
    std::string json;
    std::int64_t time = 0;  ///< microseconds since the epoch
    std::string cursor;     ///< "" of a loss
    Monotonic arrived{};
};

inline constexpr std::size_t longest_line = 2U << 20U;  // an entry has logs.max_entry, 1 MiB at most

/// Cuts an answer of format=json or ndjson into its entries.
class NodeLineCutter {
public:
    /// Appends what is whole. Errc::protocol for what opsd does not write.
    Result<> feed(std::string_view bytes, Monotonic now, std::deque<NodeLine>& out);
    /// The end of a document was seen.
    [[nodiscard]] bool complete() const noexcept { return complete_; }
    /// Where that document ends; "" when there was nothing yet.
    [[nodiscard]] const std::string& position() const noexcept { return position_; }

private:
    Result<> take(std::string_view line, Monotonic now, std::deque<NodeLine>& out);

    std::string partial_;
    std::int64_t last_time_ = 0;
    bool complete_ = false;
    std::string position_;
};

/// Of each node, by address, the last entry that was given: what a client comes again with.
using Places = std::map<std::string, std::string>;

/// "@10.0.0.1~CURSOR,10.0.0.2~CURSOR".
[[nodiscard]] std::string write_places(const Places& places);
[[nodiscard]] bool is_places(std::string_view text);
/// Errc::invalid_argument.
[[nodiscard]] Result<Places> parse_places(std::string_view name, std::string_view text, std::size_t most);
/// The time of the newest of these entries, microseconds since the epoch; nothing without any.
[[nodiscard]] std::optional<std::int64_t> newest_of(const Places& places);

/// Writes entries of several nodes as one answer: json, ndjson, text or sse.
class ManyWriter {
public:
    ManyWriter(Format format, bool follow, std::size_t max_entry)
      : format_{format}
      , follow_{follow}
      , max_entry_{max_entry}
    {}

    void entry(std::string& out, const std::string& node, const NodeLine& line, const Places& places);
    /// The node does not answer.
    void missing(std::string& out, const std::string& node, std::string_view reason);
    /// It answers again.
    void back(std::string& out, const std::string& node) const;
    /// What ends a document.
    void end(std::string& out, const Places& places);

private:
    void text(std::string& out, const std::string& node, const NodeLine& line);

    Format format_;
    bool follow_;
    std::size_t max_entry_;
    bool begun_ = false;
    std::string missing_;  // of a document, for its end
};

}  // namespace opsd::logs
