#include "modules/cluster/sources.hpp"

#include "core/first_of.hpp"
#include "io/mesos/directory.hpp"
#include "modules/cluster/sources_parts.hpp"
#include "modules/cluster/sources_zookeeper.hpp"

#include <algorithm>
#include <cmath>

namespace opsd::cluster {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

constexpr milliseconds shortest_pause = 1s;  // news may come in a storm

}  // namespace

milliseconds Pace::after(bool good)
{
    constexpr int most_doublings = 20;
    auto time = interval_;
    if (good) {
        failures_ = 0;
    } else {
        const auto longest = std::max(interval_, milliseconds{1min});
        time = std::min(longest, milliseconds{1s} * (1 << std::min(failures_, most_doublings)));
        ++failures_;
    }
    const auto tenth = time.count() / 10;
    std::uniform_int_distribution<milliseconds::rep> chance{-tenth, tenth};
    return time + milliseconds{chance(random_)};
}

milliseconds left_until(net::Deadline end)
{
    const auto left = end - std::chrono::steady_clock::now();
    return std::max(std::chrono::ceil<milliseconds>(left), milliseconds{0});
}

Task<> Source::news()
{
    const auto executor = co_await asio::this_coro::executor;
    asio::steady_timer timer{executor, never};
    for (;;)
        co_await wait_event(timer);
}

/// The masters, and the thread that parses large answers and reads secrets.
struct MemberSources::Mesos {
    Mesos(const Executor& executor, mesos::MastersOptions options)
      : worker{"cluster-parse", 16}
      , masters{executor, std::move(options), worker}
    {}
    RetiringWorker worker;
    mesos::MesosMasters masters;
};

MemberSources::MemberSources(const SourcesOptions& options, SourceServices services, MemberSink& sink)
  : services_{std::move(services)}
  , sink_{sink}
{
    const auto& s = services_;
    if (any_host(options.fixed)) sources_.push_back(make_static_source(options.fixed, s.look_up));
    if (!options.dns.names.items.empty()) sources_.push_back(make_dns_source(options.dns, s.look_up));
    const bool zookeeper = !options.zookeeper.address.text.empty();
    mesos::MasterDirectory::of(s.executor)
        .configure(masters_options(options, s.credentials_directory), options.mesos.scheme, zookeeper,
                   s.clock.now());
    if (zookeeper || !options.mesos.masters.items.empty()) {
        mesos_ = std::make_shared<Mesos>(s.executor, masters_options(options, s.credentials_directory));
        auto masters = mesos();
        if (zookeeper) {
            masters_ = s.masters ? std::move(services_.masters)
                                 : make_master_nodes(options, s.executor, s.clock, s.log, mesos_->worker,
                                                     s.credentials_directory);
            sources_.push_back(
                make_zookeeper_source(options.zookeeper, options.mesos.scheme, *masters_, masters, s.clock));
        }
        sources_.push_back(make_mesos_source(options.mesos, std::move(masters)));
    }
    if (!options.exhibitor.url.text.empty()) {
        net::TlsClientOptions tls{.ca_file = options.tls.ca_file,
                                  .certificate_file = options.tls.certificate_file,
                                  .key_file = options.tls.key_file};
        sources_.push_back(make_exhibitor_source(s.executor, options.exhibitor, tls));
    }
}

MemberSources::~MemberSources() = default;

std::shared_ptr<mesos::MesosMasters> MemberSources::mesos() const
{
    return mesos_ ? std::shared_ptr<mesos::MesosMasters>{mesos_, &mesos_->masters} : nullptr;
}

std::vector<std::string> MemberSources::names() const
{
    std::vector<std::string> all;
    for (const auto& source : sources_)
        all.push_back(source->name);
    return all;
}

void MemberSources::start(TaskGroup& group)
{
    if (masters_) group.spawn("zookeeper session", masters_->run());
    for (const auto& source : sources_)
        group.spawn("source " + source->name, follow(*source));
}

Task<> MemberSources::follow(Source& source)
{
    for (;;) {
        const auto began = std::chrono::steady_clock::now();
        auto round = co_await source.look();
        const auto took = std::chrono::steady_clock::now() - began;
        const bool good = round.doubt.empty();
        report(source, std::move(round), std::chrono::duration<double>{took}.count());
        const auto pause = source.pace.after(good);
        const auto first = std::min(pause, shortest_pause);
        co_await services_.clock.sleep_for(first);
        co_await first_of(services_.clock.sleep_for(pause - first), source.news());
    }
}

void MemberSources::report(Source& source, Round round, double seconds)
{
    const auto& name = source.name;
    auto& metrics = services_.metrics;
    const bool listed = round.members.has_value();
    const bool doubtful = !round.doubt.empty();
    const auto* outcome = !doubtful ? "ok" : listed ? "partly" : "failed";
    metrics
        .counter("opsd_cluster_source_rounds_total", "Times a source of members was asked",
                 {{"source", name}, {"outcome", outcome}})
        .add();
    metrics
        .histogram("opsd_cluster_source_seconds", "How long a source of members took",
                   telemetry::latency_bounds, {{"source", name}})
        .observe(seconds);
    const auto members = listed ? round.members->size() : 0;
    if (listed) {
        metrics
            .gauge("opsd_cluster_source_members", "Members in the last list of a source", {{"source", name}})
            .set(static_cast<double>(members));
        metrics
            .gauge("opsd_cluster_source_listed_timestamp_seconds", "When a source last gave its list",
                   {{"source", name}})
            .set(std::chrono::duration<double>{services_.clock.now().time_since_epoch()}.count());
        sink_.found(name, std::move(*round.members));
    }
    if (doubtful && round.doubt != source.doubt) services_.log.warning("{}: {}", name, round.doubt);
    if (!doubtful && (!source.doubt.empty() || !source.answered))
        services_.log.info("{} names {} members", name, members);
    source.doubt = round.doubt;
    source.answered = source.answered || listed;
    if (!round.mesos_id.empty() && round.mesos_id != mesos_id_) {
        mesos_id_ = round.mesos_id;
        sink_.mesos_id(mesos_id_);
    }
    if (doubtful) sink_.failed(name, std::move(round.doubt));
}

}  // namespace opsd::cluster
