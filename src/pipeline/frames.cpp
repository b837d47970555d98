#include "pipeline/frames.hpp"

#include <algorithm>
#include <cstring>

namespace opsd::pipeline {
namespace {

/// Before each record. Never leaves the process.
struct Head {
    std::int64_t time = 0;
    std::uint64_t bytes = 0;
    std::uint32_t id = 0;
    std::uint32_t position = 0;
};

/// The parts of a cursor that name an entry; null without them.
struct Names {
    std::string_view sequence, number, time;
};

Names names_in(std::string_view cursor)
{
    Names names;
    for (std::size_t at = 0; at + 1 < cursor.size();) {
        const auto end = std::min(cursor.find(';', at), cursor.size());
        const char key = cursor[at + 1] == '=' ? cursor[at] : '\0';
        auto* name = key == 's'   ? &names.sequence
                     : key == 'i' ? &names.number
                     : key == 't' ? &names.time
                                  : nullptr;
        if (name != nullptr && name->data() == nullptr) *name = cursor.substr(at + 2, end - at - 2);
        at = end + 1;
    }
    return names;
}

}  // namespace

std::size_t begin_frame(std::string& out, std::string_view id, std::string_view position, std::int64_t time)
{
    Head head;
    head.time = time;
    head.id = static_cast<std::uint32_t>(id.size());
    head.position = static_cast<std::uint32_t>(position.size());
    const auto frame = out.size();
    out.append(reinterpret_cast<const char*>(&head), sizeof head);
    out.append(id).append(position);
    return frame;
}

void end_frame(std::string& out, std::size_t frame)
{
    Head head;
    std::memcpy(&head, out.data() + frame, sizeof head);
    head.bytes = out.size() - frame - sizeof head - head.id - head.position;
    std::memcpy(out.data() + frame, &head, sizeof head);
}

Result<std::vector<Record>> read_frames(const Text& text)
{
    std::vector<Record> records;
    std::string_view rest = text.bytes;
    while (!rest.empty()) {
        Head head;
        bool whole = rest.size() >= sizeof head;
        if (whole) {
            std::memcpy(&head, rest.data(), sizeof head);
            rest.remove_prefix(sizeof head);
            const auto names = std::uint64_t{head.id} + head.position;
            whole = names <= rest.size() && head.bytes <= rest.size() - names;
        }
        if (!whole) {
            return fail(Errc::internal,
                        "cannot read the records of a slice: it ends inside of one; this is a "
                        "bug, please report it");
        }
        Record record;
        record.time = head.time;
        record.id = rest.substr(0, head.id);
        record.position = rest.substr(head.id, head.position);
        record.bytes = rest.substr(std::size_t{head.id} + head.position, head.bytes);
        record.labels = &text.labels;
        rest.remove_prefix(std::size_t{head.id} + head.position + head.bytes);
        records.push_back(record);
    }
    return records;
}

void append_entry_id(std::string& out, std::string_view cursor)
{
    const auto [sequence, number, time] = names_in(cursor);
    if (sequence.empty() || number.empty() || time.empty()) {
        out += cursor;
        return;
    }
    out.append(sequence).append(1, '-').append(number).append(1, '-').append(time);
}

bool FrameWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    id_.clear();
    append_entry_id(id_, entry.cursor);
    const auto frame = begin_frame(out, id_, entry.cursor, entry.realtime);
    if (!inner_->write(entry, out)) {
        out.resize(frame);
        return false;
    }
    end_frame(out, frame);
    return true;
}

}  // namespace opsd::pipeline
