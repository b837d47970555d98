#include "modules/dcos/routes.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace opsd::dcos {

using http::Access;
using http::Method;
using http::Parameter;
using http::Request;
using http::Response;
using json = nlohmann::ordered_json;

namespace {

/// What the clients of a route look for in its body.
enum class Shape {
    problem,      ///< they show the status only
    old_bundles,  ///< {"response_http_code", "version", "status", "errors"}
    bundles,      ///< {"code", "error"}
    backup,       ///< {"errors": [...]}
};

json body_of(Shape shape, const std::string& sentence)
{
    switch (shape) {
    case Shape::old_bundles:
        return {{"response_http_code", 501}, {"version", 1}, {"status", sentence}, {"errors", nullptr}};
    case Shape::bundles:
        return {{"code", 501}, {"error", sentence}};
    case Shape::backup:
        return {{"errors", json::array({sentence})}};
    case Shape::problem:
        break;
    }
    return {};
}

Task<Response> absent(Shape shape, std::string sentence)
{
    if (shape == Shape::problem) co_return Response::problem(501, sentence);
    co_return Response::json(body_of(shape, sentence).dump() + "\n", 501);
}

struct Family {
    Shape shape;
    const char* sentence;
    const char* summary;
};
constexpr Family node_metrics{Shape::problem,
                              "cannot give metrics of a node: opsd does not have them yet; its own are at "
                              "/metrics",
                              "501: metrics of nodes are not there yet"};
constexpr Family task_metrics{Shape::problem, "cannot give metrics of a task: opsd does not have them yet",
                              "501: metrics of tasks are not there yet"};
constexpr Family old_bundles{Shape::old_bundles,
                             "cannot make or list diagnostics bundles: opsd does not have them yet",
                             "501: diagnostics bundles are not there yet"};
constexpr Family bundles{Shape::bundles,
                         "cannot make or list diagnostics bundles: opsd does not have them yet",
                         "501: diagnostics bundles are not there yet"};
constexpr Family backups{Shape::backup, "cannot make, list or restore backups: opsd does not have them yet",
                         "501: backups are not there yet"};

const char* help_of(std::string_view parameter)
{
    if (parameter == "agent") return "Mesos id of the agent";
    if (parameter == "container") return "Id of the container";
    return parameter == "file" ? "Name of the bundle's file" : "Id of the bundle";
}

http::Route row(Method method, std::string pattern, const Family& family)
{
    std::vector<Parameter> parameters;
    for (auto at = pattern.find('{'); at != std::string::npos; at = pattern.find('{', at + 1)) {
        auto name = pattern.substr(at + 1, pattern.find('}', at) - at - 1);
        const auto* help = help_of(name);
        parameters.push_back({std::move(name), "path", help, "string"});
    }
    const auto handler = [&family](const Request&) { return absent(family.shape, family.sentence); };
    return {method, std::move(pattern), Access::read, family.summary, handler, std::move(parameters), false};
}

}  // namespace

std::vector<http::Route> absent_routes()
{
    const std::string metrics = "/system/v1/agent/{agent}/metrics/v0";
    const std::string old = "/system/health/v1/report/diagnostics";
    const std::string now = "/system/health/v1/diagnostics";
    const std::string backup = "/system/v1/backup/v1";
    return {
        row(Method::get, metrics + "/node", node_metrics),
        row(Method::get, metrics + "/containers/{container}", task_metrics),
        row(Method::get, metrics + "/containers/{container}/app", task_metrics),
        row(Method::get, old + "/list", old_bundles),
        row(Method::get, old + "/list/all", old_bundles),
        row(Method::get, old + "/status", old_bundles),
        row(Method::get, old + "/status/all", old_bundles),
        row(Method::post, old + "/create", old_bundles),
        row(Method::post, old + "/cancel", old_bundles),
        row(Method::post, old + "/delete/{file}", old_bundles),
        row(Method::get, old + "/serve/{file}", old_bundles),
        row(Method::get, now, bundles),
        row(Method::get, now + "/{id}", bundles),
        row(Method::put, now + "/{id}", bundles),
        row(Method::del, now + "/{id}", bundles),
        row(Method::get, now + "/{id}/file", bundles),
        row(Method::post, backup + "/create", backups),
        row(Method::post, backup + "/restore", backups),
        row(Method::del, backup + "/delete", backups),
        row(Method::get, backup + "/list", backups),
    };
}

}  // namespace opsd::dcos
