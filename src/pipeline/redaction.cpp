#include "pipeline/redaction.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

namespace opsd::pipeline {
namespace {

constexpr std::int64_t pattern_memory = 4 * 1024 * 1024;

RE2::Options of_bytes()
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(pattern_memory);
    options.set_encoding(RE2::Options::EncodingLatin1);  // values are any bytes
    return options;
}

/// Set by journald itself and of the machine alone. Not the command line, and not what begins with
/// _AUDIT_FIELD_: those are the words of programs.
constexpr std::array<std::string_view, 36> trusted{
    "_PID",
    "_UID",
    "_GID",
    "_EXE",
    "_COMM",
    "_BOOT_ID",
    "_AUDIT_ID",
    "_HOSTNAME",
    "_NAMESPACE",
    "_TRANSPORT",
    "_STREAM_ID",
    "_AUDIT_TYPE",
    "_LINE_BREAK",
    "_MACHINE_ID",
    "_SYSTEMD_UNIT",
    "_UDEV_DEVNODE",
    "_UDEV_DEVLINK",
    "_UDEV_SYSNAME",
    "_AUDIT_SESSION",
    "_CAP_EFFECTIVE",
    "_KERNEL_DEVICE",
    "_RUNTIME_SCOPE",
    "_SYSTEMD_SLICE",
    "_AUDIT_LOGINUID",
    "_SYSTEMD_CGROUP",
    "_AUDIT_TYPE_NAME",
    "_SELINUX_CONTEXT",
    "_SYSTEMD_SESSION",
    "_KERNEL_SUBSYSTEM",
    "_SYSTEMD_OWNER_UID",
    "_SYSTEMD_USER_UNIT",
    "_SYSTEMD_USER_SLICE",
    "_SYSTEMD_INVOCATION_ID",
    "_SOURCE_BOOTTIME_TIMESTAMP",
    "_SOURCE_REALTIME_TIMESTAMP",
    "_SOURCE_MONOTONIC_TIMESTAMP",
};

/// Where in `trusted` the names of each length begin: it is asked about each field of each entry.
constexpr auto places = [] {
    std::array<std::uint8_t, 32> all{};
    for (std::size_t size = 0; size < all.size(); ++size)
        all[size] = static_cast<std::uint8_t>(
            std::ranges::count_if(trusted, [size](std::string_view name) { return name.size() < size; }));
    return all;
}();
static_assert(std::ranges::is_sorted(trusted, {}, &std::string_view::size));
static_assert(trusted.back().size() + 1 < places.size());

bool is_trusted(std::string_view name)
{
    if (!name.starts_with('_') || name.size() + 1 >= places.size()) return false;
    const auto first = trusted.begin() + places[name.size()];
    const auto last = trusted.begin() + places[name.size() + 1];
    return std::find(first, last, name) != last;
}

/// Appends the text without what the pattern finds in it; how many that were.
std::uint64_t replace_all(const RE2& pattern, std::string_view text, std::string& out)
{
    const re2::StringPiece whole{text.data(), text.size()};
    const int groups = std::min(pattern.NumberOfCapturingGroups(), 1) + 1;
    std::array<re2::StringPiece, 2> found;
    std::uint64_t count = 0;
    std::size_t copied = 0;
    for (std::size_t at = 0;
         at <= text.size() && pattern.Match(whole, at, text.size(), RE2::UNANCHORED, found.data(), groups);) {
        const auto& match = found[0];
        const auto& secret = found[static_cast<std::size_t>(groups) - 1];
        const auto match_end = static_cast<std::size_t>(match.data() + match.size() - text.data());
        const bool nothing = secret.data() == nullptr || secret.empty();
        if (!nothing && std::string_view{secret.data(), secret.size()} != redacted) {
            const auto begin = static_cast<std::size_t>(secret.data() - text.data());
            out.append(text.substr(copied, begin - copied)).append(redacted);
            copied = begin + secret.size();
            ++count;
        }
        at = std::max(match_end, at + 1);
    }
    if (count > 0) out.append(text.substr(copied));
    return count;
}

}  // namespace

struct Redaction::Patterns {
    bool built_in = true;
    std::vector<std::unique_ptr<RE2>> own;
};

Redaction::Redaction(std::unique_ptr<Patterns> patterns) : patterns_{std::move(patterns)} {}
Redaction::~Redaction() = default;

Result<std::shared_ptr<Redaction>> Redaction::make(std::span<const std::string> patterns, bool built_in)
{
    auto all = std::make_unique<Patterns>();
    all->built_in = built_in;
    for (const auto& pattern : patterns) {
        auto compiled = std::make_unique<RE2>(pattern, of_bytes());
        if (!compiled->ok()) {
            return fail(Errc::invalid_argument,
                        fmt::format("cannot use the pattern \"{}\": {}; it has to be a "
                                    "regular expression of RE2",
                                    pattern, compiled->error()));
        }
        all->own.push_back(std::move(compiled));
    }
    return std::shared_ptr<Redaction>{new Redaction{std::move(all)}};
}

bool Redaction::take_known(std::string_view text, SecretText kind, std::string& out)
{
    std::uint64_t count = 0;
    std::size_t copied = 0;
    for (auto secret = next_secret(text, 0, kind); secret; secret = next_secret(text, copied, kind)) {
        if (count == 0) out.clear();
        out.append(text.substr(copied, secret->begin - copied)).append(redacted);
        copied = secret->end;
        ++count;
    }
    if (count == 0) return false;
    out.append(text.substr(copied));
    count_.fetch_add(count, std::memory_order_relaxed);
    return true;
}

bool Redaction::apply(std::string_view text, std::string& out, SecretText kind)
{
    bool changed = patterns_->built_in && take_known(text, kind, out);
    std::string next;
    for (const auto& pattern : patterns_->own) {
        next.clear();
        const auto count = replace_all(*pattern, changed ? std::string_view{out} : text, next);
        if (count == 0) continue;
        count_.fetch_add(count, std::memory_order_relaxed);
        out.swap(next);
        changed = true;
    }
    return changed;
}

bool Redaction::apply_field(const systemd::JournalField& field, std::string& out)
{
    if (is_trusted(field.name)) return false;
    if (patterns_->built_in && names_a_secret(field.name, field.value)) {
        if (field.value.empty() || field.value == redacted) return false;
        out = redacted;
        count_.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    const bool environment = field.name == "COREDUMP_ENVIRON";
    return apply(field.value, out, environment ? SecretText::environment : SecretText::prose);
}

bool RedactingWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    std::size_t changed = 0;
    for (std::size_t i = 0; i < entry.fields.size(); ++i) {
        if (clean_.size() == changed) clean_.push_back(std::make_unique<std::string>());
        if (!redaction_->apply_field(entry.fields[i], *clean_[changed])) continue;
        if (changed == 0) fields_.assign(entry.fields.begin(), entry.fields.end());
        fields_[i].value = *clean_[changed];
        ++changed;
    }
    if (changed == 0) return inner_->write(entry, out);
    auto cleaned = entry;
    cleaned.fields = fields_;
    return inner_->write(cleaned, out);
}

}  // namespace opsd::pipeline
