#include "modules/dcos/routes.hpp"

#include <nlohmann/json.hpp>

#include <utility>

namespace opsd::dcos {

using http::Access;
using http::Method;
using http::Request;
using http::Response;
using json = nlohmann::ordered_json;

namespace {

constexpr const char* fallback_version = "1.11.0";

Response answer(const json& body)
{
    return Response::json(body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

NodeIdentity identity(const Core& core)
{
    const auto& known = core.services.board.identity.get();
    return known ? known->value : NodeIdentity{};
}

/// `dcos cluster setup` asks HEAD / to learn where redirects lead; people who look here get a hint.
Task<Response> root(const Request&)
{
    co_return Response::text("opsd: see /api/openapi.json; the dcos command line can use this address\n");
}

/// Whether the address may be read without credentials: that is all that clients want to know of it.
Task<Response> buildinfo(const Request&) { co_return Response::json("{}\n"); }

Task<Response> providers(const Request&)
{
    const json body{{"dcos-users",
                     {{"authentication-type", "dcos-uid-password"},
                      {"client-method", "dcos-usercredential-post-receive-authtoken"},
                      {"config", {{"start_flow_url", "/acs/api/v1/auth/login"}}},
                      {"description", "A user of opsd (name and password)"}}}};
    co_return answer(body);
}

Task<Response> metadata(std::shared_ptr<Core> core)
{
    const auto& options = core->options.metadata;
    auto id = options.cluster_id;
    if (id.empty()) id = core->cluster_id;
    if (id.empty()) id = core->outside.node_id;
    if (id.empty())
        co_return Response::problem(503, "cannot tell the cluster's id: this machine has none either; set "
                                         "dcos.metadata.cluster_id");
    const json body{{"PUBLIC_IPV4", options.public_ip.empty() ? identity(*core).ip : options.public_ip},
                    {"CLUSTER_ID", id}};
    co_return answer(body);
}

Task<Response> version(std::shared_ptr<Core> core)
{
    const auto& options = core->options.metadata;
    auto text = options.version;
    if (text.empty()) text = identity(*core).dcos_version;
    if (text.empty()) text = fallback_version;
    const json body{{"version", text},
                    {"dcos-variant", options.variant},
                    {"dcos-image-commit", options.image_commit},
                    {"bootstrap-id", options.bootstrap_id}};
    co_return answer(body);
}

}  // namespace

std::vector<http::Route> setup_routes(const std::shared_ptr<Core>& core)
{
    const auto meta = [core](const Request&) { return metadata(core); };
    const auto what = [core](const Request&) { return version(core); };
    return {
        {Method::get, "/", Access::open, "A hint; the dcos command line asks for its head", root, {}, false},
        {Method::get,
         "/pkgpanda/active.buildinfo.full.json",
         Access::read,
         "Empty; its status tells the dcos command line whether it must log in",
         buildinfo,
         {},
         false},
        {Method::get,
         "/acs/api/v1/auth/providers",
         Access::open,
         "How to log in, for the dcos command line",
         providers,
         {},
         false},
        {Method::get, "/metadata", Access::read, "Address and id of the cluster", meta, {}, false},
        {Method::get,
         "/dcos-metadata/dcos-version.json",
         Access::open,
         "The version of DC/OS that clients are told (dcos.metadata)",
         what,
         {},
         false},
    };
}

}  // namespace opsd::dcos
