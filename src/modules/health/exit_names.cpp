// The names systemd gives to exit statuses (systemd.exec(5)) and the kernel to signals.

#include "modules/health/rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <utility>

namespace opsd::health {
namespace {

constexpr std::array<std::pair<int, std::string_view>, 67> exit_names{{
    {0, "SUCCESS"},
    {1, "FAILURE"},
    {2, "INVALIDARGUMENT"},
    {3, "NOTIMPLEMENTED"},
    {4, "NOPERMISSION"},
    {5, "NOTINSTALLED"},
    {6, "NOTCONFIGURED"},
    {7, "NOTRUNNING"},
    {64, "USAGE"},
    {65, "DATAERR"},
    {66, "NOINPUT"},
    {67, "NOUSER"},
    {68, "NOHOST"},
    {69, "UNAVAILABLE"},
    {70, "SOFTWARE"},
    {71, "OSERR"},
    {72, "OSFILE"},
    {73, "CANTCREAT"},
    {74, "IOERR"},
    {75, "TEMPFAIL"},
    {76, "PROTOCOL"},
    {77, "NOPERM"},
    {78, "CONFIG"},
    {200, "CHDIR"},
    {201, "NICE"},
    {202, "FDS"},
    {203, "EXEC"},
    {204, "MEMORY"},
    {205, "LIMITS"},
    {206, "OOM_ADJUST"},
    {207, "SIGNAL_MASK"},
    {208, "STDIN"},
    {209, "STDOUT"},
    {210, "CHROOT"},
    {211, "IOPRIO"},
    {212, "TIMERSLACK"},
    {213, "SECUREBITS"},
    {214, "SETSCHEDULER"},
    {215, "CPUAFFINITY"},
    {216, "GROUP"},
    {217, "USER"},
    {218, "CAPABILITIES"},
    {219, "CGROUP"},
    {220, "SETSID"},
    {221, "CONFIRM"},
    {222, "STDERR"},
    {224, "PAM"},
    {225, "NETWORK"},
    {226, "NAMESPACE"},
    {227, "NO_NEW_PRIVILEGES"},
    {228, "SECCOMP"},
    {229, "SELINUX_CONTEXT"},
    {230, "PERSONALITY"},
    {231, "APPARMOR_PROFILE"},
    {232, "ADDRESS_FAMILIES"},
    {233, "RUNTIME_DIRECTORY"},
    {235, "CHOWN"},
    {236, "SMACK_PROCESS_LABEL"},
    {237, "KEYRING"},
    {238, "STATE_DIRECTORY"},
    {239, "CACHE_DIRECTORY"},
    {240, "LOGS_DIRECTORY"},
    {241, "CONFIGURATION_DIRECTORY"},
    {242, "NUMA_POLICY"},
    {243, "CREDENTIALS"},
    {245, "BPF"},
    {255, "EXCEPTION"},
}};

}  // namespace

std::string exit_status_text(int status)
{
    const auto found = std::ranges::find(exit_names, status, &std::pair<int, std::string_view>::first);
    return found == exit_names.end() ? std::to_string(status) : fmt::format("{} ({})", status, found->second);
}

std::string signal_text(int number)
{
    const char* name = ::sigabbrev_np(number);
    return name == nullptr ? std::to_string(number) : fmt::format("{} ({})", number, name);
}

}  // namespace opsd::health
