#pragma once
// Module logs: the journal of this node for clients: dcos-log's routes, and /api/v1/logs.
//
// What comes in
//   Questions over HTTP (query). The journal, through a few reader threads and one follower (Outside: slices
//   of a range, chunks of news).
//
// What goes out
//   Entries as dcos-log writes them, and in our own formats (render), as a body, as a stream of slices
//   (answer), or followed for as long as the client listens (stream).
//
// What it promises
//   - A follower gets every entry once and in order: across rotation, when it is slow (it reads on from the
//     journal) and when it comes again with its last id. What was deleted before it could be read is counted
//     and told: X-Journal-Lost, an event, a metric.
//   - Nobody's entry is given to a role that may not read it (logs.allow; units). Every question is audited.
//   - Bounded: answers, followers, text that waits for a client, an entry's and an answer's length; each
//   bound
//     is a setting and a metric.
//   - A stream that ends before its time ends torn: no client takes it for whole.
//
// How it is built: pure logic (options, units, grep, query, render) and thin tasks around it
// (backwards, answer, stream).

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

/// The module's line in the catalog (real_outside.cpp).
[[nodiscard]] CatalogEntry catalog_entry();

}  // namespace opsd::logs
