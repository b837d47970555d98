#include "modules/dcos/core.hpp"

#include <fmt/format.h>

#include <utility>

namespace opsd::dcos {

Core::Core(DcosOptions settings, Services& given, Outside from)
  : options{std::move(settings)}
  , services{given}
  , outside{std::move(from)}
  , worker{"dcos", 64}
  , mesos{given.executor, given.clock, worker, options.mesos}
  , marathon_client{given.executor}
{}

Result<Core::Place> Core::take_place(const std::shared_ptr<Core>& core)
{
    if (core->places >= core->options.mesos.concurrent) {
        ++core->counters.refused;
        return fail(Errc::unavailable, fmt::format("cannot hand the question on: {} are being answered "
                                                   "(dcos.mesos.concurrent); try again in a few seconds",
                                                   core->places));
    }
    ++core->places;
    // The pointer is only a key to the place.
    return Place{core.get(), [core](void*) { --core->places; }};
}

std::optional<std::string> Core::shown_to_masters(const http::Request& request) const
{
    if (options.mesos.authorization == "own") return std::nullopt;
    if (options.mesos.authorization == "none") return std::string{};
    return std::string{foreign_authorization(request)};
}

}  // namespace opsd::dcos
