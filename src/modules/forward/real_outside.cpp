// The journal itself and real far sides behind the module, and the module's line in the catalog.

#include "io/systemd/journal_readers.hpp"
#include "io/systemd/machine.hpp"
#include "modules/forward/module.hpp"
#include "modules/forward/task_agent.hpp"

#include <random>

namespace opsd::forward {
namespace {

using namespace std::chrono_literals;

/// Records wait for others anyway (batch.age): the end of the journal is looked at less often than for
/// people.
systemd::FollowerLimits follower_limits(const ForwardOptions& options)
{
    systemd::FollowerLimits limits;
    limits.poll = 100ms;
    limits.subscribers = options.outputs.size();
    limits.handles = options.outputs.size();
    return limits;
}

Outside real_outside(const ForwardOptions& options, const Services& services, sandbox::MakeOpener open_tasks)
{
    const auto readers = std::make_shared<systemd::JournalReaders>(services.paths.journal,
                                                                   static_cast<std::size_t>(options.threads));
    const auto follower =
        std::make_shared<systemd::JournalFollower>(services.paths.journal, follower_limits(options));
    Outside outside;
    outside.journal.read = [readers](systemd::JournalRange range,
                                     std::unique_ptr<systemd::EntryWriter> writer) {
        return [readers, reading = systemd::JournalReaders::open(std::move(range), std::move(writer))](
                   systemd::SliceLimits limits) { return readers->next(reading, limits); };
    };
    outside.journal.follow = [follower](systemd::FollowKey key,
                                        systemd::JournalFollower::MakeWriter make_writer,
                                        std::string position) {
        return follower->join(std::move(key), std::move(make_writer), std::move(position));
    };
    outside.run = [follower] { return follower->run(); };
    outside.make_sink = [](const OutputOptions& output, const SinkServices& sink) {
        return find_kind(output.type)->sink(output, sink);
    };
    outside.tasks = real_task_world(options.tasks, services, std::move(open_tasks));
    outside.own_unit = systemd::own_unit();
    outside.seed = std::random_device{}();
    return outside;
}

Result<std::unique_ptr<Module>> create(const config::Value* section, Services& services,
                                       const sandbox::MakeOpener& open_tasks)
{
    config::Mistakes mistakes;
    auto options = schema().parse(section, "forward", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    const auto valid = validate(options);
    if (!valid) return fail(valid.error());
    auto outside = real_outside(options, services, open_tasks);
    return std::make_unique<ForwardModule>(std::move(options), services, std::move(outside));
}

}  // namespace

CatalogEntry catalog_entry(sandbox::MakeOpener open_tasks)
{
    auto make = [open_tasks = std::move(open_tasks)](const config::Value* section, Services& services) {
        return create(section, services, open_tasks);
    };
    return {"forward", "The journal and the logs of tasks to where logs are kept",
            config::AnySchema{schema()}, std::move(make)};
}

}  // namespace opsd::forward
