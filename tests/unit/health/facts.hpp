#pragma once
// Units as systemd would describe them, for the tests of module health.

#include "opsd/model.hpp"

#include <functional>
#include <string>
#include <utility>

namespace opsd::health::test {

using namespace std::chrono_literals;

inline constexpr Monotonic boot_age = 10h;  // "now" of tests without a clock
inline constexpr WallTime today{1'800'000'000'000'000us};

inline UnitFacts unit(std::string active, std::string sub, std::string id = "a.service")
{
    UnitFacts f;
    f.id = std::move(id);
    f.description = "Unit " + f.id;
    f.load_state = "loaded";
    f.active_state = std::move(active);
    f.sub_state = std::move(sub);
    f.unit_file_state = "static";
    f.details = true;
    f.type = f.id.ends_with(".service") ? "simple" : "";
    f.result = "success";
    f.state_change_at = boot_age - 1s;
    f.state_change_time = today - 1s;
    return f;
}

inline UnitFacts changed(UnitFacts f, const std::function<void(UnitFacts&)>& edit)
{
    edit(f);
    return f;
}

/// It ran, or runs.
inline UnitFacts started(UnitFacts f)
{
    f.inactive_exit_at = f.active_enter_at = f.condition_at = boot_age - 2h;
    f.invocation_id = "0123456789abcdef0123456789abcdef";
    return f;
}

inline UnitFacts running(std::string id = "a.service")
{
    return started(unit("active", "running", std::move(id)));
}

inline UnitFacts stopped(std::string id = "a.service")
{
    return changed(started(unit("inactive", "dead", std::move(id))), [](UnitFacts& f) {
        f.main_code = 2;
        f.main_status = 15;
    });
}

inline UnitFacts failed(std::string result = "exit-code", int code = 1, int status = 3,
                        std::string id = "a.service")
{
    auto f = started(unit("failed", "failed", std::move(id)));
    f.result = std::move(result);
    f.main_code = code;
    f.main_status = status;
    return f;
}

inline UnitFacts loaded_as(std::string state, std::string id = "a.service")
{
    auto f = unit("inactive", "dead", std::move(id));
    f.load_state = std::move(state);
    f.unit_file_state.clear();
    return f;
}

inline UnitFacts unread(std::string active, std::string sub)
{
    auto f = unit(std::move(active), std::move(sub));
    f.details = false;
    f.result.clear();
    f.type.clear();
    f.unit_file_state.clear();
    return f;
}

}  // namespace opsd::health::test
