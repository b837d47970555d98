#include "modules/logs/routes.hpp"

#include "core/json_text.hpp"
#include "io/mesos/address.hpp"

#include "modules/logs/answer.hpp"
#include "modules/logs/caller.hpp"
#include "modules/logs/many.hpp"
#include "modules/logs/relay.hpp"
#include "modules/logs/task_service.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace opsd::logs {
namespace {

using http::Access;
using http::Method;
using http::Parameter;
using http::Request;
using http::Response;

constexpr std::size_t most_values = 10'000;  // of a field

Task<Response> v1_range(std::shared_ptr<Core> core, const Request& request)
{
    auto query = v1_query(request, false, false, core->context());
    co_return co_await answer(std::move(core), request, std::move(query), Style::v1);
}

Task<Response> v1_download(std::shared_ptr<Core> core, const Request& request)
{
    auto query = v1_query(request, false, true, core->context());
    co_return co_await answer(std::move(core), request, std::move(query), Style::v1);
}

Task<Response> v1_stream(std::shared_ptr<Core> core, const Request& request)
{
    auto query = v1_query(request, true, false, core->context());
    co_return co_await answer(std::move(core), request, std::move(query), Style::v1);
}

Task<Response> v2_component(std::shared_ptr<Core> core, const Request& request)
{
    auto query = v2_query(request, core->context());
    co_return co_await answer(std::move(core), request, std::move(query), Style::v2);
}

/// Of this node, of another one, or of several.
Task<Response> own_logs(std::shared_ptr<Core> core, const Request& request)
{
    const auto names = request.query.every("node");
    if (!names.empty()) {
        const auto cluster = core->services.board.cluster.get();
        auto chosen = choose_nodes(cluster ? &cluster->value : nullptr, names,
                                   static_cast<std::size_t>(core->options.nodes.most));
        if (!chosen) co_return refusal(chosen.error(), Style::own);
        auto first = chosen->nodes.front();
        // One node gives its own cursors; of a group, however many it has today, ids must fit tomorrow.
        const bool one = chosen->nodes.size() == 1 && !chosen->group && !goes_on_with_several(request);
        if (!one) co_return co_await answer_of_many(std::move(core), request, std::move(*chosen));
        if (!first->self) {
            tell_audit(request);
            auto target = "/api/v1/logs" + query_text(request.query, "node");
            co_return co_await pass_on(std::move(core), request, std::move(first), std::move(target));
        }
    }
    auto query = own_query(request, core->context());
    co_return co_await answer(std::move(core), request, std::move(query), Style::own);
}

std::string list_of(const std::vector<std::string>& values)
{
    std::string out;
    JsonText json{out};
    json.open('[');
    for (const auto& value : values)
        json.text(value);
    json.close(']');
    return out;
}

/// Which values a field has; of entries of all units, so not for a role that may read some only.
Task<Response> v1_fields(std::shared_ptr<Core> core, const Request& request)
{
    const auto field = request.path_params.get("field");
    const auto& listed = core->options.fields;
    const auto is_listed = [field](const std::string& name) { return name == "*" || name == field; };
    if (std::ranges::none_of(listed, is_listed)) {
        co_return refusal(
            Error{Errc::invalid_argument,
                  fmt::format("cannot list the values of {}: logs.fields does not have it", field)},
            Style::v1);
    }
    if (!is_field(field)) {
        co_return refusal(
            Error{Errc::invalid_argument,
                  fmt::format("cannot list the values of \"{}\": it is no name of a field, like "
                              "SYSLOG_IDENTIFIER",
                              mesos::printable(field))},
            Style::v1);
    }
    if (allowed_for(core->options, role_of(request))) {
        ++core->counters.forbidden;
        co_return refusal(Error{Errc::denied, "cannot list values: your role may read some units only "
                                              "(logs.allow)"},
                          Style::v1);
    }
    const auto slot = core->readings.take();
    if (!slot) co_return refusal(slot.error(), Style::v1);
    std::string name{field};
    auto values = co_await core->outside.values(std::move(name), most_values);
    core->note(values ? nullptr : &values.error());
    if (!values) co_return refusal(Error{Errc::unavailable, values.error().message}, Style::v1);
    if (values->empty()) co_return Response::no_content();
    // They may be megabytes: not on the loop.
    auto job = [values = std::move(*values)]() -> Result<std::string> { return list_of(values); };
    auto list = co_await core->packer.run(std::move(job));
    if (!list) co_return refusal(list.error(), Style::v1);
    co_return Response::json(std::move(*list));
}

using Answer = Task<Response> (*)(std::shared_ptr<Core>, const Request&);
using Parameters = std::vector<Parameter>;

/// A row for readers. Who reads which log is audited.
http::Route row(const std::shared_ptr<Core>& core, std::string pattern, std::string summary, Answer answer,
                Parameters parameters)
{
    auto handler = [core, answer](const Request& request) { return answer(core, request); };
    return {Method::get,        std::move(pattern),    Access::read, std::move(summary),
            std::move(handler), std::move(parameters), true};
}

Parameters joined(Parameters all, const Parameters& more)
{
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

const Parameters task_parameters{{"framework", "path", "FRAMEWORK_ID of the entries", "string"},
                                 {"executor", "path", "EXECUTOR_ID of the entries", "string"},
                                 {"container", "path", "CONTAINER_ID of the entries", "string"}};
const Parameter filter_parameter{
    "filter", "query", "FIELD:value; several: the same field is one of them, others are all of them",
    "string"};
const Parameter cursor_parameter{"cursor", "query", "Begin after this entry", "string"};
const Parameter max_entry_parameter{
    "max_entry", "query", "Shorten longer entries to so many bytes, logs.max_entry at most", "integer"};
const Parameters v1_stream_parameters{
    filter_parameter,
    cursor_parameter,
    {"skip_next", "query", "Entries to go forward", "integer"},
    {"skip_prev", "query", "Entries to go back; from the end without a cursor", "integer"},
    max_entry_parameter};
const Parameters v1_range_parameters =
    joined(v1_stream_parameters, {{"limit", "query", "Entries at most", "integer"},
                                  {"read_reverse", "query", "Newest first", "boolean"}});
const Parameters v1_download_parameters =
    joined(v1_range_parameters, {{"postfix", "query", "Part of the file's name", "string"}});
const Parameters v2_parameters{filter_parameter,
                               {"cursor", "query", "BEG, END, or begin after this entry", "string"},
                               {"skip", "query",
                                "Entries to leave out; negative: go back, from the end without "
                                "a cursor",
                                "integer"},
                               {"limit", "query", "Entries at most", "integer"},
                               max_entry_parameter};
const Parameters own_parameters{
    {"node", "query",
     "Of these nodes instead of this one, merged by time: addresses, names, Mesos ids, all, leader, masters "
     "or "
     "agents; several with commas",
     "string"},
    {"unit", "query", "Only this unit, with or without .service, or a pattern; several times: any of them",
     "string"},
    {"since", "query", "Not older: RFC 3339, -1h30m, @seconds, now", "string"},
    {"until", "query", "Not newer, in the same forms", "string"},
    {"priority", "query", "That and worse: 0 to 7 or emerg to debug; or a range like err..notice", "string"},
    {"grep", "query", "Only messages with this regular expression (RE2)", "string"},
    {"boot", "query", "Only this boot: 0 for the present one, or its id", "string"},
    filter_parameter,
    {"lines", "query",
     "The newest so many, or all; after a cursor the next so many. 100 by default, 10 with "
     "follow, all with since or a cursor",
     "string"},
    {"follow", "query", "Go on with what comes", "boolean"},
    {"format", "query", "json, ndjson, text, sse or export; else as the Accept header says", "string"},
    cursor_parameter,
    max_entry_parameter};

}  // namespace

std::vector<http::Route> routes_of(std::shared_ptr<Core> core)
{
    const std::string v1 = "/system/v1/logs/v1";
    const std::string v2 = "/system/v1/logs/v2";
    const std::string task = "/framework/{framework}/executor/{executor}/container/{container}";
    std::vector<http::Route> rows{
        row(core, v1 + "/range", "Entries of the journal, as dcos-log's v1 has them", v1_range,
            v1_range_parameters),
        row(core, v1 + "/range/download", "The same as a gzip file", v1_download, v1_download_parameters),
        row(core, v1 + "/range" + task, "Entries of a task", v1_range,
            joined(task_parameters, v1_range_parameters)),
        row(core, v1 + "/range" + task + "/download", "The same as a gzip file", v1_download,
            joined(task_parameters, v1_download_parameters)),
        row(core, v1 + "/stream", "Entries of the journal, and those to come", v1_stream,
            v1_stream_parameters),
        row(core, v1 + "/stream" + task, "Entries of a task, and those to come", v1_stream,
            joined(task_parameters, v1_stream_parameters)),
        row(core, v1 + "/fields/{field}", "The values of a field (logs.fields)", v1_fields,
            {{"field", "path", "Name of the field", "string"}}),
        row(core, v2 + "/component",
            "Entries of the journal, as dcos-log's v2 has them; with Accept: text/event-stream also those to "
            "come",
            v2_component, v2_parameters),
        row(core, v2 + "/component/{unit}", "The same of a unit", v2_component,
            joined({{"unit", "path", "Name of the unit, with its suffix", "string"}}, v2_parameters)),
    };
    std::ranges::move(task_service(core), std::back_inserter(rows));
    std::ranges::move(relay_routes(core, rows), std::back_inserter(rows));
    rows.push_back(row(core, "/api/v1/logs", "Entries of the journal of this node, or of others", own_logs,
                       own_parameters));
    return rows;
}

}  // namespace opsd::logs
