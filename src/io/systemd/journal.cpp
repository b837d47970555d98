#include "io/systemd/journal.hpp"

#include "io/systemd/journal_handle.hpp"
#include "io/systemd/journal_run.hpp"
#include "io/systemd/journal_text.hpp"
#include "opsd/worker.hpp"

#include <systemd/sd-id128.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace opsd::systemd {
namespace {

constexpr std::chrono::seconds reading_limit{2};
constexpr std::size_t most_waiting = 256;
constexpr std::size_t most_looked_at = 20'000;
constexpr std::chrono::seconds start_slack{1};
constexpr const char* coredump_message = "MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1";

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

}  // namespace

/// All of it is used on the worker's thread only. Functions return a negative errno, as sd-journal does.
struct JournalReader::Reading {
    using Lines = std::vector<JournalLine>;

    explicit Reading(std::string directory) : handle{std::move(directory)} {}

    Result<Lines> read(const JournalQuery& query);
    int try_read(const JournalQuery& query, Lines& lines);
    int walk_back(const JournalQuery& query, Lines& lines);
    [[nodiscard]] std::string boot();

    JournalHandle handle;
};

struct JournalReader::Impl {
    std::shared_ptr<Reading> reading;
    WorkerThread worker{"journal", most_waiting};
};

/// The boot that "this boot" means: the running one if the journal has it, else that of its newest entry. (Of
/// a journal elsewhere, and in a sandbox whose own /proc tells another boot than journald saw.)
std::string JournalReader::Reading::boot()
{
    auto* journal = handle.get();
    sd_id128_t id{};
    std::array<char, SD_ID128_STRING_MAX> text{};
    sd_journal_flush_matches(journal);
    if (handle.directory().empty() && sd_id128_get_boot(&id) >= 0) {
        const auto running = std::string{"_BOOT_ID="} + sd_id128_to_string(id, text.data());
        const bool matched = sd_journal_add_match(journal, running.data(), running.size()) >= 0;
        if (matched && sd_journal_seek_tail(journal) >= 0 && sd_journal_previous(journal) > 0) {
            return text.data();
        }
        sd_journal_flush_matches(journal);
    }
    if (sd_journal_seek_tail(journal) < 0 || sd_journal_previous(journal) <= 0) return {};
    return std::string{field(journal, "_BOOT_ID")};
}

/// Newest first, until a limit; then turned round.
int JournalReader::Reading::walk_back(const JournalQuery& query, Lines& lines)
{
    auto* journal = handle.get();
    const auto until = std::chrono::steady_clock::now() + reading_limit;
    RunFilter run{query.invocation_id};
    std::size_t bytes = 0;
    std::size_t looked_at = 0;
    int r = seek_end(journal, query);
    while (r >= 0 && lines.size() < query.max_lines && std::chrono::steady_clock::now() < until) {
        if (looked_at++ == most_looked_at) break;
        r = sd_journal_previous(journal);
        if (r <= 0 || too_old(journal, query)) break;
        if (!names_any(field(journal, "MESSAGE"), query.naming)) continue;
        const auto whose = speaker(journal, query);
        if (whose == Speaker::nobody) continue;
        const auto verdict =
            run.judge(whose == Speaker::main_process ? std::string_view{query.invocation_id}
                                                     : named_invocation(journal, query.unit));
        if (verdict == RunFilter::Verdict::stop) break;
        if (verdict == RunFilter::Verdict::restart) {
            lines.clear();
            bytes = 0;
            continue;
        }
        lines.push_back(current_line(journal, std::min(query.max_line, query.max_bytes)));
        bytes += lines.back().message.size();
        if (bytes <= query.max_bytes) continue;
        lines.pop_back();
        break;
    }
    lines.resize(std::min(lines.size(), run.belonging(r == 0)));
    std::ranges::reverse(lines);
    return std::min(r, 0);
}

int JournalReader::Reading::try_read(const JournalQuery& query, Lines& lines)
{
    int r = handle.ready();
    if (r < 0) return r;
    auto* journal = handle.get();
    sd_journal_set_data_threshold(journal, std::max<std::size_t>(query.max_line + 64, 1024));
    const auto this_boot = boot();
    sd_journal_flush_matches(journal);
    r = query.fields.empty() ? add_matches(journal, query, this_boot) : add_fields(journal, query, this_boot);
    if (r >= 0) r = walk_back(query, lines);
    if (r < 0 || !lines.empty()) return r;
    r = handle.why_nothing();
    if (r < 0) handle.close();  // the next call looks again
    return r;
}

Result<JournalReader::Reading::Lines> JournalReader::Reading::read(const JournalQuery& query)
{
    int r = 0;
    for (int attempt = 0; attempt < 2; ++attempt) {
        Lines lines;
        r = try_read(query, lines);
        if (r >= 0) return lines;
        handle.close();  // rotated or removed below us (ESTALE, EBADMSG, ...): once more with a fresh one
        if (r == -EACCES || r == -ENOENT) break;
    }
    return fail(handle.failure("read the log lines of " + query.unit, -r));
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
