// stderr through spdlog, with the journal's priority prefix under systemd. A line repeated within 10 s is
// written once; when it ends or changes, one line says how often it came.

#include "opsd/log.hpp"

#include "core/repeat.hpp"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>

namespace opsd {
namespace {

spdlog::level::level_enum to_spdlog(Level level)
{
    switch (level) {
    case Level::error:
        return spdlog::level::err;
    case Level::warning:
        return spdlog::level::warn;
    case Level::info:
        return spdlog::level::info;
    case Level::debug:
        return spdlog::level::debug;
    }
    return spdlog::level::info;
}

/// Texts of other machines end up in log lines: what would begin a line of its own or steer a terminal is
/// escaped.
std::string one_line(std::string_view text)
{
    std::string all;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte != 0x7F)
            all += c;
        else if (c == '\t')
            all += ' ';
        else
            all += fmt::format("\\x{:02x}", byte);
    }
    return all;
}

class StderrSink final : public LogSink {
public:
    StderrSink(Level level, bool journald)
      : level_{level}
      , journald_{journald}
      , logger_{"opsd", std::make_shared<spdlog::sinks::stderr_sink_mt>()}
    {
        logger_.set_level(spdlog::level::trace);
        logger_.set_pattern(journald ? "%v" : "%Y-%m-%dT%H:%M:%S.%e %l %v");
        logger_.flush_on(spdlog::level::trace);
    }

    [[nodiscard]] bool wants(Level level) const noexcept override { return level <= level_; }
    void set_level(Level level) override { level_ = level; }

    void write(Level level, std::string_view line) override
    {
        const auto [wanted, folded] = repeats_.next(line, std::chrono::steady_clock::now());
        if (folded > 0) emit(last_level_, fmt::format("the line before came {} more times", folded));
        if (!wanted) return;
        last_level_ = level;
        emit(level, one_line(line));
    }

private:
    void emit(Level level, std::string_view line)
    {
        if (journald_)
            logger_.log(to_spdlog(level), "<{}>{}", static_cast<int>(level), line);
        else
            logger_.log(to_spdlog(level), "{}", line);
    }

    Level level_;
    bool journald_;
    spdlog::logger logger_;
    RepeatFilter repeats_;
    Level last_level_ = Level::info;
};

}  // namespace

std::shared_ptr<LogSink> make_stderr_sink(Level level, bool journald)
{
    return std::make_shared<StderrSink>(level, journald);
}

}  // namespace opsd
