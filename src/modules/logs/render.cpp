#include "modules/logs/render.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <iterator>

namespace opsd::logs {
namespace {

using systemd::EntryWriter;
using systemd::JournalEntry;

bool wanted(const RenderSpec& spec, const JournalEntry& entry)
{
    for (const auto& owner : spec.owners)
        if (!owner->owns(entry)) return false;
    if (!spec.grep) return true;
    return std::ranges::any_of(entry.fields, [&](const systemd::JournalField& field) {
        return field.name == "MESSAGE" && spec.grep->matches(field.value);
    });
}

class Renderer final : public EntryWriter {
public:
    explicit Renderer(RenderSpec spec) : spec_{std::move(spec)} {}

    bool write(const JournalEntry& entry, std::string& out) override
    {
        if (!wanted(spec_, entry)) return false;
        append(entry, out);
        return true;
    }

private:
    void append(const JournalEntry& entry, std::string& out)
    {
        switch (spec_.format) {
        case Format::dcos_text:
            return append_dcos_text(out, entry, spec_.max_entry, local_);
        case Format::dcos_json:
            append_dcos_json(out, entry, spec_.max_entry - 1);
            out += '\n';
            return;
        case Format::json:
            out += ",\n";
            return append_json(out, entry, spec_.max_entry - 2, utc_);
        case Format::ndjson:
            append_json(out, entry, spec_.max_entry - 1, utc_);
            out += '\n';
            return;
        case Format::text:
            return append_text(out, entry, spec_.max_entry, utc_);
        case Format::dcos_sse:
        case Format::sse:
            return append_event(entry, out);
        case Format::export_:
            return append_export(out, entry, spec_.max_entry);
        }
    }

    void append_event(const JournalEntry& entry, std::string& out)
    {
        const auto begin = out.size();
        if (spec_.ids) out.append("id: ").append(entry.cursor).append("\n");
        out += "data: ";
        const auto used = out.size() - begin + 2;
        const auto room = spec_.max_entry - std::min(used, spec_.max_entry / 2);
        if (spec_.format == Format::sse)
            append_json(out, entry, room, utc_);
        else
            append_dcos_json(out, entry, room);
        out += "\n\n";
    }

    RenderSpec spec_;
    MinuteText local_{MinuteText::Zone::local};
    MinuteText utc_{MinuteText::Zone::utc};
};

class Framer final : public EntryWriter {
public:
    explicit Framer(RenderSpec spec) : renderer_{std::move(spec)} {}

    bool write(const JournalEntry& entry, std::string& out) override
    {
        text_.clear();
        (void)renderer_.write(entry, text_);
        fmt::format_to(std::back_inserter(out), "{}\n{}\n", entry.cursor, text_.size());
        out += text_;
        return true;
    }

private:
    Renderer renderer_;
    std::string text_;
};

/// Cuts off what stands before the next newline.
std::string_view next_line(std::string_view& text)
{
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

}  // namespace

RenderSpec spec_of(const LogQuery& query)
{
    return {.format = query.format,
            .ids = query.ids,
            .max_entry = query.max_entry,
            .grep = query.grep,
            .owners = query.owners};
}

std::string name_of(const RenderSpec& spec)
{
    auto name = fmt::format("{} {} {}", to_string(spec.format), spec.ids ? "ids" : "plain", spec.max_entry);
    if (spec.grep)
        fmt::format_to(std::back_inserter(name), " grep {}:{}", spec.grep->pattern().size(),
                       spec.grep->pattern());
    for (const auto& owner : spec.owners) {
        name += "\nunits";
        for (const auto& pattern : owner->patterns())
            fmt::format_to(std::back_inserter(name), " {}:{}", pattern.size(), pattern);
    }
    return name;
}

std::unique_ptr<EntryWriter> make_writer(RenderSpec spec)
{
    return std::make_unique<Renderer>(std::move(spec));
}

std::unique_ptr<EntryWriter> make_framer(RenderSpec spec)
{
    return std::make_unique<Framer>(std::move(spec));
}

Frame next_frame(std::string_view& frames)
{
    Frame frame;
    frame.cursor = next_line(frames);
    const auto number = next_line(frames);
    std::size_t size = 0;
    std::from_chars(number.data(), number.data() + number.size(), size);
    frame.text = frames.substr(0, size);
    frames.remove_prefix(frame.text.size());
    return frame;
}

}  // namespace opsd::logs
