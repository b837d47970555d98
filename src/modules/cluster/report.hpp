#pragma once
// /system/health/v1/report: the whole cluster in one document, in the shape of DC/OS, chunk by chunk.
//
// The contract's keys and order, without its repetition: a text of `Output` stands once, under the node that
// said it, and only where a unit is not healthy; a node within a unit has none, a unit within a node has no
// nodes. `full` gives the old shape, where every node within every unit carries all its outputs: quadratic.

#include "opsd/board.hpp"
#include "opsd/cluster.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace opsd::cluster {

struct ReportOptions {
    bool with_journal = false;
    bool full = false;
};

/// Writes the report of one snapshot piece by piece; bounded memory whatever the size.
class ReportWriter {
public:
    ReportWriter(std::shared_ptr<const Snapshot<Cluster>> snapshot, ReportOptions options);

    /// Appends the next piece, some 64 KiB. False when the report is complete.
    bool next(std::string& out);

private:
    enum class Part { units, nodes, end, done };
    /// What a node object has beside its own fields.
    enum class Depth {
        in_unit,  ///< within a unit: no units, outputs only in the full shape
        top,      ///< its outputs and its units
    };
    void write_units(std::string& out);
    void write_nodes(std::string& out);
    void append_node(std::string& out, const Member& member, Health health, Depth depth);
    void append_outputs(std::string& out, const Member& member);
    void append_unit_of(std::string& out, const Member& member, const MemberUnit& unit);

    std::shared_ptr<const Snapshot<Cluster>> snapshot_;
    ReportOptions options_;
    Part part_ = Part::units;
    bool begun_ = false;
    std::size_t unit_ = 0;
    std::size_t member_ = 0;
    bool unit_begun_ = false;
    bool comma_ = false;
    WallTime newest_{};  // of the nodes within the present unit
};

/// About how large the report will be, for the choice between keeping and streaming it. All units of all
/// members say so, therefore once a version.
class ReportSizes {
public:
    [[nodiscard]] std::size_t of(const Snapshot<Cluster>& snapshot, const ReportOptions& options);

private:
    std::uint64_t version_ = 0;
    std::array<std::optional<std::size_t>, 4> sizes_;  // by options
};

}  // namespace opsd::cluster
