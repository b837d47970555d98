#include "http/auth_routes.hpp"

#include "support.hpp"
#include "temp_dir.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>

using namespace opsd;
using namespace opsd::http;
using nlohmann::json;
using opsd::test::run;
using opsd::test::TempDir;

namespace {

const WallTime routes_day = WallTime{std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}};

struct AuthNode {
    TempDir dir;
    ManualClock clock{routes_day};
    TokenStore store{dir / "auth.json", clock, ScryptCost{16, 1, 1}};
    DefaultAuthenticator authenticator{AuthMaterial{}, store, clock};
    std::vector<Route> routes = auth_routes(store, authenticator, clock);
    AuthNode() { EXPECT_TRUE(store.load()); }

    const Route& route(Method method, std::string_view pattern)
    {
        const auto at = std::ranges::find_if(
            routes, [&](const Route& r) { return r.method == method && r.pattern == pattern; });
        if (at == routes.end()) throw std::runtime_error{"no such route: " + std::string{pattern}};
        return *at;
    }
    Task<Response> call(Method method, std::string pattern, std::string body = {}, std::string parameter = {})
    {
        Request request;
        request.method = method;
        request.body = std::move(body);
        request.caller.address = "10.0.0.7";
        if (!parameter.empty()) {
            const auto open = pattern.find('{');
            request.path_params.add(pattern.substr(open + 1, pattern.find('}') - open - 1),
                                    std::move(parameter));
        }
        const auto& handler = route(method, pattern).handler;
        auto response = co_await handler(request);
        object.clear();
        for (const auto& [name, value] : request.object)
            object += (object.empty() ? "" : " ") + name + "=" + value;
        co_return response;
    }
    std::string object;  ///< what the last call said it acted on
};

std::string header(const Response& response, std::string_view name)
{
    const auto at =
        std::ranges::find(response.headers, name, [](const auto& h) { return std::string_view{h.first}; });
    return at == response.headers.end() ? "" : at->second;
}

}  // namespace

TEST(AuthRoutes, EverythingIsForAdminsAndAuditedButTheLogin)
{
    AuthNode f;
    for (const auto& route : f.routes) {
        const bool login = route.pattern == "/acs/api/v1/auth/login";
        EXPECT_EQ(route.access, login ? Access::open : Access::admin) << route.pattern;
        EXPECT_EQ(route.audited, route.method != Method::get) << route.pattern;
        EXPECT_FALSE(route.summary.empty());
    }
    EXPECT_EQ(f.routes.size(), 8U);
}

TEST(AuthRoutes, ATokensTextIsShownOnce)
{
    AuthNode f;
    run([&]() -> Task<> {
        const auto made = co_await f.call(Method::post, "/api/v1/tokens",
                                          R"({"name":"ci","role":"viewer","lifetime":"2d"})");
        EXPECT_EQ(made.status, 201U) << made.body;
        EXPECT_EQ(header(made, "Cache-Control"), "no-store");
        const auto token = json::parse(made.body);
        EXPECT_EQ(token["expires"], "2026-11-24T00:00:00.000Z");
        EXPECT_TRUE(f.store.check_token(token["token"].get<std::string>()));

        const auto listed = co_await f.call(Method::get, "/api/v1/tokens");
        EXPECT_EQ(listed.body.find("opsd_"), std::string::npos) << listed.body;
        EXPECT_EQ(listed.body.find("sha256"), std::string::npos);
        const auto all = json::parse(listed.body)["tokens"];
        EXPECT_EQ(all.at(0)["name"], "ci");
        EXPECT_EQ(all.at(0)["last_used"], "2026-11-22T00:00:00.000Z");

        const auto revoked =
            co_await f.call(Method::del, "/api/v1/tokens/{id}", "", token["id"].get<std::string>());
        EXPECT_EQ(revoked.status, 204U);
        const auto again =
            co_await f.call(Method::del, "/api/v1/tokens/{id}", "", token["id"].get<std::string>());
        EXPECT_EQ(again.status, 404U);
    });
}

TEST(AuthRoutes, MistakesInTheBodyAreNamed)
{
    AuthNode f;
    run([&]() -> Task<> {
        const std::pair<const char*, const char*> mistakes[]{
            {"", "must be a JSON object"},
            {"[]", "must be a JSON object"},
            {R"({"name":[[[[[[[[1]]]]]]]],"role":"viewer"})", "at most 8 deep"},
            {R"({"name":[[[[[[[1]]]]]]],"role":"viewer"})", "must be a text"},
            {R"({"name":"ci"})", "\\\"role\\\""},
            {R"({"name":"ci","role":"root"})", "\\\"role\\\""},
            {R"({"name":"ci","role":"viewer","expire":"1d"})", "\\\"expire\\\""},
            {R"({"name":7,"role":"viewer"})", "must be a text"},
            {R"({"name":"c i","role":"viewer"})", "name must be"},
            {R"({"name":"ci","role":"viewer","expires":"tomorrow"})", "tomorrow"},
            {R"({"name":"ci","role":"viewer","lifetime":"soon"})", "lifetime"},
            {R"({"name":"ci","role":"viewer","lifetime":"99999d"})", "36500d"},
            {R"({"name":"ci","role":"viewer","expires":"2030-01-01T00:00:00Z","lifetime":"1d"})", "give one"},
            {R"({"name":"ci","role":"viewer","expires":"2020-01-01T00:00:00Z"})", "expired already"},
        };
        for (const auto& [body, part] : mistakes) {
            const auto answer = co_await f.call(Method::post, "/api/v1/tokens", body);
            EXPECT_EQ(answer.status, 400U) << body;
            EXPECT_NE(answer.body.find(part), std::string::npos) << answer.body;
        }
    });
    EXPECT_TRUE(f.store.tokens().empty());
}

TEST(AuthRoutes, UsersComeLogInAndGo)
{
    AuthNode f;
    run([&]() -> Task<> {
        const auto added = co_await f.call(Method::post, "/api/v1/users",
                                           R"({"name":"bob","password":"password1","role":"operator"})");
        EXPECT_EQ(added.status, 201U) << added.body;
        EXPECT_EQ(added.body.find("password1"), std::string::npos);
        const auto twice = co_await f.call(Method::post, "/api/v1/users",
                                           R"({"name":"bob","password":"password1","role":"admin"})");
        EXPECT_EQ(twice.status, 400U);

        const auto login = co_await f.call(Method::post, "/acs/api/v1/auth/login",
                                           R"({"uid":"bob","password":"password1","x":[1]})");
        EXPECT_EQ(login.status, 200U) << login.body;
        const auto token = json::parse(login.body)["token"].get<std::string>();
        EXPECT_EQ(f.store.check_jwt(token, {})->role, Role::operator_);

        const auto changed = co_await f.call(Method::put, "/api/v1/users/{name}/password",
                                             R"({"password":"password2"})", "bob");
        EXPECT_EQ(changed.status, 204U) << changed.body;
        const auto weak =
            co_await f.call(Method::put, "/api/v1/users/{name}/password", R"({"password":"x"})", "bob");
        EXPECT_EQ(weak.status, 400U);

        const auto listed = co_await f.call(Method::get, "/api/v1/users");
        EXPECT_EQ(json::parse(listed.body)["users"].size(), 1U);
        EXPECT_EQ(listed.body.find("hash"), std::string::npos);

        const auto removed = co_await f.call(Method::del, "/api/v1/users/{name}", "", "bob");
        EXPECT_EQ(removed.status, 204U);
        const auto late = co_await f.call(Method::post, "/acs/api/v1/auth/login",
                                          R"({"uid":"bob","password":"password2"})");
        EXPECT_EQ(late.status, 401U);
    });
}

TEST(AuthRoutes, TheLoginTakesBothSpellingsOfTheNameAndFailsInWordsThatDcosClientsShow)
{
    AuthNode f;
    run([&]() -> Task<> {
        [[maybe_unused]] const auto added = co_await f.call(
            Method::post, "/api/v1/users", R"({"name":"bob","password":"password1","role":"viewer"})");
        for (const auto* body :
             {R"({"uid":"bob","password":"password1"})", R"({"username":"bob","password":"password1"})",
              R"({"uid":"bob","username":"eve","password":"password1"})"}) {
            const auto login = co_await f.call(Method::post, "/acs/api/v1/auth/login", body);
            EXPECT_EQ(login.status, 200U) << body;
            EXPECT_EQ(f.object, "name=bob") << body;
        }
        for (const auto& [body, code] :
             {std::pair{R"({"username":"bob","password":"wrong"})", "ERR_INVALID_CREDENTIALS"},
              std::pair{"uid=bob", "ERR_INVALID_DATA"}}) {
            const auto failed = co_await f.call(Method::post, "/acs/api/v1/auth/login", body);
            const auto said = json::parse(failed.body);
            EXPECT_EQ(said["description"], said["detail"]) << body;
            EXPECT_TRUE(said["description"].get<std::string>().starts_with("cannot ")) << body;
            EXPECT_EQ(said["code"], code);
            EXPECT_TRUE(said["title"].is_string());
        }
    });
}

TEST(AuthRoutes, EachCallSaysWhatItActedOnAndNeverASecret)
{
    AuthNode f;
    run([&]() -> Task<> {
        const auto made = co_await f.call(Method::post, "/api/v1/tokens", R"({"name":"ci","role":"viewer"})");
        EXPECT_EQ(f.object, "name=ci role=viewer id=" + json::parse(made.body)["id"].get<std::string>());
        for (const auto* status : {"first", "refused as a second"}) {
            [[maybe_unused]] const auto added = co_await f.call(
                Method::post, "/api/v1/users", R"({"name":"bob","password":"password1","role":"operator"})");
            EXPECT_EQ(f.object, "name=bob role=operator") << status;
        }
        [[maybe_unused]] const auto odd = co_await f.call(
            Method::post, "/api/v1/users", R"({"name":"pass word","password":"password1","role":"x y"})");
        EXPECT_EQ(f.object, "name=(not a name) role=(not a role)");
        [[maybe_unused]] const auto login =
            co_await f.call(Method::post, "/acs/api/v1/auth/login", R"({"uid":"bob","password":"wrong"})");
        EXPECT_EQ(f.object, "name=bob");
        [[maybe_unused]] const auto slip = co_await f.call(Method::post, "/acs/api/v1/auth/login",
                                                           R"({"uid":"password1","password":"password1"})");
        EXPECT_EQ(f.object, "name=(unknown user)");
    });
}

TEST(AuthRoutes, AWrongLoginIs401WithAProblem)
{
    AuthNode f;
    run([&]() -> Task<> {
        for (const auto* body :
             {R"({"uid":"bob","password":"password1"})", "{}", R"({"uid":7,"password":null})"}) {
            const auto answer = co_await f.call(Method::post, "/acs/api/v1/auth/login", body);
            EXPECT_EQ(answer.status, 401U) << body;
            EXPECT_EQ(answer.type, "application/problem+json");
            EXPECT_EQ(header(answer, "WWW-Authenticate"), "Bearer realm=\"opsd\"");
            EXPECT_EQ(json::parse(answer.body)["detail"], "cannot log in: the name or the password is wrong");
        }
        const auto rubbish = co_await f.call(Method::post, "/acs/api/v1/auth/login", "uid=bob");
        EXPECT_EQ(rubbish.status, 400U);
    });
}

TEST(AuthRoutes, ADamagedFileIsSaidNotAnEmptyList)
{
    const TempDir dir;
    const ManualClock clock{routes_day};
    TokenStore store{dir / "missing/auth.json", clock};
    EXPECT_FALSE(store.load());
    DefaultAuthenticator authenticator{AuthMaterial{}, store, clock};
    const auto routes = auth_routes(store, authenticator, clock);
    run([&]() -> Task<> {
        const Request request;
        for (const auto& route : routes) {
            if (route.method != Method::get) continue;
            const auto answer = co_await route.handler(request);
            EXPECT_EQ(answer.status, 503U) << route.pattern;
        }
    });
}
