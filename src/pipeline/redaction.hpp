#pragma once
// Takes secrets out of what leaves the node: those that known_secrets.hpp finds, fields whose names say that
// they hold one, and whatever else the configuration names. Before anything is rendered, so that no escaping
// hides them. Pure.

#include "io/systemd/journal_entry.hpp"
#include "opsd/result.hpp"
#include "pipeline/known_secrets.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace opsd::pipeline {

/// What stands in the place of a secret.
inline constexpr std::string_view redacted = "[redacted]";

class Redaction {
public:
    /// `patterns`: regular expressions (RE2). What their first group matches is the secret; without a group
    /// all of it is. Errc::invalid_argument names the one that is wrong.
    [[nodiscard]] static Result<std::shared_ptr<Redaction>> make(std::span<const std::string> patterns,
                                                                 bool built_in = true);
    Redaction(const Redaction&) = delete;
    Redaction& operator=(const Redaction&) = delete;
    ~Redaction();

    /// The text without its secrets. False and `out` untouched, for nearly every text: there is none in it.
    bool apply(std::string_view text, std::string& out, SecretText kind = SecretText::prose);
    /// The same for the value of a field, which its name may say is one; the fields that journald itself sets
    /// are of the machine and stay.
    bool apply_field(const systemd::JournalField& field, std::string& out);

    /// Secrets taken out so far. From any thread.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_.load(std::memory_order_relaxed); }

private:
    struct Patterns;
    explicit Redaction(std::unique_ptr<Patterns> patterns);
    bool take_known(std::string_view text, SecretText kind, std::string& out);

    std::unique_ptr<Patterns> patterns_;
    std::atomic<std::uint64_t> count_{0};
};

/// Hands entries on without their secrets, whichever field they are in.
class RedactingWriter final : public systemd::EntryWriter {
public:
    RedactingWriter(std::unique_ptr<systemd::EntryWriter> inner, std::shared_ptr<Redaction> redaction)
      : inner_{std::move(inner)}
      , redaction_{std::move(redaction)}
    {}
    bool write(const systemd::JournalEntry& entry, std::string& out) override;

private:
    std::unique_ptr<systemd::EntryWriter> inner_;
    std::shared_ptr<Redaction> redaction_;
    std::vector<systemd::JournalField> fields_;
    std::vector<std::unique_ptr<std::string>>
        clean_;  ///< values that were changed; kept for the next entries
};

}  // namespace opsd::pipeline
