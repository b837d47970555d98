#pragma once
// The daemon's own sections of a configuration, parsed and checked.

#include "daemon/options.hpp"
#include "http/auth_options.hpp"

#include <expected>
#include <string>
#include <vector>

namespace opsd::daemon {

struct Plan {
    NodeOptions node;
    LogOptions log;
    HttpOptions http;
    http::AuthOptions auth;
    StoreSection store;
    config::Value root;  ///< the whole document; modules parse their own sections of it
};

/// Parses the daemon's sections of a document that config::load() has accepted.
std::expected<Plan, config::Mistakes> make_plan(config::Value root);

/// Settings that only a restart changes and that differ from what runs ("http.listen").
[[nodiscard]] std::vector<std::string> restart_needed(const config::Value& running,
                                                      const config::Value& wanted);

}  // namespace opsd::daemon
