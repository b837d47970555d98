#pragma once
// The routes of tokens, users and the login.

#include "http/auth_default.hpp"
#include "http/tokens.hpp"
#include "opsd/http.hpp"

#include <vector>

namespace opsd::http {

/// The references must outlive the routes.
std::vector<Route> auth_routes(TokenStore& store, DefaultAuthenticator& authenticator, const Clock& clock);

}  // namespace opsd::http
