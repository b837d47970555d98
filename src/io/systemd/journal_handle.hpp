#pragma once
// An open journal. It belongs to one thread for its whole life.

#include "opsd/result.hpp"

#include <sys/types.h>
#include <systemd/sd-journal.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace opsd::systemd {

class JournalHandle {
public:
    /// `directory` "" is the machine's own journal. Does no I/O.
    explicit JournalHandle(std::string directory);

    /// Opens it unless it is open; anew when its directories came or went; notices rotated files. A negative
    /// errno as sd-journal has them.
    int ready();
    /// After an error: the next ready() opens it anew.
    void close() noexcept { journal_.reset(); }
    /// Another one means that it was opened anew: matches and place are gone.
    [[nodiscard]] std::uint64_t generation() const noexcept { return generation_; }
    /// Did files come or go, as the last ready() noticed?
    [[nodiscard]] bool changed() const noexcept { return changed_; }
    [[nodiscard]] sd_journal* get() const noexcept { return journal_.get(); }

    /// sd-journal silently leaves out what it may not read. 0: there is something that can be read.
    [[nodiscard]] int why_nothing() const;
    /// `what` is what could not be done: "read the log lines of x.service".
    [[nodiscard]] Error failure(std::string_view what, int error) const;
    [[nodiscard]] const std::string& directory() const noexcept { return directory_; }

private:
    using Identity = std::pair<dev_t, ino_t>;
    struct Close {
        void operator()(sd_journal* p) const noexcept { sd_journal_close(p); }
    };
    [[nodiscard]] std::vector<Identity> identities() const;

    std::string directory_;
    std::vector<std::string> roots_;
    std::vector<Identity> opened_;  // the roots when they were opened: another one means that it came or went
    std::unique_ptr<sd_journal, Close> journal_;
    std::uint64_t generation_ = 0;
    bool changed_ = false;
};

}  // namespace opsd::systemd
