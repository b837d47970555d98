#pragma once
// The verbs. Each takes parsed options, writes to stdout, says failures on stderr and returns an exit status.

#include "cli/api.hpp"
#include "cli/table.hpp"
#include "opsd/config.hpp"

#include <string>
#include <vector>

namespace opsd::cli {

/// What every command is given.
struct Context {
    Target target;
    bool json = false;  ///< -o json: the API's answer as it is
    Style style;
};

// Nagios plugins: the first line is "OK - ...", "CRITICAL - ..." or "UNKNOWN - ..."; exit 0, 2 or 3 only.
int health(const Context& context);
int unit_show(const Context& context, const std::string& unit);
int cluster_health(const Context& context);
int node_show(const Context& context, const std::string& node);

struct UnitFilter {
    bool unhealthy_only = false;
    std::string state;
};
int unit_list(const Context& context, const UnitFilter& filter);
int unit_history(const Context& context, const std::string& unit, int limit);
/// Why a unit is as it is. Readable text or the whole document.
int explain(const Context& context, const std::string& unit);
int unit_ack(const Context& context, const std::string& unit, const std::string& duration,
             const std::string& reason);
int unit_unack(const Context& context, const std::string& unit);
int unit_nodes(const Context& context, const std::string& unit);

int node_list(const Context& context, bool unhealthy_only);
int node_forget(const Context& context, const std::string& node);
int node_ack(const Context& context, const std::string& node, const std::string& duration,
             const std::string& reason);
int node_unack(const Context& context, const std::string& node);

/// An empty name: all outputs.
int forward_status(const Context& context, const std::string& output);
int forward_pause(const Context& context, const std::string& output);
int forward_resume(const Context& context, const std::string& output);
/// `from`: how long ago, a time, a cursor or "beginning".
int forward_replay(const Context& context, const std::string& output, const std::string& from);
/// Sends a probe; exit_failed when the far side does not take it.
int forward_test(const Context& context, const std::string& output);

int token_create(const Context& context, const std::string& name, const std::string& role,
                 const std::string& lifetime);
int token_list(const Context& context);
int token_revoke(const Context& context, const std::string& id);
int user_add(const Context& context, const std::string& name, const std::string& role);
int user_passwd(const Context& context, const std::string& name);
int user_remove(const Context& context, const std::string& name);
int user_list(const Context& context);

int config_check(const config::Sources& sources, const std::string& credentials_directory);
int config_show(const config::Sources& sources);
int config_schema();
/// Generated pages: "api", "configuration", "example".
int docs(const std::string& page);

/// Says a failure on stderr and returns its exit status.
int report(const Error& error);

}  // namespace opsd::cli
