// `opsd cluster init, join, token, revoke`: a node gets its certificate. See cluster_upkeep.cpp for what
// follows.

#include "cli/cluster_commands.hpp"

#include "cli/cli.hpp"
#include "cli/cluster_files.hpp"
#include "cli/json_text.hpp"
#include "daemon/identity.hpp"
#include "modules/pki/body.hpp"
#include "modules/pki/policy.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace opsd::cli {

using nlohmann::json;

namespace {

std::vector<std::string> all_paths(const pki::NodeFiles& files)
{
    return {files.authority, files.authority_key, files.certificate, files.key, files.issuer};
}

/// Nothing is in the way, and who will own the keys.
Result<files::Owner> prepare(const ClusterPlace& place)
{
    const auto free = none_exists(all_paths(pki::NodeFiles{place.directory}));
    if (!free) return fail(free.error());
    if (place.write_config) {
        const auto addable = config_is_free(place.sources);
        if (!addable) return fail(addable.error());
    }
    return owner_of(place.account);
}

/// Writes or prints the configuration, and says what comes next.
int configure(const ClusterPlace& place, const std::string& cluster, const pki::Certificate& certificate,
              std::string_view next)
{
    const auto text =
        cluster_config(cluster, pki::NodeFiles{place.directory}, certificate.names.addresses, place.port);
    if (!place.write_config) {
        fmt::print("Put this into {}/cluster.yaml, then: systemctl restart opsd\n\n{}\n{}",
                   place.sources.directory, text, next);
        return exit_ok;
    }
    const auto written = write_config(place.sources, text);
    if (!written) {
        fmt::print("The certificates are made. Mend the configuration, and add to it:\n\n{}\n", text);
        return report(written.error());
    }
    fmt::print("{}/cluster.yaml is written. Now: systemctl restart opsd\n{}", place.sources.directory, next);
    return exit_ok;
}

/// A founder's certificate, signed by the new authority.
struct Founded {
    pki::Authority authority;
    std::string key;
    pki::Issued own;
};

Result<Founded> found(const std::string& name, const ClusterPlace& place)
{
    const auto lifetime = certificate_lifetime(place.sources);
    if (!lifetime) return fail(lifetime.error());
    const auto now = SystemClock{}.now();
    auto authority = pki::found_cluster(name, now);
    if (!authority) return fail(std::move(authority).error());
    auto names = node_names(place.addresses);
    if (!names) return fail(std::move(names).error());
    if (names->addresses.empty()) {
        const auto address = daemon::address_of_default_route();
        if (address.empty())
            return fail(Errc::invalid_argument,
                        "cannot find this node's address: there is no default route; give it "
                        "with --address");
        names->addresses.push_back(address);
    }
    auto key = pki::make_key();
    if (!key) return fail(std::move(key).error());
    auto request = pki::make_request(*key, names->hosts.front(), *names);
    if (!request) return fail(std::move(request).error());
    auto own = pki::issue(*authority, {std::move(*request), {}, {}, {}}, now, *lifetime);
    if (!own) return fail(std::move(own).error());
    return Founded{std::move(*authority), std::move(*key), std::move(*own)};
}

/// What the node that signs answered, after everything about it was checked.
Result<pki::Certificate> check_answer(const pki::CertificateAnswer& answer, const std::string& key,
                                      const std::string& fingerprint)
{
    const auto authority = pki::inspect(answer.authority);
    if (!authority) return fail(authority.error());
    std::string wanted;  // as it is printed: colons are for reading
    std::ranges::copy_if(fingerprint.substr(std::min(fingerprint.size(), std::size_t{7})),
                         std::back_inserter(wanted), [](char c) { return c != ':'; });
    std::ranges::transform(wanted, wanted.begin(), [](unsigned char c) { return std::tolower(c); });
    if (authority->fingerprint != "sha256:" + wanted) {
        return fail(Errc::denied,
                    fmt::format("cannot accept the answer: its authority is {}, not the one that was "
                                "asked for",
                                authority->fingerprint));
    }
    const auto valid = pki::verify(answer.certificate, answer.authority, SystemClock{}.now());
    if (!valid) return fail(valid.error());
    const auto ours = pki::check_key(answer.certificate, key);
    if (!ours) return fail(ours.error());
    return pki::inspect(answer.certificate);
}

/// A key of this node and what was signed for it.
struct Joined {
    std::string key;
    pki::CertificateAnswer answer;
    pki::Certificate says;
};

Result<Joined> ask_to_join(const JoinTarget& target, const std::vector<std::string>& addresses)
{
    const auto names = node_names(addresses);
    if (!names) return fail(names.error());
    auto key = pki::make_key();
    if (!key) return fail(std::move(key).error());
    auto request = pki::make_request(*key, names->hosts.front(), *names);
    if (!request) return fail(std::move(request).error());
    Target master;
    master.url = target.url;
    master.ca_fingerprint = target.fingerprint;
    const json body{{"token", target.token}, {"request", *request}};
    const auto answered = Api{master}.json("POST", "/api/v1/cluster/join", body_of(body));
    if (!answered) {
        auto error = answered.error();
        if (error.code == Errc::denied && error.message.contains("certificate of the peer"))
            error.message +=
                "; nothing was sent: compare --ca with what `opsd cluster show` says on that node";
        return fail(std::move(error));
    }
    auto answer = pki::parse_certificate_answer(answered->dump());
    if (!answer) return fail(std::move(answer).error());
    auto says = check_answer(*answer, *key, target.fingerprint);
    if (!says) return fail(std::move(says).error());
    return Joined{std::move(*key), std::move(*answer), std::move(*says)};
}

}  // namespace

int cluster_init(const ClusterPlace& place, std::string name)
{
    if (name.empty()) name = "opsd";
    const pki::NodeFiles files{place.directory};
    const auto owner = prepare(place);
    if (!owner) return report(owner.error());
    const auto founded = found(name, place);
    if (!founded) return report(founded.error());
    const auto& says = founded->own.says;
    const auto url = fmt::format("https://{}:{}\n", in_url(says.names.addresses.front()), place.port);
    const auto written =
        write_new({{files.authority_key, founded->authority.key, 0400, true},
                   {files.key, founded->key, 0400, true},
                   {files.authority, founded->authority.certificate},
                   {files.certificate, founded->own.certificate + founded->authority.certificate},
                   {files.issuer, url}},
                  *owner);
    if (!written) return report(written.error());
    const auto authority = pki::inspect(founded->authority.certificate);
    if (!authority) return report(authority.error());
    fmt::print(
        "The cluster {} is founded; its authority is\n  {}\nKeep a copy of {} in a safe place: without it no "
        "node can join or renew.\n\n",
        name, authority->fingerprint, files.authority_key);
    return configure(
        place, name, says,
        "After that, for each further node: opsd cluster token create\n"
        "And once, so that this certificate is renewed: systemctl enable --now opsd-renew.timer\n");
}

int cluster_join(const ClusterPlace& place, const JoinTarget& target)
{
    if (!target.url.starts_with("https://"))
        return report(
            {Errc::invalid_argument,
             fmt::format("cannot join by {}: the token must not cross the network in the clear; give an "
                         "https:// URL",
                         target.url)});
    const pki::NodeFiles files{place.directory};
    const auto owner = prepare(place);
    if (!owner) return report(owner.error());
    const auto joined = ask_to_join(target, place.addresses);
    if (!joined) return report(joined.error());
    const auto written =
        write_new({{files.key, joined->key, 0400, true},
                   {files.authority, joined->answer.authority},
                   {files.certificate, joined->answer.certificate + joined->answer.authority},
                   {files.issuer, target.url + "\n"}},
                  *owner);
    if (!written) return report(written.error());
    const auto& parts = joined->says.parts;
    fmt::print("{} is a node of the cluster {}; its certificate runs until {}.\n\n", parts.name, parts.unit,
               rfc3339(joined->says.not_after));
    return configure(
        place, parts.unit, joined->says,
        "And once, so that this certificate is renewed: systemctl enable --now opsd-renew.timer\n");
}

int cluster_token_create(const Context& context, const TokenOptions& options)
{
    json body{{"lifetime", options.lifetime}, {"uses", options.uses}, {"replace", options.replace}};
    if (!options.node.empty()) body["for"] = options.node;
    const auto made = Api{context.target}.json("POST", "/api/v1/cluster/tokens", body_of(body));
    if (!made) return report(made.error());
    if (context.json) {
        print_json(*made);
        return exit_ok;
    }
    const auto whom = options.node.empty() ? fmt::format("{} node(s)", options.uses) : options.node;
    fmt::print(stderr, "For {} of the cluster {}, until {}; run there as root, it is shown only now:\n", whom,
               text(*made, "cluster"), text(*made, "expires"));
    fmt::print("opsd cluster join {} --token {} --ca {} --write-config\n", text(*made, "url"),
               text(*made, "token"), text(*made, "fingerprint"));
    return exit_ok;
}

int cluster_token_revoke(const Context& context)
{
    const auto done = Api{context.target}.json("DELETE", "/api/v1/cluster/tokens");
    if (!done) return report(done.error());
    fmt::print("No join token is good any more.\n");
    return exit_ok;
}

int cluster_revoke(const Context& context, const std::string& certificate)
{
    const auto done =
        Api{context.target}.json("DELETE", "/api/v1/cluster/certificates/" + encode(certificate));
    if (!done) return report(done.error());
    if (context.json) {
        print_json(*done);
        return exit_ok;
    }
    for (const auto& issue : done->value("revoked", json::array())) {
        fmt::print("The certificate {} of {} is renewed no more. It is good until {} all the same.\n",
                   text(issue, "serial"), text(issue, "node"), text(issue, "not_after"));
    }
    return exit_ok;
}

}  // namespace opsd::cli
