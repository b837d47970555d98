#include "modules/dcos/marathon.hpp"

#include "io/mesos/address.hpp"
#include "io/mesos/files.hpp"
#include "io/mesos/json_walk.hpp"
#include "io/net/url.hpp"
#include "modules/dcos/relay.hpp"
#include "modules/dcos/routes.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

namespace opsd::dcos {

using http::Access;
using http::Method;
using http::Parameter;
using http::Request;
using http::Response;

namespace {

using CorePtr = std::shared_ptr<Core>;

constexpr int deepest_id = 6;  // of an application: /a/b/c/d/e/f

/// A framework writes what it likes there: only a plain web address is taken.
Result<std::string> base_of(const std::string& webui, std::string_view name)
{
    const auto url = net::parse_url(webui);
    if (!url || url->scheme == net::Url::Scheme::unix_socket || !mesos::usable_host(url->host))
        return fail(
            Errc::unavailable,
            fmt::format("cannot find Marathon: the framework \"{}\" says it is at \"{}\", which is no "
                        "address; set dcos.marathon.url",
                        mesos::printable(name), mesos::printable(webui)));
    auto base = url->origin() + url->target.substr(0, url->target.find('?'));
    while (base.ends_with('/'))
        base.pop_back();
    return base;
}

Task<Response> ask_marathon(CorePtr core, const Request& request, std::string path)
{
    auto place = Core::take_place(core);
    if (!place) co_return Response::problem(place.error());
    auto base = co_await marathon_url(core);
    if (!base) co_return unanswered(*core, base.error());
    ++core->counters.to_marathon;
    const auto& options = core->options;
    net::ClientRequest question;
    question.url = *base + path;
    char separator = '?';
    for (const auto& [name, value] : request.query) {
        question.url += fmt::format("{}{}={}", separator, mesos::encoded(name), mesos::encoded(value, "/"));
        separator = '&';
    }
    question.timeout = options.mesos.timeout;
    question.max_body = static_cast<std::size_t>(options.mesos.max_answer.count);
    question.headers.emplace_back("Accept", "application/json");
    std::string shown{foreign_authorization(request)};
    const bool show = options.marathon.pass_authorization && !options.marathon.url.empty() && !shown.empty();
    if (show) question.headers.emplace_back("Authorization", std::move(shown));
    auto opened = co_await core->marathon_client.open(std::move(question), options.mesos.idle_timeout);
    if (!opened) {
        core->marathon.reset();  // it may be elsewhere by now
        co_return unanswered(*core, std::move(opened).error().wrap("cannot ask Marathon"));
    }
    RelayedAnswer answer{
        .incoming = std::move(*opened), .place = std::move(*place), .who = "Marathon", .for_caller = true};
    auto response = co_await relay(std::move(core), std::move(answer));
    co_return response;
}

Task<Response> fixed(CorePtr core, const Request& request, const char* path)
{
    return ask_marathon(std::move(core), request, path);
}

/// The segments of an application's id are segments of the path.
Task<Response> application(CorePtr core, const Request& request)
{
    std::string path = "/v2/apps";
    for (const auto& [name, value] : request.path_params)
        path += "/" + mesos::encoded(value);
    return ask_marathon(std::move(core), request, std::move(path));
}

}  // namespace

Result<std::string> webui_of(std::string_view frameworks, std::string_view name)
{
    using Kind = mesos::JsonEvent::Kind;
    constexpr std::string_view item = "get_frameworks.frameworks[]";
    struct {
        std::string name;
        std::string webui;
        bool active = true;
    } framework;
    std::string found;
    bool seen = false;
    bool list = false;
    auto read =
        mesos::walk_json(frameworks, "the answer to GET_FRAMEWORKS", [&](const auto& event) -> Result<> {
            if (event.path == "get_frameworks" && event.kind == Kind::begin_object) list = true;
            if (!event.path.starts_with(item)) return {};
            const auto field = event.path.substr(item.size());
            if (field.empty() && event.kind == Kind::begin_object) framework = {};
            if (field == ".active" && event.kind == Kind::boolean) framework.active = event.boolean;
            if (event.kind == Kind::text && field == ".framework_info.name")
                framework.name = event.text.substr(0, 256);
            if (event.kind == Kind::text && field == ".framework_info.webui_url")
                framework.webui = event.text.substr(0, 1024);
            if (!field.empty() || event.kind != Kind::end_object || framework.name != name
                || !framework.active)
                return {};
            seen = true;
            if (found.empty()) found = framework.webui;
            return {};
        });
    if (!read) return fail(std::move(read).error());
    if (!list)
        return fail(Errc::protocol, "cannot read the answer to GET_FRAMEWORKS: it has no get_frameworks; is "
                                    "this a Mesos master?");
    if (found.empty())
        return fail(
            Errc::unavailable,
            fmt::format(
                "cannot find Marathon: {}; set dcos.marathon.url or dcos.marathon.framework",
                seen ? fmt::format("the framework \"{}\" does not say its webui_url", mesos::printable(name))
                     : fmt::format("Mesos has no active framework \"{}\"", mesos::printable(name))));
    return base_of(found, name);
}

Task<Result<std::string>> marathon_url(std::shared_ptr<Core> core)
{
    const auto& options = core->options.marathon;
    if (!options.url.empty()) {
        auto url = options.url;
        while (url.ends_with('/'))
            url.pop_back();
        co_return url;
    }
    const auto& clock = core->services.clock;
    if (core->marathon && clock.monotonic() - core->marathon->at <= options.age)
        co_return core->marathon->url;
    const auto masters = core->mesos.masters();
    if (!masters) co_return fail(masters.error());
    const auto asked = *masters;
    const auto end = std::chrono::steady_clock::now() + core->options.mesos.timeout;
    auto body = co_await asked->call(R"({"type":"GET_FRAMEWORKS"})", end);
    if (!body) co_return fail(std::move(body).error());
    auto job = [text = std::move(*body), name = options.framework] { return webui_of(text, name); };
    auto url = co_await core->worker.run(std::move(job));
    if (url) core->marathon = MarathonSeen{*url, clock.monotonic()};
    co_return url;
}

std::vector<http::Route> marathon_routes(const std::shared_ptr<Core>& core)
{
    std::vector<http::Route> routes;
    const auto add = [&](const char* path, std::string summary) {
        const auto handler = [core, path](const Request& request) { return fixed(core, request, path); };
        routes.push_back({Method::get,
                          std::string{"/service/marathon"} + path,
                          Access::read,
                          std::move(summary),
                          handler,
                          {},
                          false});
    };
    add("/v2/leader", "Marathon's leader, from Marathon");
    add("/v2/apps", "Marathon's applications, from Marathon");
    const auto handler = [core](const Request& request) { return application(core, request); };
    std::string pattern = "/service/marathon/v2/apps";
    std::vector<Parameter> parameters;
    for (int depth = 1; depth <= deepest_id; ++depth) {
        const auto name = depth == 1 ? std::string{"id"} : fmt::format("id{}", depth);
        pattern += "/{" + name + "}";
        parameters.push_back(
            {name, "path", depth == 1 ? "Id of the application" : "Its next part, in a group", "string"});
        routes.push_back({Method::get, pattern, Access::read,
                          depth == 1 ? "An application of Marathon" : "An application in a group", handler,
                          parameters, false});
    }
    return routes;
}

}  // namespace opsd::dcos
