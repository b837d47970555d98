#pragma once
// The routes, by what they are about. Handlers keep `core` alive.

#include "modules/dcos/core.hpp"
#include "opsd/http.hpp"

#include <memory>
#include <vector>

namespace opsd::dcos {

/// What `dcos cluster setup` asks, the plugin it installs included (setup_routes.cpp, plugins.cpp).
std::vector<http::Route> setup_routes(const std::shared_ptr<Core>& core);
std::vector<http::Route> plugin_routes(const std::shared_ptr<Core>& core);
/// What is handed on to the leading Mesos master and to agents (mesos_routes.cpp).
std::vector<http::Route> mesos_routes(const std::shared_ptr<Core>& core);
/// What is handed on to Marathon (marathon.cpp).
std::vector<http::Route> marathon_routes(const std::shared_ptr<Core>& core);
/// Names of Mesos-DNS, and the nodes' public addresses (names.cpp).
std::vector<http::Route> name_routes(const std::shared_ptr<Core>& core);
/// What opsd does not have yet, said in the shape that the command line shows (absent.cpp).
std::vector<http::Route> absent_routes();

}  // namespace opsd::dcos
