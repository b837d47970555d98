#include "opsd/result.hpp"

#include "opsd/model.hpp"

namespace opsd {

std::string_view to_string(Errc code) noexcept
{
    switch (code) {
    case Errc::invalid_argument:
        return "invalid_argument";
    case Errc::not_found:
        return "not_found";
    case Errc::denied:
        return "denied";
    case Errc::timeout:
        return "timeout";
    case Errc::cancelled:
        return "cancelled";
    case Errc::unavailable:
        return "unavailable";
    case Errc::protocol:
        return "protocol";
    case Errc::internal:
        return "internal";
    }
    return "unknown";
}

Error Error::wrap(std::string_view context) &&
{
    message.insert(0, std::string{context} + ": ");
    return std::move(*this);
}

std::string_view to_string(ModuleCondition condition) noexcept
{
    switch (condition) {
    case ModuleCondition::starting:
        return "starting";
    case ModuleCondition::running:
        return "running";
    case ModuleCondition::degraded:
        return "degraded";
    case ModuleCondition::failed:
        return "failed";
    case ModuleCondition::stopped:
        return "stopped";
    }
    return "unknown";
}

}  // namespace opsd
