#pragma once
// Errors as values. Expected failures travel as Result<T>; exceptions are bugs and cancellation, and stop at
// the edge of a module.

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace opsd {

/// What kind of failure it was: only what some caller decides by.
enum class Errc {
    invalid_argument,  ///< the request or the configuration is wrong; a retry cannot help
    not_found,         ///< the thing does not exist
    denied,            ///< we, or the caller, may not
    timeout,           ///< the deadline passed; worth a retry
    cancelled,         ///< we are stopping, or the caller lost interest
    unavailable,       ///< the other side is down or refused, or the disk is full; worth a retry
    protocol,          ///< the other side answered something we cannot read
    internal,          ///< a bug or a failure of this machine (no memory, no descriptors)
};

/// The code's name, for logs, metrics and JSON ("not_found").
std::string_view to_string(Errc code) noexcept;

/// A failure: a code to decide by and one sentence for the operator. The sentence begins with "cannot", names
/// the thing, says why and what to do next, and has no period at its end.
struct Error {
    Errc code = Errc::internal;
    std::string message;

    /// Adds what was attempted in front: "scrape mesos: cannot connect to ...". At most once per layer.
    [[nodiscard]] Error wrap(std::string_view context) &&;

    /// Is the same request worth repeating later?
    [[nodiscard]] bool retryable() const noexcept
    {
        return code == Errc::timeout || code == Errc::unavailable;
    }
};

/// A value or the reason why there is none.
template <class T = void>
using Result = std::expected<T, Error>;

/// `return fail(Errc::not_found, "cannot ...");` in any function that returns a Result.
[[nodiscard]] inline std::unexpected<Error> fail(Errc code, std::string message)
{
    return std::unexpected<Error>{Error{code, std::move(message)}};
}

/// Passes an error on: `if (!x) return fail(std::move(x).error());`
[[nodiscard]] inline std::unexpected<Error> fail(Error error)
{
    return std::unexpected<Error>{std::move(error)};
}

}  // namespace opsd
