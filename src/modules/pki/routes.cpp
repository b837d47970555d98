// What clients may ask the authority for.

#include "modules/pki/body.hpp"
#include "modules/pki/module.hpp"
#include "modules/pki/policy.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace opsd::pki {

using http::Access;
using http::FailureLimiter;
using http::Method;
using http::Response;

namespace {

using CorePtr = std::shared_ptr<Core>;

/// What the answer needs beside the certificate.
struct Signed {
    Issued issued;
    std::string authority;
};

std::string all_names(const Names& names)
{
    return fmt::format("{}{}{}", fmt::join(names.hosts, " "), names.addresses.empty() ? "" : " ",
                       fmt::join(names.addresses, " "));
}

Response answer_with(const Signed& done)
{
    auto response = Response::json(
        certificate_answer(done.issued.says.parts.unit, done.issued.certificate, done.authority), 201);
    return std::move(response.with("Cache-Control", "no-store"));
}

/// For the audit log.
void note(const http::Request& request, const Certificate& says)
{
    request.object.add("node", says.parts.name);
    request.object.add("certificate", says.serial);
}

std::string serials(const std::vector<Issue>& issues)
{
    std::string text;
    for (const auto& issue : issues)
        text += (text.empty() ? "" : " ") + issue.serial;
    return text;
}

Response refuse(Core& core, const Error& error)
{
    core.refused.add();
    return Response::problem(error);
}

Response too_often()
{
    auto response = Response::problem(
        429, "cannot let this node join: too many attempts failed from this address; wait 10 s");
    return std::move(response.with("Retry-After", "10"));
}

/// On the thread: reads files and signs.
Result<Signed> sign_new(const NodeFiles& files, Applicant applicant, WallTime now,
                        std::chrono::milliseconds lifetime)
{
    auto authority = read_authority(files);
    if (!authority) return fail(std::move(authority).error());
    const auto own = read_identity(files);
    if (!own) return fail(own.error());
    auto signer = inspect(own->certificate);
    if (!signer) return fail(std::move(signer).error());
    applicant.signer = std::move(signer->names);
    auto issued = issue(*authority, applicant, now, lifetime);
    if (!issued) return fail(std::move(issued).error());
    return Signed{std::move(*issued), std::move(authority->certificate)};
}

Result<Signed> sign_again(const NodeFiles& files, const RenewBody& body, WallTime now,
                          std::chrono::milliseconds lifetime)
{
    auto authority = read_authority(files);
    if (!authority) return fail(std::move(authority).error());
    auto issued = renew(*authority, body.certificate, body.request, now, lifetime);
    if (!issued) return fail(std::move(issued).error());
    return Signed{std::move(*issued), std::move(authority->certificate)};
}

/// A certificate that is signed and entered, and those it replaces.
struct Entered {
    Signed done;
    std::vector<Issue> replaced;
};

/// Signed before the use of the token is taken: what cannot be signed costs nobody his token.
Task<Result<Entered>> sign_and_enter(CorePtr core, Applicant applicant, TokenGrant token)
{
    auto work = [files = core->files, applicant, now = core->services.clock.now(),
                 lifetime = core->options.certificate_lifetime] {
        return sign_new(files, applicant, now, lifetime);
    };
    auto done = co_await core->thread.run(std::move(work));
    if (!done) co_return fail(std::move(done).error());
    auto replaced = co_await core->ledger.join(done->issued.says, token);
    if (replaced) co_return Entered{std::move(*done), std::move(*replaced)};
    if (applicant.address.empty() || replaced.error().code != Errc::denied)
        co_return fail(std::move(replaced).error());
    // Behind one translated address are many nodes: it is the first one's. Who asked for it is refused again.
    const auto held = co_await core->ledger.held(applicant.address, done->issued.says, token);
    if (!held) co_return fail(held.error());
    if (!*held) co_return fail(std::move(replaced).error());
    applicant.address.clear();
    auto without = co_await sign_and_enter(std::move(core), std::move(applicant), std::move(token));
    co_return without;
}

Task<Response> join(CorePtr core, const http::Request& request)
{
    auto& clock = core->services.clock;
    const auto from = FailureLimiter::key_of(request.caller.address);
    if (core->failures.blocked(from, clock.monotonic())) co_return too_often();
    auto body = parse_join(request.body);
    if (!body) {
        core->failures.failed(from, clock.monotonic());
        co_return refuse(*core, body.error());
    }
    const auto token = co_await core->tokens.check(std::move(body->token));
    if (!token) {
        if (token.error().code == Errc::denied) core->failures.failed(from, clock.monotonic());
        co_return refuse(*core, token.error());
    }
    request.object.add("token", token->id);
    Applicant applicant{std::move(body->request), request.caller.address, {}, token->node};
    const auto entered = co_await sign_and_enter(core, std::move(applicant), *token);
    if (!entered) co_return refuse(*core, entered.error());
    const auto& [done, replaced] = *entered;
    const auto& says = done.issued.says;
    note(request, says);
    core->joined.add();
    core->services.log.info("{} joined from {} with token {}: certificate {} for {} until {}",
                            says.parts.name, request.caller.address, token->id, says.serial,
                            all_names(says.names), rfc3339(says.not_after));
    if (!replaced.empty()) request.object.add("replaced", serials(replaced));
    for (const auto& old : replaced) {
        core->services.log.warning(
            "certificate {} of {} is replaced by {}: it runs until {} and is renewed no "
            "more",
            old.serial, old.node, says.serial, rfc3339(old.not_after));
    }
    co_return answer_with(done);
}

Task<Response> renew_node(CorePtr core, const http::Request& request)
{
    auto body = parse_renew(request.body);
    if (!body) co_return refuse(*core, body.error());
    auto work = [files = core->files, asked = std::move(*body), now = core->services.clock.now(),
                 lifetime = core->options.certificate_lifetime] {
        return sign_again(files, asked, now, lifetime);
    };
    const auto done = co_await core->thread.run(std::move(work));
    if (!done) co_return refuse(*core, done.error());
    const auto& says = done->issued.says;
    note(request, says);
    const auto entered = co_await core->ledger.renew(says);
    if (!entered) co_return refuse(*core, entered.error());
    core->renewed.add();
    core->services.log.info("{} renewed its certificate from {}: {} for {} until {}", says.parts.name,
                            request.caller.address, says.serial, all_names(says.names),
                            rfc3339(says.not_after));
    co_return answer_with(*done);
}

/// What a join command must say beside the token.
struct Meeting {
    std::string cluster;
    std::string fingerprint;
    std::string url;
};

Result<Meeting> read_meeting(const NodeFiles& files)
{
    const auto authority = read_authority(files);
    if (!authority) return fail(authority.error());
    auto cluster = cluster_of(authority->certificate);
    if (!cluster) return fail(std::move(cluster).error());
    auto says = inspect(authority->certificate);
    if (!says) return fail(std::move(says).error());
    auto url = read_issuer(files);
    if (!url) return fail(std::move(url).error());
    return Meeting{std::move(*cluster), std::move(says->fingerprint), std::move(*url)};
}

Task<Response> make_token(CorePtr core, const http::Request& request)
{
    const auto body = parse_token(request.body);
    if (!body) co_return Response::problem(body.error());
    auto read = [files = core->files] { return read_meeting(files); };
    const auto meeting = co_await core->thread.run(std::move(read));
    if (!meeting) co_return Response::problem(meeting.error());
    const auto& terms = *body;
    if (!terms.node.empty()) request.object.add("for", terms.node);
    if (terms.replace) request.object.add("replace", "true");
    const auto token = co_await core->tokens.create(terms);
    if (!token) co_return Response::problem(token.error());
    request.object.add("token", token->id);
    core->services.log.info("join token {} made by {}: {} use(s) until {}, for {}{}", token->id,
                            request.caller.name, terms.uses, rfc3339(token->expires),
                            terms.node.empty() ? "any node" : terms.node,
                            terms.replace ? ", which may replace its certificate" : "");
    const nlohmann::json answer{{"token", token->text},
                                {"id", token->id},
                                {"expires", rfc3339(token->expires)},
                                {"uses", terms.uses},
                                {"for", terms.node},
                                {"replace", terms.replace},
                                {"cluster", meeting->cluster},
                                {"fingerprint", meeting->fingerprint},
                                {"url", meeting->url}};
    auto response = Response::json(answer.dump(), 201);
    co_return std::move(response.with("Cache-Control", "no-store"));
}

Task<Response> revoke_tokens(CorePtr core)
{
    const auto revoked = co_await core->tokens.revoke_all();
    if (!revoked) co_return Response::problem(revoked.error());
    core->services.log.info("{} join token(s) revoked", *revoked);
    co_return Response::no_content();
}

Task<Response> revoke_certificates(CorePtr core, const http::Request& request)
{
    std::string which{request.path_params.get("certificate")};
    const auto revoked = co_await core->ledger.revoke(std::move(which));
    if (!revoked) co_return Response::problem(revoked.error());
    request.object.add("revoked", serials(*revoked));
    auto all = nlohmann::json::array();
    for (const auto& issue : *revoked) {
        core->services.log.warning(
            "certificate {} of {} is revoked by {}: it runs until {} and is renewed no "
            "more",
            issue.serial, issue.node, request.caller.name, rfc3339(issue.not_after));
        all.push_back(
            {{"node", issue.node}, {"serial", issue.serial}, {"not_after", rfc3339(issue.not_after)}});
    }
    const nlohmann::json answer{{"revoked", std::move(all)}};
    co_return Response::json(answer.dump());
}

}  // namespace

std::vector<http::Route> routes_of(const CorePtr& core)
{
    const auto token = [core](const http::Request& r) { return make_token(core, r); };
    const auto revoke = [core](const http::Request&) { return revoke_tokens(core); };
    const auto withdraw = [core](const http::Request& r) { return revoke_certificates(core, r); };
    const auto joins = [core](const http::Request& r) { return join(core, r); };
    const auto renews = [core](const http::Request& r) { return renew_node(core, r); };
    return {
        {Method::post,
         "/api/v1/cluster/tokens",
         Access::admin,
         "Make a join token, on the node with the authority: {\"lifetime\": \"30m\", \"uses\": 1, \"for\": "
         "NODE, \"replace\": false}; its text is shown this once",
         token,
         {},
         true},
        {Method::del,
         "/api/v1/cluster/tokens",
         Access::admin,
         "Make all join tokens useless",
         revoke,
         {},
         true},
        {Method::del,
         "/api/v1/cluster/certificates/{certificate}",
         Access::admin,
         "Renew the certificates of a node no more (its name, an address of it, or a serial number), on the "
         "node "
         "with the authority; they run on until they end",
         withdraw,
         {},
         true},
        {Method::post,
         "/api/v1/cluster/join",
         Access::open,
         "A certificate for a new node: {\"token\": \"join_...\", \"request\": PEM}; `opsd cluster join` "
         "calls it",
         joins,
         {},
         true},
        {Method::post,
         "/api/v1/cluster/renew",
         Access::read,
         "The same certificate with a later end: {\"certificate\": PEM, \"request\": PEM signed by its key}",
         renews,
         {},
         true},
    };
}

}  // namespace opsd::pki
