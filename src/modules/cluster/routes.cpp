#include "modules/cluster/routes.hpp"

#include "core/transition_text.hpp"
#include "http/content.hpp"
#include "http/query.hpp"
#include "modules/cluster/past.hpp"
#include "modules/cluster/table.hpp"

#include <algorithm>
#include <expected>
#include <utility>

namespace opsd::cluster {

using http::Access;
using http::Method;
using http::Request;
using http::Response;

namespace {

constexpr std::size_t most_rows = 1'000;

/// ?node= as an address, as it is when no member is meant; or the answer that several are.
std::expected<std::string, Response> address_of(const Core& core, const Request& request)
{
    std::string name{request.query.get("node")};
    const auto& cluster = core.services.board.cluster.get();
    if (!cluster || name.empty()) return name;
    const auto found = look_up(cluster->value, name);
    if (found.candidates.size() > 1) return std::unexpected{Response::problem(409, ambiguous(name, found))};
    return found.member ? found.member->address : name;
}

Result<ArchiveQuery> query_of(const Request& request)
{
    ArchiveQuery query;
    const auto limit = http::limit_of(request, query.limit, most_rows);
    if (!limit) return fail(limit.error());
    query.limit = *limit;
    const auto after = http::after_of(request);
    if (!after) return fail(after.error());
    query.after = *after;
    query.newest_first = !request.query.has("after");
    for (const auto* name : {"since", "until"}) {
        const auto* text = request.query.find(name);
        if (text == nullptr) continue;
        auto time = parse_rfc3339(*text);
        if (!time) return fail(std::move(time).error());
        (name[0] == 's' ? query.since : query.until) = *time;
    }
    query.unit = request.query.get("unit");
    return query;
}

Task<Response> history(std::shared_ptr<Core> core, const Request& request)
{
    auto query = query_of(request);
    if (!query) co_return Response::problem(query.error());
    auto node = address_of(*core, request);
    if (!node) co_return std::move(node).error();
    query->node = std::move(*node);
    auto page = co_await read_archive(core, std::move(*query));
    if (!page) co_return Response::problem(page.error());
    std::string out;
    JsonText json{out};
    json.open('{').key("transitions").open('[');
    for (const auto& row : page->rows) {
        std::string element;
        append_cluster_transition(element, row);
        json.raw(element);
    }
    json.close(']').close('}');
    out += '\n';
    co_return Response::json(std::move(out));
}

/// Page by page: what ten thousand members did would hold up the store, and fill the memory, all at once.
Task<Result<>> gather(std::shared_ptr<Core> core, std::shared_ptr<Past> past, WallTime time, std::string node)
{
    constexpr std::size_t members_a_page = 50;
    auto addresses = co_await core->archive.addresses(node);
    if (!addresses) co_return fail(std::move(addresses).error());
    const auto step = node.empty() ? members_a_page : 1;
    for (std::size_t begin = 0; begin < addresses->size(); begin += step) {
        const auto end = std::min(begin + step, addresses->size());
        auto page = co_await core->archive.around(time, addresses->at(begin), addresses->at(end - 1));
        if (!page) co_return fail(std::move(page).error());
        auto work = [past, page = std::move(*page)]() -> Result<> {
            past->take(page);
            return {};
        };
        auto taken = co_await core->past.run(std::move(work));
        if (!taken) co_return fail(std::move(taken).error());
    }
    co_return Result<>{};
}

Task<Response> at(std::shared_ptr<Core> core, const Request& request)
{
    const auto time = parse_rfc3339(request.query.get("time"));
    if (!time) co_return Response::problem(time.error());
    if (*time > core->services.clock.now())
        co_return Response::problem(400, "cannot tell how it will be: the time is in the future");
    const auto node = address_of(*core, request);
    if (!node) co_return node.error();
    const auto slot = core->readers.take();
    if (!slot) co_return Response::problem(slot.error());
    const auto kept_since = co_await core->archive.kept_since();
    if (!kept_since) co_return Response::problem(kept_since.error());
    const auto unwatched = co_await core->archive.unwatched(*time);
    if (!unwatched) co_return Response::problem(unwatched.error());
    PastQuestion question{.time = *time,
                          .kept_since = *kept_since,
                          .unwatched = *unwatched,
                          .node = *node,
                          .full = http::is_set(request, "full"),
                          .gzip = http::accepts_gzip(request.headers.get("accept-encoding"))};
    auto past = std::make_shared<Past>(std::move(question), core->services.board.cluster.get(),
                                       core->archive.waiting());
    auto gathered = co_await gather(core, past, *time, *node);
    if (!gathered) co_return Response::problem(gathered.error());
    auto render = [past = std::move(past)]() mutable { return std::exchange(past, nullptr)->report(); };
    auto content = co_await core->past.run(std::move(render));
    if (!content) co_return Response::problem(content.error());
    co_return Response::shared(std::move(*content));
}

using Answer = Task<Response> (*)(std::shared_ptr<Core>, const Request&);

http::Handler with(const std::shared_ptr<Core>& core, Answer answer)
{
    return [core, answer](const Request& request) { return answer(core, request); };
}

Task<Response> own_document(std::shared_ptr<Core> core, const Request& request)
{
    return core->own->answer(request);
}

http::Route replacing(http::Route route)
{
    route.replaces = true;
    return route;
}

/// What answers for all nodes in the place of what answers for this one.
void add_watching(std::vector<http::Route>& rows, const std::shared_ptr<Core>& core)
{
    const http::Parameter node{"node", "query", "Only this node: address, host name or Mesos id", "string"};
    rows.push_back(
        replacing({Method::get,
                   "/api/v1/health/history",
                   Access::local,
                   "Transitions of all units of all nodes, newest first",
                   with(core, history),
                   {{"unit", "query", "Only this unit", "string"},
                    node,
                    {"since", "query", "Not older than this time (RFC 3339)", "string"},
                    {"until", "query", "Older than this time (RFC 3339)", "string"},
                    {"after", "query", "Only ids greater than this, oldest first", "integer"},
                    {"limit", "query", "At most so many, 1 to 1000; 100 by default", "integer"}}}));
    rows.push_back(replacing({Method::get,
                              "/api/v1/health/at",
                              Access::local,
                              "How the nodes and their units were at a time, as far as what is kept says",
                              with(core, at),
                              {{"time", "query", "The time (RFC 3339)", "string"},
                               node,
                               {"full", "query", "Also units that were healthy", "boolean"}}}));
    rows.push_back(replacing(
        {Method::get,
         "/api/v1/events",
         Access::local,
         "Transitions of all nodes as they happen (server-sent events)",
         with(core, events),
         {{"last_event_id", "query", "Begin after this id, as the header Last-Event-ID does", "integer"}}}));
}

}  // namespace

Task<Result<Archive::Page>> read_archive(std::shared_ptr<Core> core, ArchiveQuery query)
{
    const auto slot = core->readers.take();
    if (!slot) co_return fail(slot.error());
    auto page = co_await core->archive.read(std::move(query));
    co_return page;
}

std::vector<http::Route> routes_of(std::shared_ptr<Core> core)
{
    std::vector<http::Route> rows;
    rows.push_back(
        {Method::get,
         "/api/v1/node",
         Access::local,
         "This node for others: identity, verdict and all units; with \"Prefer: wait=30\" and "
         "If-None-Match the answer is held until something changes",
         with(core, own_document),
         {{"partial", "query", "Only what changed since the version of If-None-Match", "boolean"}}});
    if (core->watching) add_watching(rows, core);
    return rows;
}

}  // namespace opsd::cluster
