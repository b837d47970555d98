#include "modules/dcos/plugins.hpp"
#include "modules/dcos/routes.hpp"

#include "core/first_of.hpp"
#include "io/mesos/address.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <utility>

namespace opsd::dcos {

using http::Access;
using http::Method;
using http::Request;
using http::Response;
using http::StreamWriter;
using json = nlohmann::ordered_json;

namespace {

using CorePtr = std::shared_ptr<Core>;
using PluginsPtr = std::shared_ptr<Plugins>;

constexpr std::string_view folder = "/dcos-cli/plugins/";
constexpr std::size_t block = 256U * 1024;
/// The command line compares it letter by letter.
constexpr const char* describe_type =
    "application/vnd.dcos.package.describe-response+json;charset=utf-8;version=v3";

/// As the package service of DC/OS says it.
Response no_package(unsigned status, std::string_view sentence)
{
    const json body{{"type", "PackageNotFound"}, {"message", sentence}};
    return Response::json(body.dump(-1, ' ', false, json::error_handler_t::replace) + "\n", status);
}

/// Under which URL the caller fetches plugins: the setting's, else the one by which he came. (The command
/// line puts the scheme of its own setting in the place of ours.)
Result<std::string> base_of(const PluginOptions& options, const Request& request)
{
    if (!options.url.empty()) {
        auto url = options.url;
        while (url.ends_with('/'))
            url.pop_back();
        return url;
    }
    const auto host = request.headers.get("host");
    if (!mesos::parse_host_port(host))
        return fail(Errc::invalid_argument,
                    "cannot tell where the plugin is: the request has no usable Host; "
                    "set dcos.plugins.url");
    return fmt::format("http://{}", host);
}

json binary_of(const Plugin& plugin, const std::string& base)
{
    return {{"x86-64",
             {{"contentHash", json::array({{{"algo", "sha256"}, {"value", plugin.sha256}}})},
              {"kind", "zip"},
              {"url", fmt::format("{}{}{}", base, folder, plugin.file)}}}};
}

std::string package_named(const Request& request)
{
    const auto body = json::parse(request.body, nullptr, false);
    if (!body.is_object()) return {};
    const auto name = body.find("packageName");
    return name != body.end() && name->is_string() ? name->get<std::string>() : std::string{};
}

Task<Response> describe(CorePtr core, PluginsPtr plugins, const Request& request)
{
    const auto package = package_named(request);
    if (!is_package(package))
        co_return no_package(400, "cannot describe the package: the body must be {\"packageName\": NAME}");
    if (core->options.plugins.directory.empty())
        co_return no_package(
            404,
            fmt::format("cannot describe {}: opsd serves no plugins; set dcos.plugins.directory", package));
    const auto base = base_of(core->options.plugins, request);
    if (!base) co_return Response::problem(base.error());
    auto job = [plugins, package] { return plugins->find(package); };
    const auto found = co_await core->worker.run(std::move(job));
    if (!found && found.error().code == Errc::not_found) co_return no_package(404, found.error().message);
    if (!found) co_return Response::problem(found.error());
    json binaries = json::object();
    for (const auto& plugin : *found)
        binaries[plugin.os] = binary_of(plugin, *base);
    const json body{{"package",
                     {{"packagingVersion", "4.0"},
                      {"name", package},
                      {"version", "opsd"},
                      {"releaseVersion", 0},
                      {"maintainer", "opsd"},
                      {"description", "A plugin of the dcos command line, served by opsd"},
                      {"resource", {{"cli", {{"binaries", binaries}}}}}}}};
    auto response = Response::json(body.dump() + "\n");
    response.type = describe_type;
    co_return response;
}

/// A plugin on its way, block by block.
struct Fetch {
    CorePtr core;
    PluginsPtr plugins;
    std::string file;
    std::uint64_t at = 0;
    std::uint64_t size = 0;
    std::string begin;

    Task<Result<std::string>> next()
    {
        auto job = [from = plugins, name = file, offset = at] { return from->read(name, offset, block); };
        auto part = co_await core->worker.run(std::move(job));
        if (!part) co_return fail(std::move(part).error());
        if (at == 0) size = part->size;
        if (part->size != size || (part->bytes.empty() && at < size))
            co_return fail(Errc::unavailable, "cannot serve the plugin: the file was exchanged meanwhile");
        at += part->bytes.size();
        co_return std::move(part->bytes);
    }
};

Task<> read_next(Fetch& fetch, Result<std::string>& bytes) { bytes = co_await fetch.next(); }

Task<> until_closed(StreamWriter& writer, bool& closed)
{
    co_await writer.closed();
    closed = true;
}

Task<> stream(std::shared_ptr<Fetch> fetch, StreamWriter& writer)
{
    writer.set_whole(false);
    std::string bytes = std::exchange(fetch->begin, {});
    for (bool closed = false;;) {
        const auto written = co_await writer.write(bytes);
        if (!written) co_return;
        if (fetch->at == fetch->size) break;
        Result<std::string> next;
        co_await first_of(read_next(*fetch, next), until_closed(writer, closed));
        if (closed || !next) co_return;
        bytes = std::move(*next);
    }
    writer.set_whole(true);
}

Task<Response> serve(CorePtr core, PluginsPtr plugins, const Request& request)
{
    const auto file = request.path_params.get("file");
    if (core->options.plugins.directory.empty() || !is_plugin_file(file))
        co_return Response::problem(404, "cannot serve the plugin: there is none of this name in "
                                         "dcos.plugins.directory");
    auto fetch = std::make_shared<Fetch>();
    fetch->core = std::move(core);
    fetch->plugins = std::move(plugins);
    fetch->file = file;
    auto first = co_await fetch->next();
    if (!first) co_return Response::problem(first.error());
    Response response;
    response.type = "application/zip";
    if (fetch->at == fetch->size) {
        response.body = std::move(*first);
        co_return response;
    }
    fetch->begin = std::move(*first);
    response.producer = [fetch](StreamWriter& writer) { return stream(fetch, writer); };
    co_return response;
}

}  // namespace

std::vector<http::Route> plugin_routes(const CorePtr& core)
{
    const auto& options = core->options.plugins;
    const auto plugins = std::make_shared<Plugins>(options.directory, options.max_size.count);
    const auto package = [core, plugins](const Request& request) { return describe(core, plugins, request); };
    const auto file = [core, plugins](const Request& request) { return serve(core, plugins, request); };
    return {
        {Method::post,
         "/package/describe",
         Access::read,
         "Where the plugin of a package is: {\"packageName\": \"dcos-core-cli\"}",
         package,
         {},
         false},
        {Method::get,
         std::string{folder} + "{file}",
         Access::read,
         "A plugin of the dcos command line (dcos.plugins.directory)",
         file,
         {{"file", "path", "PACKAGE-OS.zip or PACKAGE.zip", "string"}},
         false},
    };
}

}  // namespace opsd::dcos
