#include "io/systemd/journal.hpp"

#include "io/systemd/journal_run.hpp"
#include "io/systemd/journal_text.hpp"
#include "opsd/worker.hpp"

#include <systemd/sd-id128.h>
#include <systemd/sd-journal.h>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>

namespace opsd::systemd {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds reading_limit{2};
constexpr std::size_t most_waiting = 256;
constexpr std::size_t most_looked_at = 20'000;
constexpr std::chrono::seconds start_slack{1};
constexpr const char* coredump_message = "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1";

struct JournalClose {
    void operator()(sd_journal* p) const noexcept { sd_journal_close(p); }
};
using Journal = std::unique_ptr<sd_journal, JournalClose>;

/// The value of a field of the current entry, "" without one; valid until the next call on the journal.
std::string_view field(sd_journal* journal, const char* name)
{
    const void* data = nullptr;
    std::size_t size = 0;
    if (sd_journal_get_data(journal, name, &data, &size) < 0) return {};
    const std::string_view text{static_cast<const char*>(data), size};
    return text.substr(std::min(std::strlen(name) + 1, size));
}

JournalLine current_line(sd_journal* journal, std::size_t max_line)
{
    JournalLine line;
    std::uint64_t usec = 0;
    if (sd_journal_get_realtime_usec(journal, &usec) >= 0) {
        line.at = WallTime{std::chrono::microseconds{static_cast<std::int64_t>(usec)}};
    }
    line.priority = static_cast<int>(std::min(number_field(field(journal, "PRIORITY"), 6), 7U));
    line.pid = number_field(field(journal, "_PID"), 0);
    line.identifier = printable_text(field(journal, "SYSLOG_IDENTIFIER"), 64);
    if (line.identifier.empty()) line.identifier = printable_text(field(journal, "_COMM"), 64);
    line.message = printable_text(field(journal, "MESSAGE"), max_line);
    return line;
}

/// (a AND b AND c), as one alternative of the query.
int add_alternative(sd_journal* journal, const std::vector<std::string>& terms)
{
    int r = sd_journal_add_disjunction(journal);
    for (const auto& term : terms) {
        if (r >= 0 && !term.empty()) r = sd_journal_add_match(journal, term.data(), term.size());
    }
    return r;
}

/// Does the current entry, which a match on the main process's pid may have brought, concern the unit?
enum class Speaker { named, main_process, nobody };

Speaker speaker(sd_journal* journal, const JournalQuery& query)
{
    if (!query.main || number_field(field(journal, "_PID"), 0) != query.main->pid) return Speaker::named;
    const auto unit = field(journal, "_SYSTEMD_UNIT");
    if (unit == query.unit) return Speaker::named;
    const bool by_root = field(journal, "_UID") == "0";
    if (by_root && field(journal, "OBJECT_SYSTEMD_UNIT") == query.unit) return Speaker::named;
    if (!unit.empty()) return Speaker::nobody;  // the pid is somebody else's now
    const auto text = field(journal, "_SOURCE_REALTIME_TIMESTAMP");
    std::int64_t sent = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), sent);
    if (error != std::errc{} || end != text.data() + text.size()) return Speaker::nobody;
    const WallTime at{std::chrono::microseconds{sent}};
    // systemd notes the start just after it.
    const bool alive = at >= query.main->started - start_slack && at <= query.main->exited;
    return alive ? Speaker::main_process : Speaker::nobody;
}

/// Who may speak about a unit: itself, PID 1, and root's daemons. Anybody can write a UNIT= field, so what
/// journald vouches for (_PID, _UID) is asked for too, as journalctl does. `boot` is "" or one boot's id.
int add_matches(sd_journal* journal, const JournalQuery& query, const std::string& boot)
{
    const auto& unit = query.unit;
    const auto this_boot = boot.empty() ? std::string{} : "_BOOT_ID=" + boot;
    int r = add_alternative(journal, {"_SYSTEMD_UNIT=" + unit, this_boot});
    if (r >= 0) r = add_alternative(journal, {"UNIT=" + unit, "_PID=1", this_boot});
    if (r >= 0) r = add_alternative(journal, {"OBJECT_SYSTEMD_UNIT=" + unit, "_UID=0", this_boot});
    if (r >= 0)
        r = add_alternative(journal, {"COREDUMP_UNIT=" + unit, "_UID=0", coredump_message, this_boot});
    if (r >= 0 && query.main)
        r = add_alternative(journal, {"_PID=" + std::to_string(query.main->pid), this_boot});
    return r;
}

/// What a query asks for instead of a unit's lines.
int add_fields(sd_journal* journal, const JournalQuery& query, const std::string& boot)
{
    int r = 0;
    for (auto terms : query.fields) {
        if (!boot.empty()) terms.push_back("_BOOT_ID=" + boot);
        if (r >= 0) r = add_alternative(journal, terms);
    }
    return r;
}

bool names_any(std::string_view message, const std::vector<std::string>& wanted)
{
    return wanted.empty()
           || std::ranges::any_of(wanted, [message](const auto& word) { return message.contains(word); });
}

/// The end of the journal, or of the time asked for.
int seek_end(sd_journal* journal, const JournalQuery& query)
{
    if (query.until == WallTime{}) return sd_journal_seek_tail(journal);
    const auto after = query.until.time_since_epoch().count() + 1;
    return sd_journal_seek_realtime_usec(journal,
                                         static_cast<std::uint64_t>(std::max<std::int64_t>(after, 1)));
}

/// Is the current entry older than what is asked for?
bool too_old(sd_journal* journal, const JournalQuery& query)
{
    std::uint64_t usec = 0;
    if (query.since == WallTime{} || sd_journal_get_realtime_usec(journal, &usec) < 0) return false;
    return static_cast<std::int64_t>(usec) < query.since.time_since_epoch().count();
}

/// The invocation of `unit` that the current entry names: in which field depends on who speaks.
std::string_view named_invocation(sd_journal* journal, const std::string& unit)
{
    if (field(journal, "_SYSTEMD_UNIT") == unit) return field(journal, "_SYSTEMD_INVOCATION_ID");
    if (field(journal, "UNIT") == unit) return field(journal, "INVOCATION_ID");
    return field(journal, "OBJECT_SYSTEMD_INVOCATION_ID");
}

/// What an empty answer may mean.
enum class Files { none, readable, denied };

Files look_into(const fs::path& directory, int depth)
{
    std::error_code ec;
    auto seen = Files::none;
    fs::directory_iterator it{directory, ec};
    if (ec == std::errc::permission_denied) return Files::denied;
    for (; !ec && it != fs::directory_iterator{}; it.increment(ec)) {
        std::error_code ignored;
        auto found = Files::none;
        if (it->path().extension() == ".journal") {
            found =
                ::access(it->path().c_str(), R_OK) == 0 || errno == ENOENT ? Files::readable : Files::denied;
        } else if (depth > 0 && it->is_directory(ignored)) {
            found = look_into(it->path(), depth - 1);
        }
        seen = std::max(seen, found);
    }
    return seen;
}

Error failure(const JournalQuery& query, const std::string& directory, int error)
{
    const auto where = directory.empty() ? std::string{"the journal"} : "the journal in " + directory;
    const auto what = fmt::format("cannot read the log lines of {} from {}: ", query.unit, where);
    if (error == EACCES || error == EPERM) {
        return {Errc::denied,
                what + "no permission; add the user that opsd runs as to the group systemd-journal"};
    }
    if (error == ENOENT || error == ENOTDIR) {
        return {
            Errc::not_found,
            what + "there are no journal files; is systemd-journald running, with Storage= other than none?"};
    }
    return {Errc::unavailable, what + std::strerror(error)};
}

}  // namespace

/// All of it is used on the worker's thread only. Functions return a negative errno, as sd-journal does.
struct JournalReader::Reading {
    using Lines = std::vector<JournalLine>;
    using Identity = std::pair<dev_t, ino_t>;

    explicit Reading(std::string dir) : directory{std::move(dir)}
    {
        if (directory.empty())
            roots = {"/var/log/journal", "/run/log/journal"};
        else
            roots = {directory};
    }

    Result<Lines> read(const JournalQuery& query);
    int try_read(const JournalQuery& query, Lines& lines);
    int open();
    int walk_back(const JournalQuery& query, Lines& lines);
    int why_nothing();
    [[nodiscard]] std::string boot();
    [[nodiscard]] std::vector<Identity> identities() const;

    std::string directory;
    std::vector<std::string> roots;
    std::vector<Identity>
        opened;  ///< the roots when they were opened: another one means that it came or went
    Journal journal;
};

struct JournalReader::Impl {
    std::shared_ptr<Reading> reading;
    WorkerThread worker{"journal", most_waiting};
};

std::vector<JournalReader::Reading::Identity> JournalReader::Reading::identities() const
{
    std::vector<Identity> all;
    for (const auto& root : roots) {
        struct stat file{};
        const bool there = ::stat(root.c_str(), &file) == 0;
        all.push_back(there ? Identity{file.st_dev, file.st_ino} : Identity{});
    }
    return all;
}

int JournalReader::Reading::open()
{
    journal.reset();
    opened = identities();
    sd_journal* raw = nullptr;
    int r = directory.empty() ? sd_journal_open(&raw, SD_JOURNAL_LOCAL_ONLY)
                              : sd_journal_open_directory(&raw, directory.c_str(), 0);
    if (r < 0) return r;
    journal.reset(raw);
    r = sd_journal_get_fd(
        raw);  // watches the directories: sd_journal_process() then notices new and rotated files
    return std::min(r, 0);
}

/// The boot that "this boot" means: the running one if the journal has it, else that of its newest entry. (Of
/// a journal elsewhere, and in a sandbox whose own /proc tells another boot than journald saw.)
std::string JournalReader::Reading::boot()
{
    sd_id128_t id{};
    std::array<char, SD_ID128_STRING_MAX> text{};
    sd_journal_flush_matches(journal.get());
    if (directory.empty() && sd_id128_get_boot(&id) >= 0) {
        const auto running = std::string{"_BOOT_ID="} + sd_id128_to_string(id, text.data());
        const bool matched = sd_journal_add_match(journal.get(), running.data(), running.size()) >= 0;
        if (matched && sd_journal_seek_tail(journal.get()) >= 0 && sd_journal_previous(journal.get()) > 0) {
            return text.data();
        }
        sd_journal_flush_matches(journal.get());
    }
    if (sd_journal_seek_tail(journal.get()) < 0 || sd_journal_previous(journal.get()) <= 0) return {};
    return std::string{field(journal.get(), "_BOOT_ID")};
}

/// Newest first, until a limit; then turned round.
int JournalReader::Reading::walk_back(const JournalQuery& query, Lines& lines)
{
    const auto until = std::chrono::steady_clock::now() + reading_limit;
    RunFilter run{query.invocation_id};
    std::size_t bytes = 0;
    std::size_t looked_at = 0;
    int r = seek_end(journal.get(), query);
    while (r >= 0 && lines.size() < query.max_lines && std::chrono::steady_clock::now() < until) {
        if (looked_at++ == most_looked_at) break;
        r = sd_journal_previous(journal.get());
        if (r <= 0 || too_old(journal.get(), query)) break;
        if (!names_any(field(journal.get(), "MESSAGE"), query.naming)) continue;
        const auto whose = speaker(journal.get(), query);
        if (whose == Speaker::nobody) continue;
        const auto verdict =
            run.judge(whose == Speaker::main_process ? std::string_view{query.invocation_id}
                                                     : named_invocation(journal.get(), query.unit));
        if (verdict == RunFilter::Verdict::stop) break;
        if (verdict == RunFilter::Verdict::restart) {
            lines.clear();
            bytes = 0;
            continue;
        }
        lines.push_back(current_line(journal.get(), std::min(query.max_line, query.max_bytes)));
        bytes += lines.back().message.size();
        if (bytes <= query.max_bytes) continue;
        lines.pop_back();
        break;
    }
    lines.resize(std::min(lines.size(), run.belonging(r == 0)));
    std::ranges::reverse(lines);
    return std::min(r, 0);
}

/// sd-journal silently leaves out what it may not read.
int JournalReader::Reading::why_nothing()
{
    auto seen = Files::none;
    for (const auto& root : roots)
        seen = std::max(seen, look_into(root, 1));
    if (seen == Files::readable) return 0;
    journal.reset();  // the next call looks again
    return seen == Files::denied ? -EACCES : -ENOENT;
}

int JournalReader::Reading::try_read(const JournalQuery& query, Lines& lines)
{
    int r = 0;
    if (!journal || opened != identities()) r = open();
    if (r >= 0) r = sd_journal_process(journal.get());
    if (r < 0) return r;
    sd_journal_set_data_threshold(journal.get(), std::max<std::size_t>(query.max_line + 64, 1024));
    const auto this_boot = boot();
    sd_journal_flush_matches(journal.get());
    r = query.fields.empty() ? add_matches(journal.get(), query, this_boot)
                             : add_fields(journal.get(), query, this_boot);
    if (r >= 0) r = walk_back(query, lines);
    return r < 0 ? r : lines.empty() ? why_nothing() : 0;
}

Result<JournalReader::Reading::Lines> JournalReader::Reading::read(const JournalQuery& query)
{
    int r = 0;
    for (int attempt = 0; attempt < 2; ++attempt) {
        Lines lines;
        r = try_read(query, lines);
        if (r >= 0) return lines;
        journal.reset();  // rotated or removed below us (ESTALE, EBADMSG, ...): once more with a fresh one
        if (r == -EACCES || r == -ENOENT) break;
    }
    return fail(failure(query, directory, -r));
}

std::optional<MainProcess> ended_main(const UnitFacts& facts)
{
    const bool ended =
        facts.last_main_pid > 1 && facts.main_exited >= facts.main_started && facts.main_exited > WallTime{};
    if (!ended) return std::nullopt;
    return MainProcess{facts.last_main_pid, facts.main_started, facts.main_exited};
}

JournalReader::JournalReader(std::string directory)
  : impl_{std::make_unique<Impl>(std::make_shared<Reading>(std::move(directory)))}
{}

JournalReader::~JournalReader() { impl_->worker.retire(std::move(impl_->reading)); }

Task<Result<std::vector<JournalLine>>> JournalReader::lines_of(JournalQuery query)
{
    auto job = [reading = impl_->reading.get(), query = std::move(query)] { return reading->read(query); };
    auto lines = co_await impl_->worker.run(std::move(job));
    co_return lines;
}

}  // namespace opsd::systemd
