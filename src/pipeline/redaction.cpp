#include "pipeline/redaction.hpp"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

namespace opsd::pipeline {
namespace {

/// The first group of each is the secret.
constexpr std::array<std::string_view, 3> known{
    // zk://user:password@host
    R"((?i)[a-z0-9+.-]+://[^\s:/@"']*:([^\s/@"']+)@)",
    R"((?i)authorization["']?\s*[:=]\s*["']?(?:(?:bearer|basic|splunk|token|digest)[ =:]+)?)"
    R"(["']?([^\s"',;]+))",
    R"((?i)(?:token|password|passwd|secret|api[_-]?key)["']?\s*[:=]\s*["']?([^\s"',;&]+))",
};
constexpr std::int64_t pattern_memory = 4 * 1024 * 1024;

RE2::Options of_bytes()
{
    RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(pattern_memory);
    options.set_encoding(RE2::Options::EncodingLatin1);  // values are any bytes
    return options;
}

/// Does the word, written small, stand at `at`, in any case?
bool stands(std::string_view text, std::size_t at, std::string_view word)
{
    return at + word.size() <= text.size()
           && std::ranges::equal(text.substr(at, word.size()), word, [](char a, char b) {
                  return (a >= 'A' && a <= 'Z' ? static_cast<char>(a + ('a' - 'A')) : a) == b;
              });
}

/// Every text that the patterns above find something in has one of these words; most texts have none, which
/// is decided by looking for the rarest character of each.
bool hinted(std::string_view text)
{
    const auto around = [text](std::size_t at, std::size_t back, std::string_view word) {
        return at >= back && stands(text, at - back, word);
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        switch (text[at]) {
        case ':':
            if (around(at, 0, "://")) return true;
            break;
        case 'z':
        case 'Z':
            if (around(at, 7, "authoriz")) return true;
            break;
        case 'k':
        case 'K':
            if (around(at, 2, "token") || around(at, 0, "key")) return true;
            break;
        case 'w':
        case 'W':
            if (around(at, 4, "passw")) return true;
            break;
        case 'c':
        case 'C':
            if (around(at, 2, "secret")) return true;
            break;
        default:
            break;
        }
    }
    return false;
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
    std::vector<std::unique_ptr<RE2>> built_in;
    std::vector<std::unique_ptr<RE2>> own;
};

Redaction::Redaction(std::unique_ptr<Patterns> patterns) : patterns_{std::move(patterns)} {}
Redaction::~Redaction() = default;

Result<std::shared_ptr<Redaction>> Redaction::make(std::span<const std::string> patterns, bool built_in)
{
    auto all = std::make_unique<Patterns>();
    for (const auto pattern : known) {
        if (built_in)
            all->built_in.push_back(
                std::make_unique<RE2>(re2::StringPiece{pattern.data(), pattern.size()}, of_bytes()));
    }
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

bool Redaction::apply(std::string_view text, std::string& out)
{
    std::string now;
    std::string next;
    bool changed = false;
    const auto apply_all = [&](const std::vector<std::unique_ptr<RE2>>& patterns) {
        for (const auto& pattern : patterns) {
            next.clear();
            const auto count = replace_all(*pattern, changed ? std::string_view{now} : text, next);
            if (count == 0) continue;
            count_.fetch_add(count, std::memory_order_relaxed);
            now.swap(next);
            changed = true;
        }
    };
    if (!patterns_->built_in.empty() && hinted(text)) apply_all(patterns_->built_in);
    apply_all(patterns_->own);
    if (changed) out = std::move(now);
    return changed;
}

bool RedactingWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    std::size_t changed = 0;
    for (std::size_t i = 0; i < entry.fields.size(); ++i) {
        const auto& field = entry.fields[i];
        if (clean_.size() == changed) clean_.push_back(std::make_unique<std::string>());
        // Fields that journald itself sets are of the machine, but for the command line.
        const bool trusted = field.name.starts_with('_') && field.name != "_CMDLINE";
        if (trusted || !redaction_->apply(field.value, *clean_[changed])) continue;
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
