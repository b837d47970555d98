#include "http/router.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace opsd::http {
namespace {

constexpr std::size_t method_count = 6;

std::size_t index_of(Method method) noexcept { return static_cast<std::size_t>(method); }

/// The segments of a path or pattern; slashes at both ends do not count.
std::vector<std::string_view> split(std::string_view path)
{
    std::vector<std::string_view> segments;
    segments.reserve(8);
    if (path.starts_with('/')) path.remove_prefix(1);
    if (path.ends_with('/')) path.remove_suffix(1);
    while (!path.empty()) {
        const auto slash = path.find('/');
        segments.push_back(path.substr(0, slash));
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    return segments;
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

/// "{file...}": one segment or more.
bool is_rest(std::string_view segment) { return is_parameter(segment) && segment.ends_with("...}"); }

std::string_view name_of(std::string_view segment)
{
    return segment.substr(1, segment.size() - (is_rest(segment) ? 5 : 2));
}

bool is_name(std::string_view name)
{
    const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
    return !name.empty() && std::ranges::all_of(name, fits) && (name.front() < '0' || name.front() > '9');
}

std::unexpected<Error> refused(const Route& route, std::string_view why)
{
    return fail(Errc::invalid_argument,
                fmt::format("cannot add the route {} {}: {}", to_string(route.method), route.pattern, why));
}

Result<> check_parameters(const Route& route, const std::set<std::string_view>& in_pattern)
{
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const auto& parameter : route.parameters) {
        if (parameter.in != "path" && parameter.in != "query") {
            return refused(
                route, fmt::format("its parameter \"{}\" must be in \"path\" or \"query\"", parameter.name));
        }
        if (parameter.name.empty() || parameter.help.empty())
            return refused(route, "a parameter lacks its name or help");
        if (parameter.in == "path" && !in_pattern.contains(parameter.name)) {
            return refused(route, fmt::format("its path has no {{{}}}", parameter.name));
        }
        if (!seen.emplace(parameter.in, parameter.name).second) {
            return refused(route, fmt::format("its parameter \"{}\" is declared twice", parameter.name));
        }
    }
    return {};
}

Result<> check(const Route& route)
{
    if (!route.pattern.starts_with('/')) return refused(route, "the path must begin with \"/\"");
    if (!route.handler) return refused(route, "it has no handler");
    if (route.summary.empty()) return refused(route, "it has no summary");
    if (route.method == Method::head) return refused(route, "a GET row answers HEAD as well");
    std::set<std::string_view> names;
    bool after_rest = false;
    for (const auto segment : split(route.pattern)) {
        if (segment.empty()) return refused(route, "the path has an empty segment");
        if (segment.find_first_of("{}") == std::string_view::npos) continue;
        if (after_rest)
            return refused(route, "after a parameter of several segments only plain segments may follow");
        after_rest = is_rest(segment);
        if (!is_parameter(segment) || !is_name(name_of(segment))) {
            return refused(route, fmt::format("\"{}\" must be one whole segment like {{unit}}, or several "
                                              "like {{file...}}",
                                              segment));
        }
        if (!names.insert(name_of(segment)).second) {
            return refused(route, fmt::format("its path has {} twice", segment));
        }
    }
    return check_parameters(route, names);
}

/// The method and shape of a route: "get /a/{}/b".
std::string shape_of(const Route& route)
{
    std::string shape{to_string(route.method)};
    for (const auto segment : split(route.pattern)) {
        shape += '/';
        shape += is_rest(segment)        ? std::string_view{"{...}"}
                 : is_parameter(segment) ? std::string_view{"{}"}
                                         : segment;
    }
    return shape;
}

/// A replacing row takes the place of the earlier one, which is gone from the table and its documents.
Result<std::vector<Route>> without_replaced(std::vector<Route> routes)
{
    std::map<std::string, std::size_t> standing;
    std::vector<Route> kept;
    for (auto& route : routes) {
        const auto known = standing.find(shape_of(route));
        if (!route.replaces) {
            standing.emplace(shape_of(route), kept.size());
            kept.push_back(std::move(route));
            continue;
        }
        if (known == standing.end()) return refused(route, "it replaces a route that is not there");
        kept[known->second] = std::move(route);
    }
    return kept;
}

}  // namespace

struct Router::Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;
    std::unique_ptr<Node> rest;  ///< takes one segment or more
    std::array<const Route*, method_count> routes{};

    /// The methods of these nodes; "" of none.
    static std::string allow(const std::vector<const Node*>& nodes)
    {
        std::string all;
        for (std::size_t i = 0; i < method_count && !nodes.empty(); ++i) {
            const auto method = static_cast<Method>(i);
            const auto row = index_of(method == Method::head ? Method::get : method);
            const bool there =
                method == Method::options || std::ranges::any_of(nodes, [row](const Node* node) {
                    return node->routes[row] != nullptr;
                });
            if (there) all.append(all.empty() ? "" : ", ").append(to_string(method));
        }
        return all;
    }

    using Segments = std::vector<std::string_view>;
    [[nodiscard]] std::unique_ptr<Node>& child(std::string_view segment)
    {
        if (is_rest(segment)) return rest;
        return is_parameter(segment) ? parameter : literals[std::string{segment}];
    }
    /// Every node that the path reaches: literals before parameters, these before those of several segments,
    /// and of these the ones behind which the pattern goes on first.
    void reach(const Segments& path, std::size_t depth, std::vector<const Node*>& found) const
    {
        if (depth == path.size()) {
            if (std::ranges::any_of(routes, [](const Route* route) { return route != nullptr; }))
                found.push_back(this);
            return;
        }
        const auto literal = literals.find(path[depth]);
        if (literal != literals.end()) literal->second->reach(path, depth + 1, found);
        if (parameter) parameter->reach(path, depth + 1, found);
        for (auto end = depth + 1; rest && end <= path.size(); ++end)
            rest->reach(path, end, found);
    }
};

Router::Router() : root_{std::make_unique<Node>()} {}
Router::~Router() = default;

Result<std::shared_ptr<const Router>> Router::build(std::vector<Route> routes)
{
    auto router = std::make_shared<Router>();
    auto standing = without_replaced(std::move(routes));
    if (!standing) return fail(std::move(standing).error());
    router->routes_ = std::move(*standing);
    for (const auto& route : router->routes_) {
        auto valid = check(route);
        if (!valid) return fail(std::move(valid).error());
        auto* node = router->root_.get();
        for (const auto segment : split(route.pattern)) {
            auto& next = node->child(segment);
            if (!next) next = std::make_unique<Node>();
            node = next.get();
        }
        auto& place = node->routes[index_of(route.method)];
        if (place != nullptr) return refused(route, fmt::format("{} is there already", place->pattern));
        place = &route;
    }
    return router;
}

Router::Match Router::find(Method method, std::string_view path) const
{
    const auto segments = split(path);
    std::vector<const Node*> nodes;
    root_->reach(segments, 0, nodes);
    Match match;
    for (const auto* node : nodes) {
        match.route = node->routes[index_of(method == Method::head ? Method::get : method)];
        if (match.route != nullptr) break;
    }
    if (match.route == nullptr || method == Method::options) match.allow = Node::allow(nodes);
    if (match.route == nullptr) return match;
    std::size_t at = 0;  // in the path
    const auto pattern = split(match.route->pattern);
    for (const auto part : pattern) {
        std::string value{segments[at++]};
        for (auto more = is_rest(part) ? segments.size() - pattern.size() : 0; more > 0; --more)
            value.append("/").append(segments[at++]);
        if (is_parameter(part)) match.params.add(std::string{name_of(part)}, std::move(value));
    }
    return match;
}

const std::vector<Route>& Router::routes() const noexcept { return routes_; }

}  // namespace opsd::http
