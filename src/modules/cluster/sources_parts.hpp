#pragma once
// What the sources have in common, and each of them.

#include "io/mesos/masters.hpp"
#include "modules/cluster/sources.hpp"

#include <map>
#include <optional>
#include <random>

namespace opsd::cluster {

/// When a source asks again: its interval, or after failures in a row 1 s, 2 s, 4 s ... up to the longer of
/// the interval and a minute; each a tenth more or less by chance, so that masters do not ask in step.
class Pace {
public:
    Pace(std::chrono::milliseconds interval, std::uint32_t seed) : interval_{interval}, random_{seed} {}
    [[nodiscard]] std::chrono::milliseconds after(bool good);

private:
    std::chrono::milliseconds interval_;
    std::minstd_rand random_;
    int failures_ = 0;
};

/// What came of asking once.
struct Round {
    std::optional<std::vector<FoundMember>> members;  ///< nothing: the last list stays
    std::string doubt;     ///< why there is no list, or what is wrong with it; "": all is well
    std::string mesos_id;  ///< "" when not told
};

class Source {
public:
    Source(std::string source_name, std::chrono::milliseconds interval)
      : name{std::move(source_name)}
      , pace{interval, std::random_device{}()}
    {}
    virtual ~Source() = default;
    Source(const Source&) = delete;
    Source& operator=(const Source&) = delete;

    /// Asks once; ends within the source's timeout.
    virtual Task<Round> look() = 0;
    /// Returns when there is reason to ask before the interval is over.
    virtual Task<> news();

    const std::string name;
    Pace pace;
    std::string doubt;      ///< of the last round
    bool answered = false;  ///< it gave a list once
};

/// The time left of a round, by the loop's own clock.
[[nodiscard]] std::chrono::milliseconds left_until(net::Deadline end);

// --- sources_names.cpp
[[nodiscard]] std::unique_ptr<Source> make_static_source(const StaticSource& options, LookUp look_up);
[[nodiscard]] std::unique_ptr<Source> make_dns_source(const DnsSource& options, LookUp look_up);

// --- sources_mesos.cpp; references and shared parts outlive the source
[[nodiscard]] std::unique_ptr<Source> make_mesos_source(const MesosSource& options,
                                                        std::shared_ptr<mesos::MesosMasters> masters);
[[nodiscard]] std::unique_ptr<Source> make_exhibitor_source(const Executor& executor,
                                                            const ExhibitorSource& options,
                                                            const net::TlsClientOptions& tls);
[[nodiscard]] std::unique_ptr<Source> make_zookeeper_source(const ZooKeeperSource& options,
                                                            std::string scheme, MasterNodes& nodes,
                                                            std::shared_ptr<mesos::MesosMasters> masters,
                                                            const Clock& clock);
[[nodiscard]] mesos::MastersOptions masters_options(const SourcesOptions& options,
                                                    const std::string& credentials_directory);

}  // namespace opsd::cluster
