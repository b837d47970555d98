#pragma once
// On whose behalf a question is asked: the caller himself, or, when another node passes his question on, whom
// that node says. What it says can only take away: nobody gets more by saying something here. Pure.

#include "io/net/client.hpp"
#include "opsd/http.hpp"

#include <string>
#include <string_view>

namespace opsd::logs {

/// Marks a question that was passed on, as DC/OS's Admin Router does: it is not passed on again.
inline constexpr std::string_view forwarded_header = "dcos-forwarded";
[[nodiscard]] bool was_forwarded(const http::Request& request);

/// What Mesos is shown: X-Opsd-Mesos-Authorization of the caller, else foreign_authorization(). "" when he
/// has none.
[[nodiscard]] std::string authorization_for_mesos(const http::Request& request);

/// What he may do: the lesser of his role and the one that the passing node gives him, a viewer at least.
[[nodiscard]] http::Role role_of(const http::Request& request);

/// The same question for another node: what it must know of the caller, and what it needs to answer alike.
/// `target`: path and query there.
[[nodiscard]] net::ClientRequest forwarded(const http::Request& request, std::string target);

/// "?a=b&c=d" as it came, percent-encoded anew; "" without a query. `without`: a name that is left out.
[[nodiscard]] std::string query_text(const http::Params& query, std::string_view without = {});

}  // namespace opsd::logs
