#pragma once
// Where the daemon listens: the sockets passed by systemd, else what section http says.

#include "daemon/options.hpp"
#include "opsd/log.hpp"
#include "opsd/worker.hpp"

#include <map>
#include <string>

namespace opsd::daemon {

/// The listeners of section http that have TLS, by address and port.
[[nodiscard]] std::map<std::string, http::Listener> tls_listeners(const HttpOptions& options);

/// Opens every listener; certificates and directories are seen to on `files`. The references outlive it.
Task<Result<>> open_listeners(http::Server& server, HttpOptions options, WorkerThread& files, Log log);

}  // namespace opsd::daemon
