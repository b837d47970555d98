#include "io/sandbox/capabilities.hpp"

#include <fmt/format.h>

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace opsd::sandbox {
namespace {

constexpr int reading = CAP_DAC_READ_SEARCH;
constexpr unsigned reading_bit = CAP_TO_MASK(CAP_DAC_READ_SEARCH);
static_assert(CAP_TO_INDEX(CAP_DAC_READ_SEARCH) == 0);

/// There is no libcap here: it would be one more library in the one process that has a right.
using Sets = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

__user_cap_header_struct own() { return {_LINUX_CAPABILITY_VERSION_3, 0}; }

bool read_sets(Sets& sets)
{
    auto header = own();
    return ::syscall(SYS_capget, &header, sets.data()) == 0;
}

bool write_sets(const Sets& sets)
{
    auto header = own();
    return ::syscall(SYS_capset, &header, sets.data()) == 0;
}

std::unexpected<Error> cannot(std::string_view what)
{
    return fail(Errc::internal, fmt::format("cannot {}: {}; SystemCallFilter= must allow capset", what,
                                            std::generic_category().message(errno)));
}

}  // namespace

bool reading_is_inherited() noexcept
{
    return ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, reading, 0, 0) == 1;
}

Result<> give_up_reading()
{
    Sets sets{};
    if (!read_sets(sets)) return cannot("read our capabilities");
    auto& own_sets = sets[0];
    if (((own_sets.permitted | own_sets.inheritable) & reading_bit) == 0) return {};
    // Needs CAP_SETPCAP, which the unit does not give; NoNewPrivileges= makes up for it.
    ::prctl(PR_CAPBSET_DROP, reading, 0, 0, 0);
    ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, reading, 0, 0);
    own_sets.effective &= ~reading_bit;
    own_sets.permitted &= ~reading_bit;
    own_sets.inheritable &= ~reading_bit;
    if (!write_sets(sets)) return cannot("give up CAP_DAC_READ_SEARCH");
    if (reading_is_inherited()) return cannot("give up CAP_DAC_READ_SEARCH for what opsd runs");
    return {};
}

Result<> keep_only_reading()
{
    Sets sets{};
    if (!read_sets(sets)) return cannot("read our capabilities");
    for (int capability = 0; capability <= CAP_LAST_CAP; ++capability)
        if (capability != reading) ::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return cannot("clear the ambient capabilities");
    const auto kept = sets[0].permitted & reading_bit;
    if (!write_sets({{{kept, kept, 0}, {0, 0, 0}}})) return cannot("give up our capabilities");
    return {};
}

}  // namespace opsd::sandbox
