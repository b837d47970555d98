// Anybody on the node writes into the journal; whatever it is, what clients get has its form and its bound.

#include "modules/logs/render.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace opsd;
using nlohmann::json;

constexpr std::string_view cursor = "s=aa;i=1f;b=bb;m=1;t=2;x=cc";
constexpr std::int64_t monotonic = 77;

void require(bool promise)
{
    if (!promise) std::abort();
}

/// Names and values, each behind a byte with its length.
std::vector<systemd::JournalField> fields_of(std::string_view rest)
{
    std::vector<systemd::JournalField> fields;
    const auto take = [&rest] {
        if (rest.empty()) return std::string_view{};
        const auto wanted = static_cast<unsigned char>(rest.front());
        rest.remove_prefix(1);
        const auto text = rest.substr(0, wanted == 255 ? rest.size() : wanted);
        rest.remove_prefix(text.size());
        return text;
    };
    while (!rest.empty()) {
        const auto name = take();
        fields.push_back({name, take()});
    }
    return fields;
}

std::string render(const std::vector<systemd::JournalField>& fields, logs::Format format, std::size_t most,
                   std::int64_t realtime)
{
    std::string out;
    const auto writer = logs::make_writer({.format = format, .max_entry = most});
    require(writer->write({cursor, realtime, monotonic, fields}, out));
    require(out.size() <= most);
    return out;
}

void check_json(std::string_view text, const std::vector<systemd::JournalField>& fields, bool shortened)
{
    require(json::accept(text));
    const auto parsed = json::parse(text);
    require(parsed["cursor"] == cursor && parsed["monotonic_timestamp"] == monotonic);
    const bool cut = parsed["fields"].contains("OPSD_CUT");
    require(shortened || cut || parsed["fields"].size() <= fields.size());
    for (const auto& field : fields)
        require(shortened || cut || !json::accept("\"" + std::string{field.name} + "\"")
                || field.name.find('\\') != std::string_view::npos || parsed["fields"].contains(field.name));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    if (size < 2) return 0;
    const std::size_t most = logs::smallest_entry + static_cast<std::size_t>(data[0]) * 256;
    const auto realtime = static_cast<std::int64_t>(data[1]) * 10'000'000'000'003 - 5'000'000;
    const auto fields = fields_of({reinterpret_cast<const char*>(data) + 2, size - 2});
    const bool shortened = size * 6 > most / 2;

    check_json(render(fields, logs::Format::dcos_json, most, realtime), fields, shortened);
    check_json(render(fields, logs::Format::ndjson, most, realtime), fields, shortened);
    for (const auto format : {logs::Format::dcos_sse, logs::Format::sse}) {
        const auto event = render(fields, format, most, realtime);
        const auto begin = event.find("data: ");
        require(begin != std::string::npos && event.ends_with("\n\n"));
        require(event.find('\n', begin) == event.size() - 2);
        check_json(std::string_view{event}.substr(begin + 6), fields, shortened);
    }
    const auto text = render(fields, logs::Format::text, most, realtime);
    require(text.ends_with('\n'));
    require(json(text).dump().size() > text.size());  // throws on invalid UTF-8
    for (const char c : text)
        require(static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t');
    render(fields, logs::Format::dcos_text, most, realtime);
    require(render(fields, logs::Format::export_, most, realtime).ends_with("\n\n"));
    return 0;
}
