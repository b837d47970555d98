#include "modules/logs/relay.hpp"

#include "core/first_of.hpp"
#include "core/member_address.hpp"
#include "http/query.hpp"
#include "io/mesos/address.hpp"
#include "io/mesos/files.hpp"
#include "modules/logs/answer.hpp"
#include "modules/logs/caller.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace opsd::logs {
namespace {

using http::Request;
using http::Response;

using CorePtr = std::shared_ptr<Core>;

// A node that says nothing for so long has stopped. Events have a ping each 15 s; what looks for entries that
// few match may be silent for a while, and what follows in another form for ever.
constexpr Duration silence_of_events{45'000};
constexpr Duration silence_of_range{120'000};
constexpr std::size_t most_direct = 256U * 1024;  // a body up to here needs no stream
constexpr std::string_view logs_prefix = "/system/v1/logs/";

/// An answer on its way through this node.
struct Passing {
    CorePtr core;
    ReadSlots::Slot slot;
    std::string address;
    std::unique_ptr<net::Incoming> incoming;
    std::optional<Duration> longest_silence;
};
using PassingPtr = std::shared_ptr<Passing>;

Task<> take_piece(net::Incoming& from, std::optional<Result<std::string>>& piece)
{
    piece = co_await from.next();
}

void torn(Passing& passing, const Error& error)
{
    ++passing.core->counters.unreached;
    passing.core->services.log.warning("cut off an answer of {}: {}", passing.address, error.message);
}

Task<> until_silent(PassingPtr passing)
{
    if (passing->longest_silence)
        co_await passing->core->services.clock.sleep_for(*passing->longest_silence);
    else
        co_await passing->core->until_finished();
}

Error silent(const Passing& passing)
{
    return {Errc::timeout, fmt::format("nothing came for {} s", passing.longest_silence->count() / 1'000)};
}

Task<> stream_on(PassingPtr passing, http::StreamWriter& writer)
{
    // Both are given back when the stream ends, however long the answer is kept.
    const auto slot = std::move(passing->slot);
    const auto incoming = std::move(passing->incoming);
    writer.set_whole(false);
    for (;;) {
        bool over = false;
        std::optional<Result<std::string>> piece;
        auto pieces = first_of(take_piece(*incoming, piece), until_silent(passing));
        co_await first_of(std::move(pieces), passing->core->until_over(writer, over));
        if (over || passing->core->finished()) co_return;
        if (!piece) co_return torn(*passing, silent(*passing));
        if (!*piece) co_return torn(*passing, piece->error());
        if ((*piece)->empty()) break;
        const auto written = co_await writer.write(**piece);
        if (!written) co_return;
    }
    writer.set_whole(true);
}

Task<> gather(net::Incoming& from, std::optional<Result<std::string>>& body)
{
    std::string all;
    for (;;) {
        auto piece = co_await from.next();
        if (!piece || piece->empty()) {
            body = piece ? Result<std::string>{std::move(all)} : std::move(piece);
            co_return;
        }
        all += *piece;
    }
}

void copy_headers(const net::Incoming& from, Response& to)
{
    constexpr std::array<std::pair<std::string_view, std::string_view>, 8> names{
        {{"location", "Location"},
         {"cache-control", "Cache-Control"},
         {"content-disposition", "Content-Disposition"},
         {"retry-after", "Retry-After"},
         {"x-journal-lost", "X-Journal-Lost"},
         {"x-journal-skip-next", "X-Journal-Skip-Next"},
         {"x-journal-skip-prev", "X-Journal-Skip-Prev"},
         {"access-control-allow-origin", "Access-Control-Allow-Origin"}}};
    for (const auto& [lower, name] : names) {
        const auto value = from.head().header(lower);
        if (!value.empty()) to.with(std::string{name}, std::string{value});
    }
}

/// How long a body may be silent; nothing: for ever.
std::optional<Duration> longest_silence(const Request& request, std::string_view target,
                                        const net::Incoming& answer)
{
    if (answer.head().header("content-type").starts_with("text/event-stream")) return silence_of_events;
    const bool follows = http::is_set(request, "follow") || target.starts_with("/system/v1/logs/v1/stream");
    return follows ? std::nullopt : std::optional{silence_of_range};
}

Response not_reached(Core& core, const std::string& address, const Error& error)
{
    ++core.counters.unreached;
    return Response::problem(Error{error.retryable() ? error.code : Errc::unavailable,
                                   fmt::format("cannot ask {}: {}", address, error.message)});
}

Task<Response> passed(PassingPtr passing, bool head)
{
    auto& answer = *passing->incoming;
    auto& core = *passing->core;
    ++core.counters.passed_on;
    Response response;
    response.status = answer.head().status;
    if (const auto type = answer.head().header("content-type"); !type.empty()) response.type = type;
    copy_headers(answer, response);
    const auto length = answer.length();
    const bool none = head || answer.head().status == 204 || answer.head().status == 304;
    if (none) co_return response;
    if (!length || *length > most_direct) {
        response.producer = [passing](http::StreamWriter& writer) { return stream_on(passing, writer); };
        co_return response;
    }
    std::optional<Result<std::string>> body;
    co_await first_of(gather(answer, body), core.services.clock.sleep_for(core.options.nodes.answer_timeout));
    if (!body)
        body = fail(Errc::timeout,
                    fmt::format("its answer did not come within {} ms (logs.nodes.answer_timeout)",
                                core.options.nodes.answer_timeout.count()));
    if (!*body) co_return not_reached(core, passing->address, body->error());
    response.body = std::move(**body);
    co_return response;
}

// --- where a question goes

/// This node's own rows.
using Here = std::shared_ptr<const http::Router>;

Task<Response> answer_here(Here here, const Request& request, std::string path)
{
    auto match = here->find(request.method, path);
    if (match.route == nullptr)
        co_return Response::problem(
            404, fmt::format("cannot serve {}: there is no such path", mesos::printable(path)));
    Request own = request;
    own.path = std::move(path);
    own.path_params = std::move(match.params);
    own.object = {};
    auto response = co_await match.route->handler(own);
    for (const auto* params : {&own.path_params, &own.object})
        for (const auto& [name, value] : *params)
            request.object.add(name, value);
    co_return response;
}

Response plain(unsigned status, std::string text) { return Response::text(std::move(text), status); }

Response cold() { return plain(503, "503 Service Unavailable: cache state is invalid"); }

/// What is below /system/v1/logs, at the node.
Task<Response> logs_at(CorePtr core, Here here, const Request& request, MemberPtr node)
{
    const std::string rest{request.path_params.get("rest")};
    auto path = std::string{logs_prefix} + rest;
    if (node->self) co_return co_await answer_here(std::move(here), request, std::move(path));
    auto target = std::string{logs_prefix} + mesos::encoded(rest, "/") + query_text(request.query);
    co_return co_await pass_on(std::move(core), request, std::move(node), std::move(target));
}

Task<Response> at_leader(CorePtr core, Here here, const Request& request)
{
    const auto cluster = core->services.board.cluster.get();
    auto leader = cluster ? leader_of(cluster->value) : nullptr;
    if (!leader) co_return cold();
    co_return co_await logs_at(std::move(core), std::move(here), request, std::move(leader));
}

/// An id of a place in DC/OS's routes.
bool is_id(std::string_view id)
{
    const auto fits = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    };
    return !id.empty() && std::ranges::all_of(id, fits);
}

Task<Response> at_agent(CorePtr core, Here here, const Request& request)
{
    const std::string id{request.path_params.get("agent")};
    const auto cluster = core->services.board.cluster.get();
    const bool here_itself = !core->agent.id.empty() && core->agent.id == id;
    auto agent = cluster ? agent_of(cluster->value, id) : nullptr;
    if (here_itself) {
        auto path = std::string{logs_prefix}.append(request.path_params.get("rest"));
        co_return co_await answer_here(std::move(here), request, std::move(path));
    }
    if (!agent && is_id(id) && (!cluster || !cluster->value.incomplete.empty())) co_return cold();
    if (!agent) co_return plain(404, fmt::format("404 Not Found: agent `{}` unknown.", mesos::printable(id)));
    co_return co_await logs_at(std::move(core), std::move(here), request, std::move(agent));
}

/// Who leads Marathon, as it said last.
struct MarathonLeader {
    std::string address;
    Monotonic until{};
};

Task<Response> at_marathon(CorePtr core, Here here, std::shared_ptr<MarathonLeader> known,
                           const Request& request)
{
    const auto now = core->services.clock.monotonic();
    if (known->address.empty() || now >= known->until) {
        auto leader = co_await core->outside.elsewhere.marathon_leader();
        known->address = leader.value_or("");
        known->until = now + core->options.marathon.keep;
        if (!leader) core->services.log.warning("{}", leader.error().message);
    }
    const auto cluster = core->services.board.cluster.get();
    if (known->address.empty() || !cluster) co_return cold();
    auto node = look_up(cluster->value, host_of(known->address)).member;
    if (!node) co_return cold();
    co_return co_await logs_at(std::move(core), std::move(here), request, std::move(node));
}

http::Route row(std::string pattern, std::string summary, http::Handler handler,
                std::vector<http::Parameter> parameters)
{
    parameters.push_back({"rest", "path", "What follows /system/v1/logs/ there", "string"});
    return {http::Method::get,
            std::move(pattern),
            http::Access::read,
            std::move(summary),
            std::move(handler),
            std::move(parameters),
            true};
}

}  // namespace

std::string refusal_of(const std::string& address, const net::Incoming& answer)
{
    if (answer.head().status != 401) return {};
    return fmt::format("cannot ask {}: it answered 401: this node may not read there; see cluster.token and "
                       "cluster.tls",
                       address);
}

Task<Response> pass_on(CorePtr core, const Request& request, MemberPtr node, std::string target)
{
    request.object.add("node", node->address);
    if (was_forwarded(request))
        co_return Response::problem(
            503, fmt::format("cannot pass the question on to {}: another node has passed it on already; do "
                             "the nodes agree on who is who?",
                             node->address));
    auto slot = core->streams.take();
    if (!slot) co_return Response::problem(slot.error());
    auto question = forwarded(request, target);
    question.timeout = core->options.nodes.answer_timeout;
    auto answer = co_await core->outside.elsewhere.open(node->address, std::move(question));
    if (!answer) co_return not_reached(*core, node->address, answer.error());
    if (const auto why = refusal_of(node->address, **answer); !why.empty())
        co_return Response::problem(502, why);
    const bool head = request.method == http::Method::head;
    const auto silence = longest_silence(request, target, **answer);
    auto passing = std::make_shared<Passing>(
        Passing{std::move(core), std::move(*slot), node->address, std::move(*answer), silence});
    co_return co_await passed(std::move(passing), head);
}

std::vector<http::Route> relay_routes(const CorePtr& core, const std::vector<http::Route>& here)
{
    auto built = http::Router::build(here);
    // The same rows stand in the daemon's table, where they would be refused, too.
    const auto own = built ? *built : std::make_shared<const http::Router>();
    const auto known = std::make_shared<MarathonLeader>();
    auto leader = [core, own](const Request& request) { return at_leader(core, own, request); };
    auto marathon = [core, own, known](const Request& request) {
        return at_marathon(core, own, known, request);
    };
    auto agent = [core, own](const Request& request) { return at_agent(core, own, request); };
    return {
        row("/system/v1/leader/mesos/logs/{rest...}", "Logs of the node of the leading Mesos master", leader,
            {}),
        row("/system/v1/leader/marathon/logs/{rest...}", "Logs of the node of the leading Marathon", marathon,
            {}),
        row("/system/v1/agent/{agent}/logs/{rest...}", "Logs of the node of an agent", agent,
            {{"agent", "path", "Mesos id of the agent", "string"}}),
    };
}

}  // namespace opsd::logs
