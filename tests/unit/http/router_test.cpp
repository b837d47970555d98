#include "http/router.hpp"

#include "support.hpp"

#include <nlohmann/json.hpp>

using namespace opsd;
using http::Access;
using http::Method;

namespace {

Task<http::Response> nothing(const http::Request&) { co_return http::Response::no_content(); }

http::Route row(Method method, std::string pattern)
{
    return {method, std::move(pattern), Access::read, "Something", nothing};
}

std::string refusal(std::vector<http::Route> routes)
{
    auto built = http::Router::build(std::move(routes));
    return built ? "accepted" : built.error().message;
}

std::string found(const http::Router& router, Method method, std::string_view path)
{
    const auto match = router.find(method, path);
    if (match.route == nullptr) return match.allow.empty() ? "404" : "405 " + match.allow;
    auto text = match.route->pattern;
    for (const auto& [name, value] : match.params)
        text += " " + name + "=" + value;
    return text;
}

}  // namespace

TEST(Router, AReplacingRouteStandsInForTheEarlierOne)
{
    auto node = row(Method::get, "/api/v1/things/{thing}");
    auto cluster = row(Method::get, "/api/v1/things/{name}");
    cluster.summary = "Of the whole cluster";
    cluster.replaces = true;
    EXPECT_EQ(refusal({cluster, node}),
              "cannot add the route GET /api/v1/things/{name}: it replaces a route that is not there");
    const auto built = http::Router::build({node, row(Method::post, "/api/v1/things/{thing}"), cluster});
    ASSERT_TRUE(built) << built.error().message;
    ASSERT_EQ((*built)->routes().size(), 2U);
    EXPECT_EQ(found(**built, Method::get, "/api/v1/things/x"), "/api/v1/things/{name} name=x");
    EXPECT_EQ((*built)->find(Method::get, "/api/v1/things/x").route->summary, "Of the whole cluster");
}

TEST(Router, RefusesWhatCannotBeServed)
{
    EXPECT_EQ(refusal({row(Method::get, "/a/{x}"), row(Method::get, "/a/{y}/")}),
              "cannot add the route GET /a/{y}/: /a/{x} is there already");
    EXPECT_EQ(refusal({row(Method::get, "a")}), "cannot add the route GET a: the path must begin with \"/\"");
    EXPECT_EQ(refusal({row(Method::get, "/a//b")}),
              "cannot add the route GET /a//b: the path has an empty segment");
    EXPECT_EQ(
        refusal({row(Method::get, "/a/x{b}")}),
        "cannot add the route GET /a/x{b}: \"x{b}\" must be one whole segment like {unit}, or several like "
        "{file...}");
    EXPECT_EQ(refusal({row(Method::get, "/{a}/{a}")}),
              "cannot add the route GET /{a}/{a}: its path has {a} twice");
    EXPECT_EQ(refusal({row(Method::head, "/a")}),
              "cannot add the route HEAD /a: a GET row answers HEAD as well");
    auto unhandled = row(Method::get, "/a");
    unhandled.handler = nullptr;
    EXPECT_EQ(refusal({unhandled}), "cannot add the route GET /a: it has no handler");
    auto silent = row(Method::get, "/a");
    silent.summary.clear();
    EXPECT_EQ(refusal({silent}), "cannot add the route GET /a: it has no summary");
    auto wrong = row(Method::get, "/a/{b}");
    wrong.parameters = {{"c", "path", "Help"}};
    EXPECT_EQ(refusal({wrong}), "cannot add the route GET /a/{b}: its path has no {c}");
    wrong.parameters = {{"c", "header", "Help"}};
    EXPECT_EQ(refusal({wrong}),
              "cannot add the route GET /a/{b}: its parameter \"c\" must be in \"path\" or \"query\"");
}

TEST(Router, PrefersLiteralsAndFallsBack)
{
    const auto router =
        http::Router::build({row(Method::get, "/units/{unit}"), row(Method::get, "/units/all"),
                             row(Method::get, "/units/all/one"), row(Method::get, "/units/{unit}/history"),
                             row(Method::post, "/units/all"), row(Method::get, "/")})
            .value();
    EXPECT_EQ(found(*router, Method::get, "/units/all"), "/units/all");
    EXPECT_EQ(found(*router, Method::get, "/units/all/"), "/units/all");
    EXPECT_EQ(found(*router, Method::get, "/units/ssh.service"), "/units/{unit} unit=ssh.service");
    EXPECT_EQ(found(*router, Method::get, "/units/all/history"), "/units/{unit}/history unit=all")
        << "a literal that leads nowhere";
    EXPECT_EQ(found(*router, Method::head, "/units/all/one"), "/units/all/one");
    EXPECT_EQ(found(*router, Method::get, "/"), "/");
    EXPECT_EQ(found(*router, Method::get, "/units"), "404");
    EXPECT_EQ(found(*router, Method::get, "/units/a/b/c"), "404");
    EXPECT_EQ(found(*router, Method::put, "/units/all"), "405 GET, HEAD, POST, OPTIONS");
    EXPECT_EQ(found(*router, Method::post, "/units/x"), "405 GET, HEAD, OPTIONS");
}

TEST(Router, AParameterOfSeveralSegmentsTakesWhatIsLeft)
{
    const auto router =
        http::Router::build({row(Method::get, "/runs/{run}/{file...}"),
                             row(Method::get, "/runs/{run}/{file...}/download"),
                             row(Method::get, "/runs/{run}/files/browse"),
                             row(Method::get, "/runs/{run}/tasks/{task}/{file...}"),
                             row(Method::post, "/runs/{run}/{one}"), row(Method::get, "/runs/all")})
            .value();
    const auto get = [&](std::string_view path) { return found(*router, Method::get, path); };
    EXPECT_EQ(get("/runs/7/stdout"), "/runs/{run}/{file...} run=7 file=stdout");
    EXPECT_EQ(get("/runs/7/logs/a/b.txt"), "/runs/{run}/{file...} run=7 file=logs/a/b.txt");
    EXPECT_EQ(get("/runs/7/stdout/download"), "/runs/{run}/{file...}/download run=7 file=stdout");
    EXPECT_EQ(get("/runs/7/a/b/download"), "/runs/{run}/{file...}/download run=7 file=a/b");
    EXPECT_EQ(get("/runs/7/download/download"), "/runs/{run}/{file...}/download run=7 file=download");
    EXPECT_EQ(get("/runs/7/download"), "/runs/{run}/{file...} run=7 file=download")
        << "it takes one segment at least";
    EXPECT_EQ(get("/runs/7/download/x"), "/runs/{run}/{file...} run=7 file=download/x");
    EXPECT_EQ(get("/runs/7/files/browse"), "/runs/{run}/files/browse run=7") << "plain segments win";
    EXPECT_EQ(get("/runs/7/files/other"), "/runs/{run}/{file...} run=7 file=files/other");
    EXPECT_EQ(get("/runs/7/tasks/t/a/b"), "/runs/{run}/tasks/{task}/{file...} run=7 task=t file=a/b");
    EXPECT_EQ(get("/runs/7/tasks/t"), "/runs/{run}/{file...} run=7 file=tasks/t");
    EXPECT_EQ(get("/runs/7"), "404");
    EXPECT_EQ(get("/runs/all"), "/runs/all");
    EXPECT_EQ(found(*router, Method::post, "/runs/7/x"), "/runs/{run}/{one} run=7 one=x");
    EXPECT_EQ(found(*router, Method::post, "/runs/7/x/y"), "405 GET, HEAD, OPTIONS");
    EXPECT_EQ(refusal({row(Method::get, "/a/{x...}"), row(Method::get, "/a/{y...}")}),
              "cannot add the route GET /a/{y...}: /a/{x...} is there already");
    EXPECT_EQ(refusal({row(Method::get, "/a/{x...}/b/{y}")}),
              "cannot add the route GET /a/{x...}/b/{y}: after a parameter of several segments only plain "
              "segments may follow");
    EXPECT_EQ(
        refusal({row(Method::get, "/a/{...}")}),
        "cannot add the route GET /a/{...}: \"{...}\" must be one whole segment like {unit}, or several "
        "like {file...}");
}

TEST(Router, DescribesItselfAsOpenApi)
{
    auto unit = row(Method::get, "/api/v1/units/{unit}/");
    unit.parameters = {{"unit", "path", "Its name"}, {"since", "query", "From when", "string"}};
    auto act = row(Method::post, "/api/v1/units/{unit}");
    act.access = Access::operate;
    act.audited = true;
    auto open = row(Method::get, "/-/healthy");
    open.access = Access::open;
    auto file = row(Method::get, "/api/v1/files/{file...}/download");
    const auto router = http::Router::build({unit, act, open, file}).value();
    const auto document = nlohmann::json::parse(router->openapi("1.2.3"));
    EXPECT_EQ(document["openapi"], "3.1.0");
    EXPECT_EQ(document["info"]["version"], "1.2.3");
    const auto& get = document["paths"]["/api/v1/units/{unit}"]["get"];
    EXPECT_EQ(get["x-opsd-access"], "read");
    EXPECT_EQ(get["parameters"].size(), 2U);
    EXPECT_EQ(get["parameters"][0]["required"], true);
    EXPECT_TRUE(get["responses"].contains("404"));
    const auto& post = document["paths"]["/api/v1/units/{unit}"]["post"];
    EXPECT_EQ(post["x-opsd-audited"], true);
    EXPECT_EQ(post["parameters"][0]["name"], "unit")
        << "path parameters are listed even when nobody described them";
    EXPECT_EQ(document["paths"]["/api/v1/files/{file}/download"]["get"]["parameters"][0]["name"], "file");
    EXPECT_TRUE(document["paths"]["/-/healthy"]["get"]["security"].empty());
    for (const auto& scheme : post["security"])
        EXPECT_TRUE(document["components"]["securitySchemes"].contains(scheme.begin().key()));
}

TEST(Router, DescribesItselfAsAPage)
{
    auto unit = row(Method::get, "/api/v1/units/{unit}");
    unit.summary = "One | unit";
    unit.parameters = {{"since", "query", "From when"}};
    const auto page = http::Router::build({unit, row(Method::get, "/metrics")}).value()->markdown();
    EXPECT_NE(page.find("\n## /api/v1\n"), std::string::npos) << page;
    EXPECT_NE(page.find("\n## /metrics\n"), std::string::npos);
    EXPECT_NE(page.find("| GET | `/api/v1/units/{unit}` | read | One \\| unit | `?since`: From when |\n"),
              std::string::npos)
        << page;
}
