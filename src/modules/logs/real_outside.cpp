// The journal itself behind the module, and the module's line in the catalog.

#include "io/systemd/machine.hpp"
#include "modules/logs/module.hpp"

namespace opsd::logs {
namespace {

systemd::FollowerLimits follower_limits(const FollowOptions& options)
{
    return {.poll = options.poll,
            .subscribers = static_cast<std::size_t>(options.clients),
            .handles = static_cast<std::size_t>(options.handles),
            .queue_bytes = static_cast<std::size_t>(options.queue.count)};
}

Outside real_outside(const LogsOptions& options, const Services& services,
                     std::shared_ptr<net::PeersPlace> peers)
{
    const auto readers = std::make_shared<systemd::JournalReaders>(services.paths.journal,
                                                                   static_cast<std::size_t>(options.threads));
    const auto follower =
        std::make_shared<systemd::JournalFollower>(services.paths.journal, follower_limits(options.follow));
    Outside outside;
    outside.read = [readers](systemd::JournalRange range, std::unique_ptr<systemd::EntryWriter> writer) {
        return [readers, reading = systemd::JournalReaders::open(std::move(range), std::move(writer))](
                   systemd::SliceLimits limits) { return readers->next(reading, limits); };
    };
    outside.follow = [follower](systemd::FollowKey key, systemd::JournalFollower::MakeWriter make_writer,
                                std::string position) {
        return follower->join(std::move(key), std::move(make_writer), std::move(position));
    };
    outside.values = [readers](std::string field, std::size_t most) {
        return readers->values(std::move(field), most);
    };
    outside.run = [follower] { return follower->run(); };
    outside.boot_id = systemd::boot_id();
    outside.waiting = [readers] { return readers->waiting(); };
    outside.handles = [follower] { return follower->handles(); };
    outside.elsewhere = real_elsewhere(options, services, std::move(peers));
    return outside;
}

Result<std::unique_ptr<Module>> create(const config::Value* section, Services& services,
                                       std::shared_ptr<net::PeersPlace> peers)
{
    config::Mistakes mistakes;
    auto options = schema().parse(section, "logs", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    const auto valid = validate(options);
    if (!valid) return fail(valid.error());
    auto outside = real_outside(options, services, std::move(peers));
    return std::make_unique<LogsModule>(std::move(options), services, std::move(outside));
}

}  // namespace

CatalogEntry catalog_entry(std::shared_ptr<net::PeersPlace> peers)
{
    auto make = [peers = std::move(peers)](const config::Value* section, Services& services) {
        return create(section, services, peers);
    };
    return {"logs", "The journal and the logs of tasks for clients", config::AnySchema{schema()},
            std::move(make)};
}

}  // namespace opsd::logs
