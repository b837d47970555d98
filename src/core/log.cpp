// stderr through spdlog, with the journal's priority prefix under systemd. A line repeated within 10 s is
// written once; when it ends or changes, one line says how often it came.

#include "opsd/log.hpp"

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
        const auto now = std::chrono::steady_clock::now();
        if (line == last_ && now - last_written_ < std::chrono::seconds{10}) {
            ++repeated_;
            return;
        }
        if (repeated_ > 0)
            emit(level,
                 fmt::format("the line \"{}\" came {} more times", last_, std::exchange(repeated_, 0)));
        last_ = line;
        last_written_ = now;
        emit(level, line);
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
    std::string last_;
    std::chrono::steady_clock::time_point last_written_;
    std::uint64_t repeated_ = 0;
};

}  // namespace

std::shared_ptr<LogSink> make_stderr_sink(Level level, bool journald)
{
    return std::make_shared<StderrSink>(level, journald);
}

}  // namespace opsd
