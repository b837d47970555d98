#include "io/mesos/files.hpp"

#include "io/mesos/address.hpp"
#include "io/mesos/json_walk.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace opsd::mesos {
namespace {

constexpr std::string_view read_answer = "the answer to /files/read";
constexpr std::string_view browse_answer = "the answer to /files/browse";

/// The largest integer that a JSON number holds exactly.
constexpr double most_exact = 9'007'199'254'740'992.0;

std::unexpected<Error> unreadable(std::string_view what, std::string_view why)
{
    return fail(Errc::protocol, fmt::format("cannot read {}: {}", what, why));
}

void append_utf8(std::string& out, unsigned code)
{
    const auto put = [&out](unsigned byte) { out += static_cast<char>(byte); };
    if (code < 0x800) {
        put(0xc0U | code >> 6U);
    } else {
        put(0xe0U | code >> 12U);
        put(0x80U | (code >> 6U & 0x3fU));
    }
    put(0x80U | (code & 0x3fU));
}

/// A JSON object of texts and numbers, read byte by byte: the texts need not be UTF-8.
class FlatReader {
public:
    explicit FlatReader(std::string_view text) : rest_{text} {}

    /// The next thing after white space; '\0' at the end.
    char next()
    {
        const auto start = std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size());
        rest_.remove_prefix(start);
        return rest_.empty() ? '\0' : rest_.front();
    }

    bool take(char wanted)
    {
        if (next() != wanted) return false;
        rest_.remove_prefix(1);
        return true;
    }

    std::optional<std::string> text()
    {
        if (!take('"')) return std::nullopt;
        std::string out;
        for (;;) {
            const auto special = rest_.find_first_of("\"\\");
            if (special == std::string_view::npos) return std::nullopt;
            out += rest_.substr(0, special);
            const bool end = rest_[special] == '"';
            rest_.remove_prefix(special + 1);
            if (end) return out;
            if (!escape(out)) return std::nullopt;
        }
    }

    std::optional<double> number()
    {
        next();
        double value = 0;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
        if (error != std::errc{}) return std::nullopt;
        rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
        return value;
    }

private:
    bool escape(std::string& out)
    {
        constexpr std::string_view names = "\"\\/bfnrt";
        constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
        if (rest_.empty()) return false;
        const char kind = rest_.front();
        rest_.remove_prefix(1);
        if (const auto known = names.find(kind); known != std::string_view::npos) {
            out += meanings[known];
            return true;
        }
        unsigned code = 0;
        if (kind != 'u' || rest_.size() < 4) return false;
        const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + 4, code, 16);
        if (error != std::errc{} || end != rest_.data() + 4) return false;
        rest_.remove_prefix(4);
        if (code < 0x100)
            out += static_cast<char>(code);
        else
            append_utf8(out, code);
        return true;
    }

    std::string_view rest_;
};

std::optional<std::uint64_t> whole(double value)
{
    if (!(value >= 0) || value > most_exact) return std::nullopt;
    return static_cast<std::uint64_t>(value);
}

std::uint64_t count_of(const JsonEvent& event)
{
    return event.kind == JsonEvent::Kind::number ? whole(event.number).value_or(0) : 0;
}

Result<std::vector<FileItem>> list_of(std::string_view body, std::size_t most)
{
    using Kind = JsonEvent::Kind;
    std::vector<FileItem> items;
    bool list = false;
    auto read = walk_json(body, browse_answer, [&](const JsonEvent& event) -> Result<> {
        const auto& path = event.path;
        if (path.empty() && event.kind == Kind::begin_array) list = true;
        if (!list) return unreadable(browse_answer, "it is no list");
        if (path == "[]") {
            if (event.kind == Kind::end_object && items.back().path.empty())
                return unreadable(browse_answer, "an item has no path");
            if (event.kind == Kind::end_object) return {};
            if (event.kind != Kind::begin_object) return unreadable(browse_answer, "an item is no object");
            if (items.size() == most)
                return unreadable(browse_answer, fmt::format("the folder has more than {} files", most));
            items.emplace_back();
            return {};
        }
        if (!path.starts_with("[].")) return {};
        auto& item = items.back();
        const auto field = path.substr(3);
        if (field == "size") item.size = count_of(event);
        if (field == "nlink") item.nlink = count_of(event);
        if (field == "mtime") item.mtime = static_cast<std::int64_t>(count_of(event));
        if (event.kind != Kind::text) return {};
        if (field == "path") item.path = event.text;
        if (field == "mode") item.mode = event.text.substr(0, 16);
        if (field == "uid") item.uid = event.text.substr(0, 64);
        if (field == "gid") item.gid = event.text.substr(0, 64);
        return {};
    });
    if (!read) return fail(std::move(read).error());
    return items;
}

}  // namespace

Result<FilePart> parse_file_part(std::string_view body)
{
    FlatReader reader{body};
    FilePart part;
    bool data = false;
    bool offset = false;
    if (!reader.take('{')) return unreadable(read_answer, "it is no object");
    for (bool first = true; !reader.take('}'); first = false) {
        if (!first && !reader.take(',')) return unreadable(read_answer, "it is not JSON");
        const auto key = reader.text();
        if (!key || !reader.take(':')) return unreadable(read_answer, "it is not JSON");
        if (reader.next() == '"') {
            auto text = reader.text();
            if (!text) return unreadable(read_answer, "it ends in the middle, or has a bad escape");
            if (*key != "data") continue;
            part.data = std::move(*text);
            data = true;
            continue;
        }
        const auto number = reader.number();
        if (!number) return unreadable(read_answer, "it has something else than texts and numbers");
        if (*key != "offset") continue;
        const auto value = whole(*number);
        if (!value) return unreadable(read_answer, "its offset is none");
        part.offset = *value;
        offset = true;
    }
    if (reader.next() != '\0') return unreadable(read_answer, "something follows it");
    if (!data || !offset) return unreadable(read_answer, "it lacks data or offset");
    return part;
}

Result<std::vector<FileItem>> parse_file_list(std::string_view body, std::size_t most)
{
    auto list = list_of(body, most);
    if (list) return list;
    // A name that is not UTF-8 must not hide the others.
    std::string plain{body};
    std::ranges::replace_if(plain, [](unsigned char c) { return c > 0x7f; }, '?');
    if (plain == body) return list;
    return list_of(plain, most);
}

std::string encoded(std::string_view text, std::string_view keep)
{
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9')
                           || std::string_view{"-._~"}.contains(c) || keep.contains(c);
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
    return out;
}

AgentFiles::AgentFiles(net::HttpClient& client, FilesOptions options)
  : client_{client}
  , options_{std::move(options)}
{}

Task<Result<std::uint64_t>> AgentFiles::size(std::string path, std::string authorization) const
{
    auto target = fmt::format("/files/read?path={}&offset=-1", encoded(path, "/"));
    auto body = co_await ask(std::move(target), std::move(path), 4096, std::move(authorization));
    if (!body) co_return fail(std::move(body).error());
    auto part = parse_file_part(*body);
    if (!part) co_return fail(std::move(part).error());
    co_return part->offset;
}

Task<Result<std::string>> AgentFiles::read(std::string path, std::uint64_t offset, std::size_t length,
                                           std::string authorization) const
{
    length = std::min(length, most_read);
    auto target = fmt::format("/files/read?path={}&offset={}&length={}", encoded(path, "/"), offset, length);
    // A byte takes at most six: \u00XX.
    auto body = co_await ask(std::move(target), std::move(path), 6 * length + 4096, std::move(authorization));
    if (!body) co_return fail(std::move(body).error());
    auto part = parse_file_part(*body);
    if (!part) co_return fail(std::move(part).error());
    if (part->offset != offset || part->data.size() > length)
        co_return unreadable(read_answer, "it is not about the bytes that were asked for");
    co_return std::move(part->data);
}

Task<Result<std::vector<FileItem>>> AgentFiles::browse(std::string path, std::string authorization) const
{
    auto target = fmt::format("/files/browse?path={}", encoded(path, "/"));
    auto body = co_await ask(std::move(target), std::move(path), options_.max_list, std::move(authorization));
    if (!body) co_return fail(std::move(body).error());
    co_return parse_file_list(*body);
}

Task<Result<std::string>> AgentFiles::ask(std::string target, std::string path, std::size_t max_body,
                                          std::string authorization) const
{
    net::ClientRequest request;
    request.url = options_.url + target;
    request.timeout = options_.timeout;
    request.max_body = max_body;
    request.headers.emplace_back("Accept", "application/json");
    if (!authorization.empty()) request.headers.emplace_back("Authorization", std::move(authorization));
    auto answer = co_await client_.send(std::move(request));
    if (!answer) co_return fail(std::move(answer).error().wrap("cannot ask the Mesos agent for a file"));
    if (answer->status == 200) co_return std::move(answer->body);
    const auto said = [&](Errc code, std::string_view why) {
        return fail(code, fmt::format("cannot read {}: {}", printable(path), why));
    };
    const auto status = answer->status;
    switch (status) {
    case 400:
        co_return said(Errc::invalid_argument, fmt::format("the agent says \"{}\"", printable(answer->body)));
    case 401:
    case 403:
        co_return said(Errc::denied,
                       fmt::format("the agent answered {}; the caller needs a token that Mesos accepts for "
                                   "this sandbox",
                                   status));
    case 404:
        co_return said(Errc::not_found,
                       "the agent has no such file; sandboxes of ended tasks are removed after some days");
    default:
        break;
    }
    co_return said(status >= 500 || status == 429 ? Errc::unavailable : Errc::protocol,
                   fmt::format("the agent answered {}", status));
}

}  // namespace opsd::mesos
