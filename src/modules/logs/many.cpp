#include "modules/logs/many.hpp"

#include "core/together.hpp"

#include "modules/logs/answer.hpp"
#include "modules/logs/caller.hpp"
#include "modules/logs/many_parts.hpp"
#include "modules/logs/relay.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace opsd::logs {

using http::Request;
using http::Response;

namespace {

/// "detail" of problem+json.
std::string sentence_of(const std::string& body)
{
    const auto problem = nlohmann::json::parse(body, nullptr, false);
    const bool has = problem.is_object() && problem.contains("detail") && problem["detail"].is_string();
    return has ? problem["detail"].get<std::string>() : "cannot read its log";
}

std::string_view lost_header(const NodeAnswer& node)
{
    if (node.incoming) return node.incoming->head().header("x-journal-lost");
    if (node.own)
        for (const auto& [name, value] : node.own->headers)
            if (name == "X-Journal-Lost") return value;
    return {};
}

/// How many, when it says a number.
std::optional<std::uint64_t> number_in(std::string_view text)
{
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

/// The line that stands for what the head of a node's answer says was lost before it.
std::optional<std::string> lost_in_head(const NodeAnswer& node)
{
    const auto header = lost_header(node);
    if (header.empty()) return std::nullopt;
    const auto number = number_in(header);
    return fmt::format("{{\"lost\":{}}}", number ? std::to_string(*number) : "null");
}

}  // namespace

void Many::add(MemberPtr member, std::optional<std::string> position)
{
    auto node = std::make_unique<NodeAnswer>();
    node->member = std::move(member);
    node->position = position.value_or("");
    if (!node->position.empty()) places_[node->member->address] = node->position;
    nodes_.push_back(std::move(node));
}

// --- asking

/// The question for one node: the same, but from its own place and in the form that is merged.
Request Many::question(const NodeAnswer& node, Stage stage) const
{
    Request one;
    one.path = request_.path;
    one.caller = request_.caller;
    one.caller.role = role_of(request_);
    one.id = request_.id;
    one.headers.add("user-agent", "opsd");
    const bool from_place = stage == Stage::follow || resumed_ || !node.position.empty();
    // A node that was away when the others gave their past has its own to give still.
    const bool owes_past = !resumed_ && node.position.empty() && query_.range.since;
    const auto from = owes_past ? *query_.range.since : begun_at_;
    for (const auto& [name, value] : request_.query) {
        const bool ours = name == "node" || name == "format" || name == "cursor" || name == "follow";
        const bool begins = name == "since" || name == "lines";
        if (!ours && !(from_place && begins)) one.query.add(name, value);
    }
    if (stage == Stage::follow) one.query.add("follow", "true");
    one.query.add("format", stage == Stage::follow ? "ndjson" : "json");
    if (!node.position.empty()) one.query.add("cursor", node.position);
    if (from_place && node.position.empty()) one.query.add("since", fmt::format("@{}", from / 1'000'000));
    if (first_) one.query.add("lines", std::to_string(*first_));
    return one;
}

Task<> Many::open(NodeAnswer& node, Stage stage)
{
    node.state = NodeAnswer::State::coming;
    node.cutter = {};
    node.incoming.reset();
    node.own.reset();
    auto asked = question(node, stage);
    if (node.member->self)
        co_await open_here(node, std::move(asked));
    else
        co_await open_there(node, asked);
    // What is followed says it within.
    const auto lost = stage == Stage::past ? lost_in_head(node) : std::nullopt;
    if (lost) node.lines.push_front({.json = *lost, .time = 0, .cursor = {}, .arrived = now()});
    touch();
}

Task<> Many::open_here(NodeAnswer& node, Request question)
{
    auto query = own_query(question, core_->context());
    auto response = co_await answer(core_, question, std::move(query), Style::own);
    if (response.status == 200)
        node.own = std::move(response);
    else
        fail_node(node, sentence_of(response.body));
}

Task<> Many::open_there(NodeAnswer& node, const Request& question)
{
    auto asked = forwarded(question, question.path + query_text(question.query));
    asked.timeout = patience();
    auto answer = co_await core_->outside.elsewhere.open(node.member->address, std::move(asked));
    if (!answer) co_return fail_node(node, answer.error().message);
    const auto refused = refusal_of(node.member->address, **answer);
    if (!refused.empty()) co_return fail_node(node, refused);
    if ((*answer)->head().status != 200)
        co_return fail_node(node,
                            fmt::format("cannot read its log: it answered {}", (*answer)->head().status));
    node.incoming = std::move(*answer);
}

void Many::fail_node(NodeAnswer& node, std::string reason)
{
    ++core_->counters.unreached;
    node.state = NodeAnswer::State::failed;
    node.reason = std::move(reason);
    touch();
}

Task<std::optional<Response>> Many::begin()
{
    if (!resumed_) {
        const auto since = core_->services.clock.now().time_since_epoch();
        begun_at_ = std::chrono::duration_cast<std::chrono::microseconds>(since).count();
    }
    std::vector<Task<>> opening;
    opening.reserve(nodes_.size());
    for (const auto& node : nodes_)
        opening.push_back(open(*node, first_stage()));
    co_await all_of(std::span{opening});
    const auto failed = [](const auto& node) { return node->state == NodeAnswer::State::failed; };
    if (!std::ranges::all_of(nodes_, failed)) co_return std::nullopt;
    std::string all;
    for (const auto& node : nodes_)
        all += fmt::format("{}{}: {}", all.empty() ? "" : "; ", node->member->address, node->reason);
    co_return Response::problem(502, "cannot read the logs of any of the nodes: " + all);
}

Response Many::response()
{
    const auto type = content_type(query_.format);
    auto response =
        Response::stream(std::string{type}, [many = shared_from_this()](http::StreamWriter& client) {
            return many->run(client);
        });
    std::vector<std::string_view> missing;
    std::uint64_t lost = 0;
    bool some_lost = false;
    for (const auto& node : nodes_) {
        if (node->state == NodeAnswer::State::failed) missing.push_back(node->member->address);
        const auto count = lost_header(*node);
        some_lost = some_lost || !count.empty();
        lost += number_in(count).value_or(0);
    }
    response.with("Cache-Control", "no-store");
    if (some_lost) response.with("X-Journal-Lost", lost == 0 ? "unknown" : std::to_string(lost));
    if (!incomplete_.empty()) missing.emplace_back("others");
    if (!missing.empty()) response.with("X-Opsd-Missing", fmt::format("{}", fmt::join(missing, ", ")));
    return response;
}

namespace {

/// The client's place: its name and text, "" without one.
std::pair<std::string_view, std::string_view> place_in(const Request& request)
{
    const auto last = request.headers.get("last-event-id");
    if (!last.empty()) return {"Last-Event-ID", last};
    return {"cursor", request.query.get("cursor")};
}

/// Where the client goes on; without a time everything begins anew.
struct GoingOn {
    Places places;
    std::optional<std::int64_t> newest;  ///< the time of the newest of them
};

Result<GoingOn> going_on(const Core& core, const Request& request)
{
    const auto [name, text] = place_in(request);
    GoingOn from;
    if (text.empty()) return from;
    if (is_places(text)) {
        auto places = parse_places(name, text, static_cast<std::size_t>(core.options.nodes.most));
        if (!places) return fail(std::move(places).error());
        from.places = std::move(*places);
        from.newest = newest_of(from.places);
        return from;
    }
    // Of an answer of one node, which it does not name: all go on from its time.
    const auto cursor = cursor_of(name, text);
    if (!cursor) return fail(cursor.error());
    from.newest = newest_of({{"", *cursor}});
    return from;
}

/// The question without the place, which no single journal knows.
Request without_place(const Request& request)
{
    Request bare;
    bare.path = request.path;
    for (const auto& [name, value] : request.query)
        if (name != "cursor") bare.query.add(name, value);
    for (const auto& [name, value] : request.headers)
        if (name != "last-event-id") bare.headers.add(name, value);
    return bare;
}

/// An id has a place of every node, and comes back in a request's head (http.limits.header, 16 KiB).
Result<> check_id(const std::vector<MemberPtr>& nodes)
{
    constexpr std::size_t longest_cursor = 140;
    constexpr std::size_t longest_id = 14U * 1024;
    std::size_t size = 1;
    std::size_t fit = 0;
    for (const auto& node : nodes) {
        size += node->address.size() + longest_cursor + 2;
        if (size <= longest_id) ++fit;
    }
    if (size <= longest_id) return {};
    return fail(Errc::invalid_argument,
                fmt::format("cannot follow {} nodes at once: the id by which a client comes again would not "
                            "fit into the head of a request; follow {} of them, or read them without follow",
                            nodes.size(), fit));
}

Result<> check(const Core& core, const LogQuery& query)
{
    if (query.format == Format::export_)
        return fail(Errc::invalid_argument,
                    "cannot give the export format of several nodes: ask each for its "
                    "own");
    const auto most = core.options.nodes.most_lines;
    const auto lines = query.range.skip < 0 ? -query.range.skip : 0;
    if (lines > most)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot give the newest {} lines of several nodes: {} at most "
                                "(logs.nodes.most_lines); use since",
                                lines, most));
    return {};
}

}  // namespace

bool goes_on_with_several(const Request& request) { return is_places(place_in(request).second); }

Task<Response> answer_of_many(std::shared_ptr<Core> core, const Request& request, ChosenNodes chosen)
{
    tell_audit(request);
    const auto from = going_on(*core, request);
    if (!from) co_return refusal(from.error(), Style::own);
    auto query = own_query(without_place(request), core->context());
    if (!query) co_return refusal(query.error(), Style::own);
    // After a place lines= are the next ones; a client that comes again wants all it missed.
    std::optional<std::uint64_t> first;
    if (request.query.has("lines") && query->range.skip < 0 && request.headers.get("last-event-id").empty())
        first = static_cast<std::uint64_t>(-query->range.skip);
    auto good = check(*core, *query);
    if (good && query->follow) good = check_id(chosen.nodes);
    if (!good) co_return refusal(good.error(), Style::own);
    auto slot = core->streams.take();
    if (!slot) co_return refusal(slot.error(), Style::own);
    auto many = std::make_shared<Many>(core, std::move(*slot), request, std::move(*query));
    for (auto& member : chosen.nodes) {
        const auto known = from->places.find(member->address);
        many->add(std::move(member),
                  known == from->places.end() ? std::nullopt : std::optional{known->second});
    }
    many->incomplete(std::move(chosen.incomplete));
    if (from->newest) many->resume(*from->newest, first);
    auto refused = co_await many->begin();
    if (refused) co_return std::move(*refused);
    co_return many->response();
}

}  // namespace opsd::logs
