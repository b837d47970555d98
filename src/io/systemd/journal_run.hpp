#pragma once
// Which journal entries belong to one run (invocation) of a unit. Needed because not all say so: what a
// process wrote just before it died often reaches journald when the process is gone, and journald then knows
// the unit but no longer the invocation (one in six of a service that fails at once, measured); and coredumps
// never say. Pure: fed from the newest entry to the oldest.

#include <cstddef>
#include <string>
#include <string_view>

namespace opsd::systemd {

class RunFilter {
public:
    /// `wanted` "" takes every entry.
    explicit RunFilter(std::string wanted) : wanted_{std::move(wanted)} {}

    enum class Verdict {
        keep,
        restart,  ///< not this one, nor any kept so far: they are of a later run
        stop,     ///< of an earlier run, as is everything older
    };

    /// Judges the next older entry by the invocation that it names, "" for none.
    Verdict judge(std::string_view invocation)
    {
        if (wanted_.empty() || invocation == wanted_) {
            certain_ = ++kept_;
            return Verdict::keep;
        }
        if (invocation.empty()) {
            ++kept_;
            return Verdict::keep;
        }
        if (certain_ > 0) return Verdict::stop;
        other_ = true;
        kept_ = 0;
        return Verdict::restart;
    }

    /// How many of the kept entries, newest first, belong to the run. Those without a name belong to the run
    /// that began before them. `exhausted`: the journal has no older entry; else a limit ended the walk.
    [[nodiscard]] std::size_t belonging(bool exhausted) const
    {
        const bool only_unnamed = certain_ == 0 && !other_ && !exhausted;
        return only_unnamed ? kept_ : certain_;
    }

private:
    std::string wanted_;
    std::size_t kept_ = 0;
    std::size_t certain_ = 0;  // kept entries up to the oldest that names the run
    bool other_ = false;
};

}  // namespace opsd::systemd
