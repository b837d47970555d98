// `opsd cluster renew, show`: a node keeps its certificate.

#include "cli/cli.hpp"
#include "cli/cluster_commands.hpp"
#include "cli/cluster_files.hpp"
#include "cli/json_text.hpp"
#include "io/files/files.hpp"
#include "io/process/process.hpp"
#include "modules/pki/body.hpp"
#include "modules/pki/files.hpp"
#include "modules/pki/policy.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <optional>

namespace opsd::cli {

using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// Signed here, or by the node that signed it before.
Result<pki::CertificateAnswer> sign_again(const pki::NodeFiles& files, const pki::NodeIdentityFiles& held,
                                          const std::string& request, const config::Sources& sources)
{
    auto authority = pki::read_authority(files);
    if (authority) {
        const auto lifetime = certificate_lifetime(sources);
        if (!lifetime) return fail(lifetime.error());
        auto issued = pki::renew(*authority, held.certificate, request, SystemClock{}.now(), *lifetime);
        if (!issued) return fail(std::move(issued).error());
        return pki::CertificateAnswer{std::move(issued->certificate), held.authority};
    }
    if (authority.error().code != Errc::not_found) return fail(std::move(authority).error());
    const auto url = pki::read_issuer(files);
    if (!url) return fail(url.error());
    Target issuer;
    issuer.url = *url;
    issuer.ca_file = files.authority;
    issuer.certificate_file = files.certificate;
    issuer.key_file = files.key;
    // The first certificate of the file is this node's; the authority's behind it needs no journey.
    const json body{{"certificate", held.certificate}, {"request", request}};
    const auto answered = Api{issuer}.json("POST", "/api/v1/cluster/renew", body_of(body));
    if (!answered) return fail(answered.error());
    return pki::parse_certificate_answer(answered->dump());
}

Result<pki::Certificate> renew_now(const pki::NodeFiles& files, const config::Sources& sources)
{
    const auto held = pki::read_identity(files);
    if (!held) return fail(held.error());
    const auto before = pki::inspect(held->certificate);
    if (!before) return fail(before.error());
    // The key stays: one file changes, at once, so that no crash leaves a certificate without its key.
    const auto key = files::read_file(files.key, pki::max_pem);
    if (!key) return fail(key.error());
    const auto request = pki::make_request(*key, before->parts.name, before->names);
    if (!request) return fail(request.error());
    const auto answer = sign_again(files, *held, *request, sources);
    if (!answer) return fail(answer.error());
    const auto valid = pki::verify(answer->certificate, held->authority, SystemClock{}.now());
    if (!valid) return fail(valid.error());
    const auto ours = pki::check_key(answer->certificate, *key);
    if (!ours) return fail(ours.error());
    auto after = pki::inspect(answer->certificate);
    if (!after) return after;
    if (after->names != before->names || after->subject != before->subject)
        return fail(Errc::denied, "cannot accept the renewed certificate: it is for other names");
    const auto written = files::write_atomic(files.certificate, answer->certificate + held->authority, 0644);
    if (!written) return fail(written.error());
    return after;
}

/// Is it time? Without a limit always.
Result<bool> due(const pki::NodeFiles& files, const std::string& within)
{
    if (within.empty()) return true;
    config::Duration limit{};
    const auto decoded = config::decode(config::Value::scalar(within), limit);
    if (!decoded)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use --if-within: it {}", decoded.error().message));
    const auto held = pki::read_identity(files);
    if (!held) return fail(held.error());
    const auto says = pki::inspect(held->certificate);
    if (!says) return fail(says.error());
    return says->not_after <= SystemClock{}.now() + limit;
}

Task<> run_into(ProcessSpec spec, std::optional<Result<ProcessResult>>& out)
{
    auto result = co_await run_process(std::move(spec));
    out.emplace(std::move(result));
}

Result<> reload_daemon()
{
    ProcessSpec spec{{"systemctl", "try-reload-or-restart", "opsd.service"}};
    spec.timeout = 30s;
    asio::io_context io{1};
    std::optional<Result<ProcessResult>> done;
    asio::co_spawn(io, run_into(std::move(spec), done), [](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
    });
    io.run();
    if (!done || !*done)
        return fail(Errc::internal,
                    "cannot run systemctl: reload opsd by hand, so that it uses the new certificate");
    if ((*done)->exit_code == 0) return {};
    return fail(Errc::unavailable,
                fmt::format("cannot reload opsd, which goes on with the old certificate: {}",
                            printable((*done)->output.substr(0, 300))));
}

struct Shown {
    std::string what;
    pki::Certificate says;
};

json json_of(const Shown& shown)
{
    return {{"what", shown.what},
            {"subject", shown.says.subject},
            {"serial", shown.says.serial},
            {"hosts", shown.says.names.hosts},
            {"addresses", shown.says.names.addresses},
            {"not_before", rfc3339(shown.says.not_before)},
            {"not_after", rfc3339(shown.says.not_after)},
            {"fingerprint", shown.says.fingerprint}};
}

}  // namespace

int cluster_renew(const RenewOptions& options)
{
    const pki::NodeFiles files{options.directory};
    const auto now = due(files, options.within);
    if (!now) return report(now.error());
    if (!*now) {
        fmt::print("The certificate has more than {} left: nothing to do.\n", options.within);
        return exit_ok;
    }
    const auto renewed = renew_now(files, options.sources);
    if (!renewed) return report(renewed.error());
    fmt::print("The certificate of {} is renewed until {}.\n", renewed->parts.name,
               rfc3339(renewed->not_after));
    if (!options.reload) {
        fmt::print("Now: systemctl reload opsd\n");
        return exit_ok;
    }
    const auto reloaded = reload_daemon();
    return reloaded ? static_cast<int>(exit_ok) : report(reloaded.error());
}

int cluster_show(const Context& context, const std::string& directory)
{
    const pki::NodeFiles files{directory};
    const auto held = pki::read_identity(files);
    if (!held) return report(held.error());
    const auto cluster = pki::cluster_of(held->authority);
    if (!cluster) return report(cluster.error());
    const auto authority = pki::inspect(held->authority);
    const auto node = pki::inspect(held->certificate);
    if (!authority || !node) return report(authority ? node.error() : authority.error());
    const auto valid = pki::verify(held->certificate, held->authority, SystemClock{}.now());
    const std::vector<Shown> all{{"authority", *authority}, {"node", *node}};
    if (context.json) {
        auto certificates = json::array();
        for (const auto& shown : all)
            certificates.push_back(json_of(shown));
        print_json({{"cluster", *cluster},
                    {"fingerprint", authority->fingerprint},
                    {"valid", valid.has_value()},
                    {"certificates", std::move(certificates)}});
    } else {
        fmt::print("Cluster {}, authority {}\n", *cluster, authority->fingerprint);
        Table table{{"what", "expires", "names", "subject"}};
        for (const auto& [what, says] : all) {
            auto names = says.names.hosts;
            names.insert(names.end(), says.names.addresses.begin(), says.names.addresses.end());
            table.row({{what},
                       {rfc3339(says.not_after)},
                       {fmt::format("{}", fmt::join(names, " "))},
                       {says.subject}});
        }
        fmt::print("{}", table.render(context.style));
    }
    return valid ? static_cast<int>(exit_ok) : report(valid.error());
}

}  // namespace opsd::cli
