// What strangers ask of the journal: a kind, headers, and a query as it stands in a target.

#include "http/target.hpp"
#include "modules/logs/query.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace opsd;

void require(bool promise)
{
    if (!promise) std::abort();
}

std::string_view next_line(std::string_view& text)
{
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

void check(const logs::LogQuery& query)
{
    require(query.max_entry >= logs::smallest_entry && query.max_entry <= std::size_t{1} << 20U);
    require(query.range.skip >= -logs::farthest_skip && query.range.skip <= logs::farthest_skip);
    if (query.range.from == systemd::From::cursor)
        require(systemd::parse_cursor(query.range.cursor).has_value());
    for (const auto& group : query.range.matches) {
        require(!group.empty());
        for (const auto& match : group)
            require(match.find('=') != std::string::npos && match.find('=') > 0);
    }
    require(query.file.find_first_of("/\"\r\n") == std::string::npos);
    require(!query.follow || query.format != logs::Format::json);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    std::string_view rest{reinterpret_cast<const char*>(data), size};
    http::Request request;
    const auto kind = next_line(rest);
    request.headers.add("accept", std::string{next_line(rest)});
    request.headers.add("last-event-id", std::string{next_line(rest)});
    request.headers.add("user-agent", std::string{next_line(rest)});
    request.path_params.add("unit", std::string{next_line(rest)});
    auto target = http::parse_target(http::Head{.method = "GET", .target = "/x?" + std::string{rest}});
    if (!target) return 0;
    request.query = std::move(target->query);

    const logs::QueryContext context{.now = WallTime{std::chrono::seconds{1'700'000'000}},
                                     .boot_id = "0123456789abcdef0123456789abcdef",
                                     .max_entry = 1 << 20};
    auto query = kind == "1"   ? logs::v1_query(request, false, true, context)
                 : kind == "s" ? logs::v1_query(request, true, false, context)
                 : kind == "2" ? logs::v2_query(request, context)
                               : logs::own_query(request, context);
    if (!query) {
        require(query.error().code == Errc::invalid_argument && query.error().message.starts_with("cannot"));
        return 0;
    }
    check(*query);
    const auto allowed = std::make_shared<const logs::UnitSet>(std::vector<std::string>{"a.service", "b*"});
    const auto groups = query->range.matches.size();
    if (logs::restrict_to(*query, allowed) && query->owners.empty() && query->range.matches.size() == groups)
        for (const auto& unit : query->units)
            require(allowed->has(unit));
    return 0;
}
