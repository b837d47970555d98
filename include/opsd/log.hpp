#pragma once
// What the daemon says about itself. Lines go to stderr with the journal's <priority> prefix when journald
// reads it, else with time and level. A logger is passed to whoever needs it; there is no global one.

#include <fmt/core.h>

#include <memory>
#include <string>
#include <string_view>

namespace opsd {

/// By consequence. error: we could not do what was asked. warning: we coped. info: state changed. debug: the
/// rest.
enum class Level { error = 3, warning = 4, info = 6, debug = 7 };  // the values are syslog priorities

/// Where lines go; implemented over spdlog in src/core/log.cpp, by a vector in tests.
class LogSink {
public:
    virtual ~LogSink() = default;
    virtual void write(Level level, std::string_view line) = 0;
    [[nodiscard]] virtual bool wants(Level level) const noexcept = 0;
    virtual void set_level(Level level) = 0;
};

/// stderr. `journald`: prefix lines with <n> instead of time and level. The same line repeated within 10 s is
/// written once and counted.
std::shared_ptr<LogSink> make_stderr_sink(Level level, bool journald);

/// A named logger: "health: dcos-vault.service turned unhealthy". Cheap to copy.
class Log {
public:
    Log(std::shared_ptr<LogSink> sink, std::string name) : sink_{std::move(sink)}, name_{std::move(name)} {}

    template <class... Args>
    void error(fmt::format_string<Args...> text, Args&&... args) const
    {
        say(Level::error, text, std::forward<Args>(args)...);
    }
    template <class... Args>
    void warning(fmt::format_string<Args...> text, Args&&... args) const
    {
        say(Level::warning, text, std::forward<Args>(args)...);
    }
    template <class... Args>
    void info(fmt::format_string<Args...> text, Args&&... args) const
    {
        say(Level::info, text, std::forward<Args>(args)...);
    }
    template <class... Args>
    void debug(fmt::format_string<Args...> text, Args&&... args) const
    {
        say(Level::debug, text, std::forward<Args>(args)...);
    }

    /// The same sink under another name.
    [[nodiscard]] Log named(std::string name) const { return Log{sink_, std::move(name)}; }

private:
    template <class... Args>
    void say(Level level, fmt::format_string<Args...> text, Args&&... args) const
    {
        if (!sink_->wants(level)) return;
        sink_->write(level, name_ + ": " + fmt::format(text, std::forward<Args>(args)...));
    }

    std::shared_ptr<LogSink> sink_;
    std::string name_;
};

}  // namespace opsd
