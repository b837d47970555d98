#pragma once
// The properties of a unit that we need: one table for GetAll's answer and for PropertiesChanged. What is not
// in it is skipped unread, whatever its type.

#include "opsd/model.hpp"

#include <string>
#include <string_view>

struct sd_bus_message;

namespace opsd::systemd {

/// What GetAll says beyond UnitFacts.
struct PendingJob {
    std::uint32_t id = 0;  ///< 0: none
    std::string path;
};

/// Reads the a{sv} at the message's position into `facts`. `is_service`: Type is that of a service, not a
/// mount's file system. False when a needed property has a type that we do not know, or the message is
/// broken; the rest is written nevertheless.
bool read_properties(sd_bus_message* message, UnitFacts& facts, bool is_service, PendingJob* job = nullptr);

/// Reads the list of invalidated names. False when one of them is needed.
bool nothing_invalidated(sd_bus_message* message);

/// Do we read this property?
[[nodiscard]] bool is_needed_property(std::string_view name) noexcept;

}  // namespace opsd::systemd
