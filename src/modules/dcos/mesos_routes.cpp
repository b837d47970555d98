#include "modules/dcos/calls.hpp"
#include "modules/dcos/relay.hpp"
#include "modules/dcos/routes.hpp"

#include "io/mesos/files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace opsd::dcos {

using http::Access;
using http::Method;
using http::Parameter;
using http::Request;
using http::Response;
using std::chrono::steady_clock;

namespace {

using CorePtr = std::shared_ptr<Core>;

/// Hands a question to the leader and its answer back.
Task<Response> ask_leader(CorePtr core, mesos::PassedQuestion question, bool redact)
{
    const auto masters = core->mesos.masters();
    if (!masters) co_return Response::problem(masters.error());
    auto place = Core::take_place(core);
    if (!place) co_return Response::problem(place.error());
    ++core->counters.to_mesos;
    const auto& options = core->options.mesos;
    question.idle = options.idle_timeout;
    question.max_answer = static_cast<std::size_t>(options.max_answer.count);
    const bool for_caller = question.authorization && !question.authorization->empty();
    const auto asked = *masters;  // a reload may put others in force
    auto opened = co_await asked->pass(std::move(question), steady_clock::now() + options.timeout);
    if (!opened) co_return unanswered(*core, opened.error());
    RelayedAnswer answer{.incoming = std::move(*opened),
                         .place = std::move(*place),
                         .who = "the Mesos leader",
                         .redact = redact,
                         .for_caller = for_caller};
    auto response = co_await relay(std::move(core), std::move(answer));
    co_return response;
}

Task<Response> master_state(CorePtr core, const Request& request, const char* path)
{
    mesos::PassedQuestion question;
    question.path = path;
    question.headers.emplace_back("Accept", "application/json");
    question.authorization = core->shown_to_masters(request);
    return ask_leader(std::move(core), std::move(question), true);
}

/// A call of the operator API that only reads.
Task<Response> operator_call(CorePtr core, const Request& request)
{
    const auto form = call_form(request.headers.get("content-type"));
    if (!form)
        co_return Response::problem(415, "cannot hand the call on to Mesos: its Content-Type must be "
                                         "application/json or application/x-protobuf");
    const auto call = reading_call(*form, request.body);
    if (!call) {
        if (call.error().code == Errc::denied) ++core->counters.forbidden;
        co_return Response::problem(call.error());
    }
    constexpr std::string_view protobuf = "application/x-protobuf";
    constexpr std::string_view json = "application/json";
    const auto accept = request.headers.get("accept");
    mesos::PassedQuestion question;
    question.method = "POST";
    question.path = "/master/api/v1";
    question.headers.emplace_back("Content-Type", *form == CallForm::json ? json : protobuf);
    question.headers.emplace_back("Accept", accept.contains(protobuf) ? protobuf : json);
    question.body = request.body;
    question.authorization = core->shown_to_masters(request);
    auto response = co_await ask_leader(std::move(core), std::move(question), false);
    co_return response;
}

/// "?path=...&offset=..." of what an agent's files API knows.
std::string query_of(const Request& request)
{
    std::string query;
    for (const auto* name : {"path", "offset", "length"}) {
        const auto* value = request.query.find(name);
        if (value == nullptr) continue;
        query += fmt::format("{}{}={}", query.empty() ? '?' : '&', name, mesos::encoded(*value, "/"));
    }
    return query;
}

/// As the DC/OS gateway takes them; nothing else gets into a sentence or a look-up.
bool is_agent_id(std::string_view id)
{
    constexpr std::string_view fits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";
    return !id.empty() && id.size() <= 255 && id.find_first_not_of(fits) == std::string_view::npos;
}

/// What an agent is shown: only one that a trusted master named is shown anything.
Task<Result<std::string>> shown_to_agent(const Core& core, const Request& request, bool trusted)
{
    const auto given = core.shown_to_masters(request);
    if (!trusted) co_return std::string{};
    if (given) co_return *given;
    const auto masters = core.mesos.masters();
    if (!masters) co_return fail(masters.error());
    const auto asked = *masters;
    auto header = co_await asked->authorization();
    co_return header;
}

Response no_agent(Core& core, const Error& error)
{
    if (error.code == Errc::not_found) return Response::text(error.message + "\n", 404);
    return unanswered(core, error);
}

Task<Response> agent_files(CorePtr core, const Request& request, const char* verb)
{
    std::string id{request.path_params.get("agent")};
    if (!is_agent_id(id))
        co_return Response::problem(400, "cannot look for the agent: its id has letters, digits and - only");
    if (!core->services.board.log_access.tasks(request.caller)) {
        co_return Response::problem(Error{
            Errc::denied, "cannot read the files of tasks: your role may read some units only (logs.allow)"});
    }
    if (!core->mesos.configured()) co_return Response::problem(core->mesos.masters().error());
    auto slot = Core::take_place(core);
    if (!slot) co_return Response::problem(slot.error());
    auto agent = co_await core->mesos.agent(std::move(id));
    if (!agent) co_return no_agent(*core, agent.error());
    auto shown = co_await shown_to_agent(*core, request, agent->trusted);
    if (!shown) co_return unanswered(*core, shown.error());
    ++core->counters.to_agents;
    const auto& options = core->options.mesos;
    net::ClientRequest question;
    question.url = fmt::format("{}/files/{}{}", agent->url, verb, query_of(request));
    question.timeout = options.timeout;
    question.max_body = static_cast<std::size_t>(options.max_answer.count);
    question.headers.emplace_back("Accept", "*/*");
    const bool for_caller = options.authorization == "caller" && !shown->empty();
    if (!shown->empty()) question.headers.emplace_back("Authorization", std::move(*shown));
    const auto client = core->mesos.agent_client();
    auto opened = co_await client->open(std::move(question), options.idle_timeout);
    if (!opened)
        co_return unanswered(*core, std::move(opened).error().wrap("cannot ask the Mesos agent for a file"));
    RelayedAnswer answer{.incoming = std::move(*opened),
                         .place = std::move(*slot),
                         .who = "the Mesos agent",
                         .for_caller = for_caller};
    auto response = co_await relay(std::move(core), std::move(answer));
    co_return response;
}

std::vector<Parameter> file_parameters(std::string_view verb)
{
    std::vector<Parameter> all{{"agent", "path", "Mesos id of the agent", "string"}};
    if (verb == "debug") return all;
    all.push_back({"path", "query", "Path of the file or folder, as /files/debug lists it", "string"});
    if (verb != "read") return all;
    all.push_back({"offset", "query", "First byte; -1 asks for the size", "integer"});
    all.push_back({"length", "query", "Bytes at most", "integer"});
    return all;
}

struct Verb {
    const char* name;
    const char* summary;
    bool audited;  ///< who reads what a task wrote
};
constexpr Verb verbs[] = {
    {"debug", "The files that the agent's Mesos has attached, from it", false},
    {"browse", "A folder on the agent, from its Mesos", true},
    {"read", "A part of a file on the agent, from its Mesos", true},
    {"download", "A whole file on the agent, from its Mesos", true},
};

}  // namespace

std::vector<http::Route> mesos_routes(const std::shared_ptr<Core>& core)
{
    std::vector<http::Route> routes;
    const auto add = [&](const char* pattern, const char* path, std::string summary) {
        const auto handler = [core, path](const Request& request) {
            return master_state(core, request, path);
        };
        routes.push_back({Method::get, pattern, Access::read, std::move(summary), handler, {}, false});
    };
    add("/mesos/master/state", "/master/state", "The state of Mesos, from its leader, without passwords");
    add("/mesos/state-summary", "/master/state-summary", "A summary of it, from the leader");
    add("/mesos/master/state-summary", "/master/state-summary", "The same");
    const auto call = [core](const Request& request) { return operator_call(core, request); };
    routes.push_back(
        {Method::post,
         "/mesos/api/v1",
         Access::read,
         "A call of the Mesos operator API that only reads, such as GET_AGENTS (JSON or protobuf); "
         "others are refused",
         call,
         {},
         true});
    for (const std::string prefix : {"/agent/{agent}/files/", "/slave/{agent}/files/"}) {
        for (const auto& verb : verbs) {
            const auto handler = [core, name = verb.name](const Request& request) {
                return agent_files(core, request, name);
            };
            routes.push_back({Method::get, prefix + verb.name, Access::read, verb.summary, handler,
                              file_parameters(verb.name), verb.audited});
        }
    }
    return routes;
}

}  // namespace opsd::dcos
