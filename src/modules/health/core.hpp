#pragma once
// Everything one instance of the module consists of, shared with its handlers: a request or an event stream
// in flight keeps what it reads.

#include "core/read_slots.hpp"
#include "modules/health/evidence_task.hpp"
#include "modules/health/explain/explainer.hpp"
#include "modules/health/history.hpp"
#include "modules/health/publisher.hpp"
#include "modules/health/render.hpp"
#include "modules/health/source.hpp"
#include "opsd/module.hpp"

#include <map>
#include <string>

namespace opsd::health {

/// What is wrong with the module, part by part, as one state for the daemon.
class Troubles {
public:
    explicit Troubles(ModuleReporter& status) : status_{status} {}

    /// "" mends the part. `fatal`: without it the module cannot do its job.
    void set(const std::string& part, const std::string& sentence, bool fatal = false);
    /// The first look can be asked for: until then the daemon shows `starting`, and READY=1 waits.
    void started();

private:
    struct Trouble {
        std::string sentence;
        bool fatal = false;
    };
    void report();

    ModuleReporter& status_;
    std::map<std::string, Trouble> parts_;
    bool started_ = false;
};

/// What the module asks of the outside; tests bring their own.
struct Outside {
    Source::Connect connect;
    Source::ReadWants read_wants;
    EvidenceTask::Read read_journal;
    std::string boot_id;
    std::function<Task<Result<explain::Answers>>(explain::Questions)> look = {};  ///< at files and packages
};

struct Core {
    Core(HealthOptions settings, Services& services, Outside outside);
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    void take(Effects effects);

    HealthOptions options;
    Services& services;
    std::string boot_id;
    Troubles troubles;
    Tracker tracker;
    Publisher publisher;
    History history;
    ReadSlots readers;  ///< of the history, for answers
    EvidenceTask evidence;
    Source source;
    explain::Explainer explainer;
    DcosAnswer dcos;
    std::uint64_t streams = 0;
};

}  // namespace opsd::health
