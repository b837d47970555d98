#include "modules/pki/module.hpp"

#include <fmt/format.h>

namespace opsd::pki {

using namespace std::chrono_literals;

namespace {

constexpr std::chrono::milliseconds watch_interval = 1h;

/// The certificates of this node; nothing when it is in no cluster.
struct Held {
    Certificate node;
    Certificate authority;
    bool signs = false;  ///< has the authority's key
};

Result<Held> read_held(const NodeFiles& files)
{
    const auto found = read_identity(files);
    if (!found) return fail(found.error());
    auto node = inspect(found->certificate);
    if (!node) return fail(std::move(node).error().wrap(files.certificate));
    auto authority = inspect(found->authority);
    if (!authority) return fail(std::move(authority).error().wrap(files.authority));
    return Held{std::move(*node), std::move(*authority), read_authority(files).has_value()};
}

void show_expiry(telemetry::Registry& metrics, const std::string& which, const Certificate& certificate)
{
    const auto seconds = std::chrono::duration<double>{certificate.not_after.time_since_epoch()}.count();
    metrics
        .gauge("opsd_pki_certificate_not_after_seconds",
               "When a certificate of this node in its cluster expires, Unix time", {{"certificate", which}})
        .set(seconds);
}

/// `room`: for further certificates, where they are signed.
void judge(Core& core, const Result<Held>& held, const Result<bool>& room)
{
    if (!held && held.error().code == Errc::not_found) return core.services.status.running();
    if (!held) return core.services.status.degraded(held.error().message);
    show_expiry(core.services.metrics, "node", held->node);
    show_expiry(core.services.metrics, "authority", held->authority);
    const auto latest = core.services.clock.now() + core.options.warn_before;
    if (held->node.not_after <= latest) {
        return core.services.status.degraded(fmt::format(
            "the certificate {} ends at {}: run `opsd cluster renew`, or join again when it is over",
            core.files.certificate, rfc3339(held->node.not_after)));
    }
    if (held->authority.not_after <= latest) {
        return core.services.status.degraded(
            fmt::format("the authority of the cluster ends at {}: found it anew with `opsd cluster init`",
                        rfc3339(held->authority.not_after)));
    }
    if (!room) return core.services.status.degraded(room.error().message);
    if (!*room) {
        return core.services.status.degraded(fmt::format(
            "cannot let further nodes join: {} certificates run (pki.issued_certificates); raise that",
            core.options.issued_certificates));
    }
    core.services.status.running();
}

Result<std::unique_ptr<Module>> create(const config::Value* section, Services& services)
{
    config::Mistakes mistakes;
    auto options = schema().parse(section, "pki", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    return std::make_unique<PkiModule>(std::move(options), services);
}

telemetry::Counter& signed_counter(Services& services, const std::string& why)
{
    return services.metrics.counter("opsd_pki_certificates_total", "Certificates signed for other nodes",
                                    {{"for", why}});
}

}  // namespace

Core::Core(PkiOptions wanted, Services& given)
  : options{std::move(wanted)}
  , files{options.directory}
  , services{given}
  , tables{given.store}
  , tokens{tables, given.clock, options.join_tokens}
  , ledger{tables, given.clock, options.issued_certificates,
           given.metrics.gauge("opsd_pki_issued_certificates",
                               "Running certificates that this node signed for others and remembers; at most "
                               "pki.issued_certificates")}
  , thread{"opsd-pki", 16}
  , joined{signed_counter(given, "join")}
  , renewed{signed_counter(given, "renew")}
  , refused{given.metrics.counter("opsd_pki_refused_total", "Joins and renewals that were refused")}
{}

PkiModule::PkiModule(PkiOptions options, Services& services)
  : core_{std::make_shared<Core>(std::move(options), services)}
{}

std::vector<http::Route> PkiModule::routes() { return routes_of(core_); }

Task<> PkiModule::run()
{
    const auto core = core_;
    for (;;) {
        auto read = [files = core->files] { return read_held(files); };
        const auto held = co_await core->thread.run(std::move(read));
        Result<bool> room = true;
        if (held && held->signs) room = co_await core->ledger.tidy();
        judge(*core, held, room);
        co_await core->services.clock.sleep_for(watch_interval);
    }
}

CatalogEntry catalog_entry()
{
    return {"pki", "Certificates of a cluster's nodes: who signs them, and when they end",
            config::AnySchema{schema()}, create};
}

}  // namespace opsd::pki
