#include "modules/cluster/views.hpp"

#include "modules/cluster/view_parts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::cluster {

Views::Views(ViewOptions given, Services& with, Actions what)
  : options{given}
  , services{with}
  , actions{std::move(what)}
  , answers{with.executor, with.clock, given.answers}
{}

http::Handler with(const Shared& views, Answer answer)
{
    return [views, answer](const Request& request) { return answer(views, request); };
}

bool takes_gzip(const Request& request)
{
    return request.headers.get("accept-encoding").find("gzip") != std::string_view::npos;
}

bool wants_newest(const Request& request) { return request.query.has("cache"); }

ClusterSnapshot snapshot_of(const Views& views)
{
    const auto& now = views.services.board.cluster.get();
    return now ? now : std::make_shared<const Snapshot<Cluster>>();
}

FoundNode find_node(const Cluster& cluster, const Request& request, bool plain)
{
    const auto name = request.path_params.get("node");
    auto found = look_up(cluster, name);
    if (found.member) return {std::move(found.member), std::nullopt};
    if (found.candidates.size() > 1) {
        const auto sentence = ambiguous(name, found);
        return {nullptr, plain ? Response::text(sentence + "\n", 409) : Response::problem(409, sentence)};
    }
    if (plain) return {nullptr, Response::text(fmt::format("{} not found\n", name), 404)};
    return {nullptr,
            Response::problem(404, fmt::format("cannot find the node \"{}\": no address, host name, Mesos "
                                               "id or machine id is so; /api/v1/nodes lists all",
                                               name))};
}

const UnitRollup* find_unit(const Cluster& cluster, std::string_view id)
{
    const auto by_id = [](const UnitRollup& roll) { return std::string_view{roll.label->id}; };
    const auto at = std::ranges::lower_bound(cluster.units, id, {}, by_id);
    return at != cluster.units.end() && at->label->id == id ? &*at : nullptr;
}

namespace {

/// Since when no member that answers was heard of.
WallTime confirmed_at(const Snapshot<Cluster>& snapshot)
{
    return snapshot.value.confirmed_at == WallTime{} ? snapshot.at : snapshot.value.confirmed_at;
}

}  // namespace

WallTime changed_at(const Snapshot<Cluster>& snapshot) noexcept
{
    const auto exactly = snapshot.value.changed_at == WallTime{} ? snapshot.at : snapshot.value.changed_at;
    return std::chrono::ceil<std::chrono::seconds>(exactly);
}

namespace {

Response with_age(Response response, const Views& views, WallTime confirmed)
{
    if (confirmed == WallTime{}) return response;  // never answered: there is no age
    const auto age = std::chrono::floor<std::chrono::seconds>(views.services.clock.now() - confirmed);
    response.with("Age", std::to_string(std::max<std::int64_t>(0, age.count())));
    response.with("Last-Modified-3DT", local_time(confirmed));
    return response;
}

}  // namespace

Response dated(Response response, const Views& views, const Snapshot<Cluster>& snapshot, const Member* member)
{
    const auto confirmed = member != nullptr && !member->self ? member->answered_at : confirmed_at(snapshot);
    return with_age(std::move(response), views, confirmed);
}

Task<Result<Response>> kept_answer(Shared views, WantedAnswer wanted)
{
    wanted.confirmed = confirmed_at(*wanted.snapshot);
    auto answer = co_await views->answers.get(std::move(wanted));
    if (!answer) co_return fail(std::move(answer).error());
    co_return with_age(Response::shared(std::move(answer->content)), *views, answer->confirmed);
}

bool shows_entries(const Views& views, const MemberUnit& unit, const http::Caller& caller)
{
    return views.services.board.log_access.entries_of(unit.label->id, caller);
}

Task<std::optional<Response>> refreshed(Shared views, const Request& request)
{
    if (!wants_newest(request)) co_return std::nullopt;
    const auto done = co_await views->actions.refresh();
    if (done) co_return std::nullopt;
    const auto snapshot = snapshot_of(*views);
    const auto age =
        std::chrono::floor<std::chrono::milliseconds>(views->services.clock.now() - confirmed_at(*snapshot));
    auto text = fmt::format("{}; what is known is {} old and is served without ?cache\n",
                            done.error().message, human_duration(age));
    const unsigned status = done.error().code == Errc::timeout ? 504 : 503;
    co_return dated(Response::text(std::move(text), status), *views, *snapshot);
}

std::vector<http::Route> view_routes(const std::shared_ptr<Views>& views)
{
    std::vector<http::Route> all;
    for (auto part : {dcos_routes(views), node_routes(views), cluster_routes(views)})
        std::ranges::move(part, std::back_inserter(all));
    return all;
}

}  // namespace opsd::cluster
