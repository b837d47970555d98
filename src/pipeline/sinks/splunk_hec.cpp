#include "pipeline/sinks/splunk_hec.hpp"

#include "core/json_text.hpp"
#include "pipeline/frames.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace opsd::pipeline {
namespace {

using nlohmann::json;

constexpr std::size_t largest_reply = 1024 * 1024;

/// An object, or null for anything else.
json object_of(std::string_view body)
{
    if (body.size() > largest_reply) return nullptr;
    auto document = json::parse(body, nullptr, false);
    return document.is_object() ? document : json(nullptr);
}

std::optional<std::int64_t> number_in(const json& object, const char* name)
{
    const auto at = object.is_object() ? object.find(name) : object.end();
    if (!object.is_object() || at == object.end() || !at->is_number_integer()) return std::nullopt;
    if (at->is_number_unsigned() && at->get<std::uint64_t>() > INT64_MAX) return std::nullopt;
    return at->get<std::int64_t>();
}

/// The table of codes; nothing for one that is not in it.
std::optional<Verdict> verdict_of_code(std::int64_t code, const std::string& said,
                                       std::optional<std::chrono::milliseconds> after)
{
    switch (code) {
    case 1:
    case 2:
    case 3:
    case 4:
        return keep(said + "; check the token of this output");
    case 7:
        return keep(said + "; check the index of this output");
    case 10:
    case 11:
        return keep(said + "; this token wants a channel, turn acknowledgements on for this output");
    case 14:
    case 16:
        return keep(said);
    case 8:
    case 9:
        return retry(said, after);
    case 5:
    case 6:
    case 12:
    case 13:
        return refused(said);
    default:
        return std::nullopt;
    }
}

}  // namespace

HecWriter::HecWriter(HecOptions options) : document_{options.document}
{
    constant_ = ",\"sourcetype\":";
    append_quoted(constant_, options.source_type);
    if (!options.index.empty()) {
        constant_ += ",\"index\":";
        append_quoted(constant_, options.index);
    }
    constant_ += ",\"event\":";
    fields_ = ",\"fields\":{";
    for (const auto& [name, value] : options.document.labels) {
        append_quoted(fields_, name);
        fields_ += ':';
        append_quoted(fields_, value);
        fields_ += ',';
    }
    fields_ += "\"opsd_id\":";
}

bool HecWriter::write(const systemd::JournalEntry& entry, std::string& out)
{
    const auto parts = parts_of(entry);
    const auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(parts.time, 0));
    out.append("{\"time\":").append(fmt::format_int{time / 1'000'000}.c_str()).append(1, '.');
    append_digits(out, time % 1'000'000, 6);
    if (!parts.hostname.empty()) {
        out += ",\"host\":";
        append_quoted(out, parts.hostname);
    }
    out += ",\"source\":";
    const bool of_task = !parts.framework.empty() && !parts.stream.empty();
    append_quoted(out, !parts.unit.empty() ? parts.unit
                       : of_task           ? parts.stream
                                           : std::string_view{"journal"});
    out += constant_;
    document_.append(out, entry, parts);
    out += fields_;
    id_.clear();
    append_entry_id(id_, entry.cursor);
    append_quoted(out, id_);
    for_each_task_label(parts, [&out](std::string_view name, std::string_view value) {
        out += ',';
        append_quoted(out, name);
        out += ':';
        append_quoted(out, value);
    });
    out += "}}";
    return true;
}

HecReply read_hec_reply(int status, std::string_view body, std::optional<std::chrono::milliseconds> after)
{
    HecReply reply;
    const auto document = object_of(body);
    const auto code = number_in(document, "code");
    const auto said = fmt::format("it answered {}: {}", status, excerpt(body));
    if (status == 200 && code == 0) {
        reply.verdict = accepted();
        const auto id = number_in(document, "ackId");
        if (id && *id >= 0) reply.ack_id = static_cast<std::uint64_t>(*id);
        return reply;
    }
    auto known = code && status != 413 ? verdict_of_code(*code, said, after) : std::nullopt;
    reply.verdict = known ? std::move(*known) : verdict_of_status(status, body, after);
    // 200 or another good status without code 0 is somebody else's answer.
    if (reply.verdict.kind == Verdict::Kind::accepted)
        reply.verdict = retry(said + ", which is no answer of an event collector", after);
    return reply;
}

std::string hec_ack_request(std::span<const std::uint64_t> ids)
{
    return fmt::format("{{\"acks\":[{}]}}", fmt::join(ids, ","));
}

Result<HecAcks> read_hec_acks(int status, std::string_view body)
{
    const auto document = object_of(body);
    HecAcks result;
    if (number_in(document, "code") == 14) {
        result.disabled = true;
        return result;
    }
    if (status != 200) {
        const bool denied = status == 401 || status == 403;
        return fail(
            denied ? Errc::denied : Errc::unavailable,
            fmt::format("cannot ask for acknowledgements: it answered {}: {}", status, excerpt(body)));
    }
    const auto bad = [] {
        return fail(Errc::protocol, "cannot read the acknowledgements: the answer is of another form");
    };
    if (!document.is_object() || !document.contains("acks") || !document["acks"].is_object()) return bad();
    for (const auto& [name, value] : document["acks"].items()) {
        std::uint64_t id = 0;
        const auto* end = name.data() + name.size();
        const auto [last, ec] = std::from_chars(name.data(), end, id);
        if (ec != std::errc{} || last != end || !value.is_boolean()) return bad();
        result.acks.emplace(id, value.get<bool>());
    }
    return result;
}

}  // namespace opsd::pipeline
