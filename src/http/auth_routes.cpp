#include "http/auth_routes.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <map>

namespace opsd::http {
namespace {

using nlohmann::json;

constexpr int max_depth = 8;

/// Discarded when it is no JSON or nested too deep.
json parse_shallow(std::string_view text)
{
    bool deep = false;
    const auto keep = [&deep](int depth, json::parse_event_t event, const json&) {
        const bool opens =
            event == json::parse_event_t::object_start || event == json::parse_event_t::array_start;
        deep = deep || (opens && depth >= max_depth);
        return !deep;
    };
    auto document = json::parse(text, keep, false);
    return deep ? json{json::value_t::discarded} : document;
}

enum class Others { refused, ignored };

/// The known fields of a JSON body, each a text; the document itself is not kept. Others are refused: a
/// misspelt "expires" must not be lost.
class Body {
public:
    static Result<Body> read(const Request& request, std::initializer_list<std::string_view> known,
                             Others others = Others::refused)
    {
        Body body;
        const auto document = parse_shallow(request.body);
        if (!document.is_object()) {
            return fail(
                Errc::invalid_argument,
                fmt::format("cannot read the body: it must be a JSON object, at most {} deep", max_depth));
        }
        for (const auto& [key, value] : document.items()) {
            const bool expected = std::ranges::find(known, key) != known.end();
            if (others == Others::ignored && !(expected && value.is_string())) continue;
            if (!expected)
                return fail(Errc::invalid_argument,
                            fmt::format("cannot use the field \"{}\": it is unknown", key.substr(0, 64)));
            if (!value.is_string()) {
                return fail(Errc::invalid_argument,
                            fmt::format("cannot use the field \"{}\": it must be a text", key));
            }
            body.fields_.insert_or_assign(key, value.get<std::string>());
        }
        return body;
    }
    [[nodiscard]] bool has(const char* key) const { return fields_.contains(key); }
    [[nodiscard]] std::string text(const char* key) const
    {
        const auto found = fields_.find(key);
        return found != fields_.end() ? found->second : std::string{};
    }
    [[nodiscard]] Result<Role> role() const
    {
        const auto role = parse_role(text("role"));
        if (role) return *role;
        return fail(Errc::invalid_argument,
                    "cannot use the field \"role\": it must be viewer, operator or admin");
    }
    /// "expires" (a time) or "lifetime" (a duration); nothing without either.
    [[nodiscard]] Result<std::optional<WallTime>> expiry(WallTime now) const
    {
        if (has("expires") && has("lifetime")) {
            return fail(Errc::invalid_argument, "cannot use both \"expires\" and \"lifetime\": give one");
        }
        if (has("expires")) return parse_rfc3339(text("expires"));
        if (!has("lifetime")) return std::nullopt;
        config::Duration span{};
        const auto decoded = config::decode(config::Value::scalar(text("lifetime")), span);
        if (!decoded)
            return fail(Errc::invalid_argument,
                        "cannot use the field \"lifetime\": " + decoded.error().message);
        return now + span;
    }

private:
    std::map<std::string, std::string, std::less<>> fields_;
};

json json_of(const TokenInfo& token)
{
    json value{{"id", token.id},
               {"name", token.name},
               {"role", to_string(token.role)},
               {"created", rfc3339(token.created)}};
    if (token.expires) value["expires"] = rfc3339(*token.expires);
    if (token.last_used) value["last_used"] = rfc3339(*token.last_used);
    return value;
}

std::string path_value(const Request& request, const char* name)
{
    return std::string{request.path_params.get(name)};
}

/// A name as the audit log may have it: what is none could be anything, a password pasted into the wrong
/// field, say.
std::string named(const std::string& text) { return valid_name(text) ? text : "(not a name)"; }

Response answer(const Result<>& result)
{
    return result ? Response::no_content() : Response::problem(result.error());
}

Task<Response> list_tokens(TokenStore& store)
{
    if (const auto damage = store.damage(); !damage.empty()) co_return Response::problem(503, damage);
    auto all = json::array();
    for (const auto& token : store.tokens())
        all.push_back(json_of(token));
    const json root{{"tokens", std::move(all)}};
    co_return Response::json(root.dump());
}

Task<Response> create_token(TokenStore& store, const Clock& clock, const Request& request)
{
    const auto body = Body::read(request, {"name", "role", "expires", "lifetime"});
    if (!body) co_return Response::problem(body.error());
    request.object.add("name", named(body->text("name")));
    request.object.add("role", parse_role(body->text("role")) ? body->text("role") : "(not a role)");
    const auto role = body->role();
    if (!role) co_return Response::problem(role.error());
    const auto expires = body->expiry(clock.now());
    if (!expires) co_return Response::problem(expires.error());
    const auto made = co_await store.create_token(body->text("name"), *role, *expires);
    if (!made) co_return Response::problem(made.error());
    request.object.add("id", made->info.id);
    auto value = json_of(made->info);
    value["token"] = made->text;
    auto response = Response::json(value.dump(), 201);
    co_return std::move(response.with("Cache-Control", "no-store"));
}

Task<Response> revoke_token(TokenStore& store, const Request& request)
{
    const auto done = co_await store.revoke_token(path_value(request, "id"));
    co_return answer(done);
}

Task<Response> list_users(TokenStore& store)
{
    if (const auto damage = store.damage(); !damage.empty()) co_return Response::problem(503, damage);
    auto all = json::array();
    for (const auto& user : store.users()) {
        all.push_back({{"name", user.name},
                       {"role", to_string(user.role)},
                       {"password_changed", rfc3339(user.changed)}});
    }
    const json root{{"users", std::move(all)}};
    co_return Response::json(root.dump());
}

Task<Response> add_user(TokenStore& store, const Request& request)
{
    const auto body = Body::read(request, {"name", "password", "role"});
    if (!body) co_return Response::problem(body.error());
    const auto name = body->text("name");
    request.object.add("name", named(name));
    request.object.add("role", parse_role(body->text("role")) ? body->text("role") : "(not a role)");
    const auto role = body->role();
    if (!role) co_return Response::problem(role.error());
    const auto done = co_await store.add_user(name, body->text("password"), *role);
    if (!done) co_return Response::problem(done.error());
    const json value{{"name", name}, {"role", to_string(*role)}};
    co_return Response::json(value.dump(), 201);
}

Task<Response> set_password(TokenStore& store, const Request& request)
{
    const auto body = Body::read(request, {"password"});
    if (!body) co_return Response::problem(body.error());
    const auto done = co_await store.set_password(path_value(request, "name"), body->text("password"));
    co_return answer(done);
}

Task<Response> remove_user(TokenStore& store, const Request& request)
{
    const auto done = co_await store.remove_user(path_value(request, "name"));
    co_return answer(done);
}

/// A problem that DC/OS clients can show, too: they look for "description" and "code".
Response login_failure(unsigned status, std::string_view detail, std::string_view code)
{
    auto response = Response::problem(status, detail);
    auto body = nlohmann::ordered_json::parse(response.body);
    body["description"] = detail;
    body["code"] = code;
    response.body = body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
    return response;
}

Task<Response> log_in(TokenStore& store, DefaultAuthenticator& authenticator, const Request& request)
{
    const auto body = Body::read(request, {"uid", "username", "password"},
                                 Others::ignored);  // DC/OS clients send more than we read
    if (!body) co_return login_failure(400, body.error().message, "ERR_INVALID_DATA");
    const auto uid = body->text(body->has("uid") ? "uid" : "username");
    // Only who exists is named: whoever types the password where the name belongs must not find it logged.
    request.object.add("name", store.has_user(uid) ? uid : "(unknown user)");
    const auto token = co_await authenticator.log_in(uid, body->text("password"), request.caller);
    if (token) {
        const json value{{"token", *token}};
        auto response = Response::json(value.dump());
        co_return std::move(response.with("Cache-Control", "no-store"));
    }
    if (token.error().code != Errc::denied) co_return Response::problem(token.error());
    auto response = login_failure(401, token.error().message, "ERR_INVALID_CREDENTIALS");
    co_return std::move(response.with("WWW-Authenticate", "Bearer realm=\"opsd\""));
}

}  // namespace

std::vector<Route> auth_routes(TokenStore& store, DefaultAuthenticator& authenticator, const Clock& clock)
{
    const Parameter id{"id", "path", "The token's id, as the list shows it"};
    const Parameter name{"name", "path", "The user's name"};
    const auto tokens = [&store](const Request&) { return list_tokens(store); };
    const auto create = [&store, &clock](const Request& r) { return create_token(store, clock, r); };
    const auto revoke = [&store](const Request& r) { return revoke_token(store, r); };
    const auto users = [&store](const Request&) { return list_users(store); };
    const auto add = [&store](const Request& r) { return add_user(store, r); };
    const auto password = [&store](const Request& r) { return set_password(store, r); };
    const auto remove = [&store](const Request& r) { return remove_user(store, r); };
    const auto login = [&store, &authenticator](const Request& r) { return log_in(store, authenticator, r); };
    return {
        {Method::get,
         "/api/v1/tokens",
         Access::admin,
         "All tokens, without their secrets",
         tokens,
         {},
         false},
        {Method::post,
         "/api/v1/tokens",
         Access::admin,
         "Create a token: name, role, and expires (a time) or lifetime (30d); its text is shown this once",
         create,
         {},
         true},
        {Method::del, "/api/v1/tokens/{id}", Access::admin, "Revoke a token", revoke, {id}, true},
        {Method::get, "/api/v1/users", Access::admin, "All users", users, {}, false},
        {Method::post, "/api/v1/users", Access::admin, "Add a user: name, password, role", add, {}, true},
        {Method::put,
         "/api/v1/users/{name}/password",
         Access::admin,
         "Set a user's password; the tokens of earlier logins end",
         password,
         {name},
         true},
        {Method::del,
         "/api/v1/users/{name}",
         Access::admin,
         "Remove a user; the tokens of earlier logins end",
         remove,
         {name},
         true},
        {Method::post,
         "/acs/api/v1/auth/login",
         Access::open,
         "Log in with uid (or username) and password, as DC/OS clients do",
         login,
         {},
         true},
    };
}

}  // namespace opsd::http
