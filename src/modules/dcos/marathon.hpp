#pragma once
// Where Marathon is: by the settings, else by what its framework tells Mesos.

#include "modules/dcos/core.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace opsd::dcos {

/// The webui_url of the active framework of that name, in an answer to GET_FRAMEWORKS. Pure.
/// Errc::unavailable, protocol.
Result<std::string> webui_of(std::string_view frameworks, std::string_view name);

/// Marathon's base URL without a slash at its end.
Task<Result<std::string>> marathon_url(std::shared_ptr<Core> core);

}  // namespace opsd::dcos
