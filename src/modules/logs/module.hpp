#pragma once
// Module logs: the journal and the logs of tasks for clients: dcos-log's routes, and /api/v1/logs.
//
// What comes in
//   Questions over HTTP (query). The journal, through a few reader threads and one follower (Outside: slices
//   of a range, chunks of news). Files of tasks, over this node's Mesos agent; where a task ran, by the
//   leading master's word; answers of other nodes (Elsewhere).
//
// What goes out
//   Entries as dcos-log writes them, and in our own formats (render), as a body, as a stream of slices
//   (answer), or followed for as long as the client listens (stream). Lines and files of tasks (task_routes).
//   What another node answers, as it comes (relay), and what several nodes answer, merged by time (many).
//
// What it promises
//   - A follower gets every entry once and in order: across rotation, when it is slow (it reads on from the
//     journal) and when it comes again with its last id. What was deleted before it could be read is counted
//     and told: X-Journal-Lost before an answer, within it an event or a line (a format without a word for
//     it ends torn), a metric.
//   - Nobody's entry is given to a role that may not read it (logs.allow; units), neither here nor by way of
//     another node. Every question is audited.
//   - A node that does not answer is named, never silently left out.
//   - Bounded: answers, followers, text that waits for a client, an entry's and an answer's length; each
//   bound
//     is a setting and a metric.
//   - A stream that ends before its time ends torn: no client takes it for whole.
//
// How it is built: pure logic (options, units, grep, query, render, sandbox_*, caller, nodes, node_lines) and
// thin tasks around it (backwards, answer, stream, task_answers, task_service, relay, many).

#include "modules/logs/core.hpp"
#include "opsd/module.hpp"

namespace opsd::logs {

class LogsModule final : public Module {
public:
    LogsModule(LogsOptions options, Services& services, Outside outside);

    std::vector<http::Route> routes() override;
    Task<> run() override;

private:
    std::shared_ptr<Core> core_;
};

/// The module's line in the catalog (real_outside.cpp). `peers`: what module cluster offers.
[[nodiscard]] CatalogEntry catalog_entry(std::shared_ptr<net::PeersPlace> peers);

}  // namespace opsd::logs
