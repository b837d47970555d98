#pragma once
// Entries of the journal as text for clients. Runs on the journal's threads, about 250,000 entries a CPU
// second: an entry's fields are looked at once, and nothing is allocated but the text itself.

#include "modules/logs/query.hpp"

#include <memory>
#include <string>

namespace opsd::logs {

/// How a writer writes, and which entries. Equal ones write the same.
struct RenderSpec {
    Format format = Format::dcos_json;
    bool ids = true;                   ///< events have them
    std::size_t max_entry = 1 << 20;   ///< bytes of an entry's text; longer ones are shortened, with a mark
    std::shared_ptr<const Grep> grep;  ///< of MESSAGE
    std::vector<std::shared_ptr<const UnitSet>> owners;  ///< each must own the entry
};

[[nodiscard]] RenderSpec spec_of(const LogQuery& query);
/// Names what a writer of this does (FollowKey).
[[nodiscard]] std::string name_of(const RenderSpec& spec);

[[nodiscard]] std::unique_ptr<systemd::EntryWriter> make_writer(RenderSpec spec);
/// Writes every entry as a frame: its cursor, a newline, the length of its text, a newline, the text, which
/// is empty for those that the spec does not want.
[[nodiscard]] std::unique_ptr<systemd::EntryWriter> make_framer(RenderSpec spec);

/// One frame.
struct Frame {
    std::string_view cursor;
    std::string_view text;
};
/// Cuts the first frame off.
[[nodiscard]] Frame next_frame(std::string_view& frames);

// --- the formats; each appends one entry of at most `max_entry` bytes, `smallest_entry` at least

/// The beginning of a minute, kept for the entries of the same one.
class MinuteText {
public:
    enum class Zone { local, utc };
    explicit MinuteText(Zone zone) : zone_{zone} {}
    /// "2023-11-14 22:13:" or, in UTC, "2023-11-14T22:13:", of seconds since the epoch.
    [[nodiscard]] std::string_view of(std::int64_t seconds);

private:
    Zone zone_;
    std::int64_t minute_ = -1;  ///< of a time before 1970, which no entry has
    char text_[48] = {};
    std::size_t size_ = 0;
};

/// dcos-log's object, without a newline; of a field that comes twice the last value.
void append_dcos_json(std::string& out, const systemd::JournalEntry& entry, std::size_t max_entry);
/// The same with our members, and the values of a field that comes twice as a list.
void append_json(std::string& out, const systemd::JournalEntry& entry, std::size_t max_entry,
                 MinuteText& utc);
/// "2023-11-14 22:13:20: message", nothing without a message.
void append_dcos_text(std::string& out, const systemd::JournalEntry& entry, std::size_t max_entry,
                      MinuteText& local);
/// "2023-11-14T22:13:20.000Z host ssh.service[12] err: message", its further lines indented; no control
/// bytes.
void append_text(std::string& out, const systemd::JournalEntry& entry, std::size_t max_entry,
                 MinuteText& utc);
void append_export(std::string& out, const systemd::JournalEntry& entry, std::size_t max_entry);

/// What our formats show of an entry, found in one go over its fields.
struct Picked {
    std::optional<std::string_view> message;  ///< the last one
    std::string_view host;
    std::string_view unit;  ///< which it is about: of PID 1 and journald the unit they name
    std::string_view identifier;
    std::string_view pid;
    int priority = -1;            ///< -1: none
    std::int64_t suppressed = 0;  ///< messages that journald's rate limit dropped, as this entry of it says
};
[[nodiscard]] Picked pick(const systemd::JournalEntry& entry);

}  // namespace opsd::logs
