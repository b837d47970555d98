// What is generated from the route table: the OpenAPI document and docs/api.md.

#include "http/router.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <map>

namespace opsd::http {
namespace {

using Json = nlohmann::ordered_json;

std::string lower(std::string_view text)
{
    std::string out{text};
    std::ranges::transform(out, out.begin(),
                           [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

/// A pattern as OpenAPI has it: no slash at the end, and no word for parameters of several segments.
std::string template_of(std::string pattern)
{
    if (pattern.size() > 1 && pattern.ends_with('/')) pattern.pop_back();
    const auto rest = pattern.find("...}");
    return rest == std::string::npos ? pattern : pattern.erase(rest, 3);
}

bool is_version(std::string_view segment)
{
    return segment.size() > 1 && segment.front() == 'v'
           && std::ranges::all_of(segment.substr(1), [](unsigned char c) { return std::isdigit(c) != 0; });
}

/// "/system/health/v1/units/{unit}" -> "/system/health/v1": up to the version, else the first segment.
std::string prefix_of(std::string_view pattern)
{
    const auto first = pattern.find('/', 1);
    for (auto slash = first; slash != std::string_view::npos;) {
        const auto next = pattern.find('/', slash + 1);
        const auto end = next == std::string_view::npos ? pattern.size() : next;
        if (is_version(pattern.substr(slash + 1, end - slash - 1)))
            return std::string{pattern.substr(0, end)};
        slash = next;
    }
    return std::string{pattern.substr(0, first)};
}

Json problem_answer(std::string_view text)
{
    Json answer;
    answer["description"] = text;
    answer["content"]["application/problem+json"]["schema"]["$ref"] = "#/components/schemas/Problem";
    return answer;
}

Json security_of(Access access)
{
    Json any = Json::array();
    if (access == Access::open) return any;
    if (access == Access::local) any.push_back(Json::object());  // on loopback no credentials are needed
    for (const auto* scheme : {"bearer", "token", "certificate"})
        any.push_back({{scheme, Json::array()}});
    return any;
}

Json parameters_of(const Route& route)
{
    Json all = Json::array();
    for (const auto& parameter : route.parameters) {
        Json one;
        one["name"] = parameter.name;
        one["in"] = parameter.in;
        one["required"] = parameter.in == "path";
        one["description"] = parameter.help;
        one["schema"]["type"] = parameter.type;
        all.push_back(std::move(one));
    }
    const auto pattern = template_of(route.pattern);
    // Undescribed path parameters must be listed all the same.
    for (auto open = pattern.find('{'); open != std::string_view::npos; open = pattern.find('{', open + 1)) {
        const auto name = pattern.substr(open + 1, pattern.find('}', open) - open - 1);
        const auto named = [&name](const Parameter& parameter) {
            return parameter.in == "path" && parameter.name == name;
        };
        if (std::ranges::any_of(route.parameters, named)) continue;
        all.push_back({{"name", name}, {"in", "path"}, {"required", true}, {"schema", {{"type", "string"}}}});
    }
    return all;
}

Json operation_of(const Route& route)
{
    Json operation;
    operation["summary"] = route.summary;
    operation["tags"] = {prefix_of(route.pattern)};
    operation["x-opsd-access"] = to_string(route.access);
    if (route.audited) operation["x-opsd-audited"] = true;
    operation["security"] = security_of(route.access);
    auto parameters = parameters_of(route);
    if (!parameters.empty()) operation["parameters"] = std::move(parameters);
    if (route.method == Method::post || route.method == Method::put) {
        operation["requestBody"]["content"]["application/json"]["schema"] = Json::object();
    }
    auto& responses = operation["responses"];
    responses["200"]["description"] = "Done";
    if (route.method == Method::get)
        responses["304"]["description"] = "Not changed since the ETag or date given";
    if (!parameters_of(route).empty()) responses["400"] = problem_answer("A parameter is wrong");
    if (route.access != Access::open) {
        responses["401"] = problem_answer("Credentials are missing or wrong");
        responses["403"] = problem_answer("The role is not enough: " + std::string{to_string(route.access)});
    }
    if (route.pattern.find('{') != std::string::npos) responses["404"] = problem_answer("No such thing");
    responses["default"] = problem_answer("Anything else that went wrong");
    return operation;
}

Json components()
{
    Json all;
    auto& schemes = all["securitySchemes"];
    schemes["bearer"] = {{"type", "http"}, {"scheme", "bearer"}, {"description", "opsd token or JWT"}};
    schemes["token"] = {{"type", "apiKey"},
                        {"in", "header"},
                        {"name", "Authorization"},
                        {"description", "DC/OS form: token=JWT"}};
    schemes["certificate"] = {{"type", "mutualTLS"}, {"description", "A client certificate"}};
    auto& problem = all["schemas"]["Problem"];
    problem["type"] = "object";
    problem["description"] = "RFC 9457";
    problem["properties"] = {{"type", {{"type", "string"}}},
                             {"title", {{"type", "string"}}},
                             {"status", {{"type", "integer"}}},
                             {"detail", {{"type", "string"}}}};
    return all;
}

std::string cell(std::string_view text)  // a bar would end the cell
{
    std::string out;
    for (const char c : text)
        out.append(c == '|' ? 1U : 0U, '\\').append(1, c == '\n' ? ' ' : c);
    return out;
}

std::string markdown_row(const Route& route)
{
    std::string parameters;
    for (const auto& parameter : route.parameters) {
        parameters += fmt::format("{}`{}{}`: {}", parameters.empty() ? "" : "<br>",
                                  parameter.in == "query" ? "?" : "", parameter.name, cell(parameter.help));
    }
    return fmt::format("| {} | `{}` | {}{} | {} | {} |\n", to_string(route.method), route.pattern,
                       to_string(route.access), route.audited ? ", audited" : "", cell(route.summary),
                       parameters);
}

}  // namespace

std::string Router::openapi(std::string_view version) const
{
    Json document;
    document["openapi"] = "3.1.0";
    document["info"] = {{"title", "opsd"}, {"version", version}};
    auto& paths = document["paths"] = Json::object();
    for (const auto& route : routes_) {
        paths[template_of(route.pattern)][lower(to_string(route.method))] = operation_of(route);
    }
    document["components"] = components();
    return document.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string Router::markdown() const
{
    std::map<std::string, std::vector<const Route*>> groups;
    for (const auto& route : routes_)
        groups[prefix_of(route.pattern)].push_back(&route);
    std::string page = "# HTTP API\n\nGenerated from the route table. A GET row also answers HEAD; OPTIONS "
                       "tells the methods of a "
                       "path.\nErrors are problem+json (RFC 9457). `?pretty` indents any JSON answer. "
                       "Access: `open` anybody, `local` "
                       "also without\ncredentials on loopback and the Unix socket, `read` role viewer, "
                       "`operate` role operator, "
                       "`admin` role admin.\n";
    for (auto& [prefix, routes] : groups) {
        std::ranges::sort(routes, {},
                          [](const Route* route) { return std::pair{route->pattern, route->method}; });
        page += fmt::format(
            "\n## {}\n\n| method | path | access | what | parameters |\n|---|---|---|---|---|\n", prefix);
        for (const auto* route : routes)
            page += markdown_row(*route);
    }
    return page;
}

}  // namespace opsd::http
