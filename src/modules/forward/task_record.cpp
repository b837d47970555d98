#include "modules/forward/task_record.hpp"

#include "core/gzip.hpp"
#include "pipeline/frames.hpp"

#include <fmt/format.h>

#include <iterator>
#include <span>

namespace opsd::forward {
namespace {

constexpr std::string_view priority = "6";

/// Containers are UUIDs, or what a user has called one: an id has no colons and blanks in a part.
std::string plain(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                          || c == '-' || c == '_' || c == '.';
        out += word ? c : '_';
    }
    return out;
}

}  // namespace

bool NumberedFrames::write(const systemd::JournalEntry& entry, std::string& out)
{
    const fmt::format_int number{number_->value};
    const auto frame =
        pipeline::begin_frame(out, entry.cursor, {number.data(), number.size()}, entry.realtime);
    if (!inner_->write(entry, out)) {
        out.resize(frame);
        return false;
    }
    pipeline::end_frame(out, frame);
    return true;
}

std::string_view stream_of(std::string_view file) noexcept { return file.substr(file.rfind('/') + 1); }

TaskRecords::TaskRecords(const pipeline::RunName& run, const TaskNames& task, std::string_view file,
                         const std::string& host)
  : fields_{{{"MESSAGE", {}},
             {"PRIORITY", priority},
             {"SYSLOG_IDENTIFIER", task.name},
             {"_HOSTNAME", host},
             {"STREAM", stream_of(file)},
             {"FILE", file},
             {"AGENT_ID", run.agent},
             {"FRAMEWORK_ID", run.framework},
             {"EXECUTOR_ID", run.executor},
             {"CONTAINER_ID", task.container.empty() ? run.container : task.container},
             {"TASK_ID", task.id},
             {"TASK_NAME", task.name},
             {"LINE_CONTINUES", "1"}}}
  , container_{plain(run.container)}
{}

systemd::JournalEntry TaskRecords::entry(const pipeline::FilePosition& from, const pipeline::Piece& piece,
                                         std::int64_t time)
{
    id_.clear();
    fmt::format_to(std::back_inserter(id_), "{}:{:x}:{}:{:x}:{:08x}", container_, from.inode, from.generation,
                   from.offset + piece.begin, crc32(piece.text));
    fields_[message_field].value = piece.text;
    systemd::JournalEntry entry;
    entry.cursor = id_;
    entry.realtime = time;
    entry.fields = std::span{fields_}.first(fields_.size() - (piece.continues ? 0 : 1));
    return entry;
}

}  // namespace opsd::forward
