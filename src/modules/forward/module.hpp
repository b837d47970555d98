#pragma once
// Module forward: the journal of this node and the files of its Mesos tasks to where logs are kept:
// Elasticsearch or OpenSearch, Splunk, Kafka, a file and others.
//
// What comes in
//   The journal, through reader threads and one follower (Outside). Files of tasks, through a thread of each
//   output and what opens them (task_folder.hpp); what the Mesos agent says of them. What far sides answer.
//   Over HTTP: pause, resume, replay, test, resend.
//
// What goes out
//   Records to far sides, without secrets (pipeline/redaction.hpp), with the labels node, role and cluster;
//   the unit is service.name. GET /api/v1/forward, metrics. In the state directory: positions, dead letters,
//   what is paused.
//
// What it promises
//   - At least once, for each output by itself: its position moves when the far side has confirmed, across a
//     kill at any point. What was vacuumed before it could be read is counted.
//   - A far side that is slow or away stops the reading of its own output; nothing is held beyond its memory,
//     and the journal is the buffer.
//   - in = acknowledged + pending + dead_lettered + lost, at every moment.
//   - It does not forward what it says about forwarding itself (filter.hpp).
//   - Nothing is written to disk while nothing is delivered.
//
// How it is built: pure logic (options, filter, place, lag, render) and thin tasks around it (journal_source,
// output, core) over src/pipeline; outputs.hpp has a row for each kind of far side. Tasks: task_stream reads
// one name through its rotations, task_files all of them, task_ledger knows how far, task_source is the
// source.

#include "io/sandbox/opener.hpp"
#include "modules/forward/core.hpp"

namespace opsd::forward {

class ForwardModule final : public Module {
public:
    ForwardModule(ForwardOptions options, Services& services, Outside outside);

    std::vector<http::Route> routes() override;
    Task<> run() override;

private:
    std::shared_ptr<Core> core_;
};

/// The module's line in the catalog (real_outside.cpp). `open_tasks` is called by create(): the reader behind
/// it has one folder, the first that is asked for while the daemon starts.
[[nodiscard]] CatalogEntry catalog_entry(sandbox::MakeOpener open_tasks = sandbox::make_own_opener);

}  // namespace opsd::forward
