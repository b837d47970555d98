#pragma once
// What one node tells another: GET /api/v1/node. The fields of /system/health/v1 with the same meaning, so
// that one reader understands both a node with opsd and one with the DC/OS program, plus a `node` object.
//
//   {"units":[{"id","health","output","description","help","name",
//              "state","reason","since","restarts_in_window","acknowledged":{...}|null}],
//    "hostname","ip","dcos_version","node_role","mesos_id","dcos_diagnostics_version",
//    "node":{"id","instance","version","base","removed":[...],"opsd_version","health","reason",
//            "systemd_readable","time","last_transition"}}
//
// `version` counts what changed within one `instance` (a run of opsd). A follower that has (instance, base)
// is sent the units that changed after `base` and the ids `removed` since; base 0 is a whole picture. Unknown
// fields are ignored, missing ones have defaults: N and N-1 understand each other.

#include "modules/cluster/text_pool.hpp"
#include "opsd/result.hpp"

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace opsd::cluster {

/// Bounds of a document that a member may send; beyond them it is refused whole.
struct DocumentLimits {
    std::size_t units = 10'000;
    std::size_t output_bytes = 64 * 1024;  ///< per unit; more is cut, and the cut is said
    std::size_t text_bytes = 4 * 1024;     ///< of any other text; more is cut
};

/// A document that was understood.
struct NodeDocument {
    NodeIdentity identity;
    std::string node_id;
    std::string instance;       ///< "" from a node that runs no opsd
    std::uint64_t version = 0;  ///< 0 from a node that runs no opsd
    std::uint64_t base = 0;     ///< 0: `units` is the whole picture
    std::string opsd_version;
    Health health = Health::unknown;
    std::string reason;
    bool systemd_readable = false;
    WallTime time{};                   ///< the member's clock; the epoch when it said none
    std::int64_t last_transition = 0;  ///< newest id of its transitions; 0: none or not said
    std::vector<MemberUnit> units;     ///< sorted by id, each id once
    std::vector<std::string> removed;
};

/// Reads foreign bytes. Errc::protocol with a sentence that names what is wrong and where. A document of the
/// DC/OS program gets its health from its units; "units": null or an empty list is unknown, never healthy.
[[nodiscard]] Result<NodeDocument> read_document(std::string_view json, TextPool& pool,
                                                 const DocumentLimits& limits = {});

/// Writes this node's document from the board, whole or since a version. Loop thread only.
class DocumentWriter {
public:
    DocumentWriter(std::string node_id, std::string instance, std::string opsd_version);

    /// Takes the newest of the board. True when the document's version went up.
    bool update(const NodeHealth& health, const NodeIdentity& identity);

    [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
    [[nodiscard]] const std::string& instance() const noexcept { return instance_; }
    /// "instance.version", with quotes: the ETag.
    [[nodiscard]] std::string etag() const;
    /// The base an ETag of ours names; 0 (send all) for anything else, also one of another instance or from
    /// the future.
    [[nodiscard]] std::uint64_t base_of(std::string_view etag) const noexcept;

    /// The document since `base` (0: whole), as JSON with a newline.
    [[nodiscard]] std::string render(std::uint64_t base, bool with_journal, WallTime now,
                                     std::int64_t last_transition);

private:
    struct Part {
        std::shared_ptr<const UnitState> unit;
        std::uint64_t changed = 0;  // in this version
    };
    struct Cached {  // all but what differs between two answers of one version
        std::uint64_t base = 0;
        bool with_journal = false;
        std::string text;
    };
    [[nodiscard]] std::string units_text(std::uint64_t base, bool with_journal) const;

    static constexpr std::size_t most_removed = 1'000;  // remembered; an older base gets all
    static constexpr std::size_t most_cached = 8;

    std::string node_id_;
    std::string instance_;
    std::string opsd_version_;
    std::uint64_t version_ = 0;
    std::uint64_t oldest_base_ = 0;  // an older base gets all
    std::map<std::string, Part, std::less<>> units_;
    std::deque<std::pair<std::uint64_t, std::string>> removed_;  // in which version
    NodeIdentity identity_;
    Health health_ = Health::unknown;
    std::string reason_;
    bool systemd_readable_ = false;
    std::int64_t last_transition_ = 0;
    std::vector<Cached> cache_;
};

}  // namespace opsd::cluster
