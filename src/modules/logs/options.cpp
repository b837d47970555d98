#include "modules/logs/options.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::logs {

using config::between;
using config::Bytes;
using config::Schema;
using namespace std::chrono_literals;

namespace {

Schema<AllowRule> allow_schema()
{
    return Schema<AllowRule>{}
        .field(&AllowRule::role, "role", "Whose list this is; an admin reads everything",
               config::one_of({"viewer", "operator"}))
        .field(&AllowRule::units, "units",
               "Units whose entries the role may read, with their suffix, by name or pattern (* ? [a-z]); "
               "empty: everything");
}

Schema<FollowOptions> follow_schema()
{
    return Schema<FollowOptions>{}
        .field(&FollowOptions::clients, "clients", "Clients that follow at a time; more are refused",
               between<std::int64_t>(1, 10'000))
        .field(&FollowOptions::handles, "handles",
               "Different filters and formats followed at a time; who asks for a further one gets its news "
               "a second later",
               between<std::int64_t>(1, 1'000))
        .field(&FollowOptions::queue, "queue",
               "Text that may wait for one client; a slower one reads on from the journal",
               between(Bytes{16 * 1024}, Bytes{16 << 20}))
        .field(&FollowOptions::poll, "poll",
               "How often the end of the journal is looked at while somebody follows",
               between(Duration{1ms}, Duration{1s}));
}

const AllowRule* rule_of(const LogsOptions& options, std::string_view role)
{
    const auto rule = std::ranges::find(options.allow, role, &AllowRule::role);
    return rule != options.allow.end() && !rule->units.empty() ? &*rule : nullptr;
}

}  // namespace

Schema<LogsOptions> schema()
{
    return Schema<LogsOptions>{}
        .field(&LogsOptions::threads, "threads", "Threads that read the journal for answers",
               between<std::int64_t>(1, 16))
        .field(&LogsOptions::readings, "readings", "Answers from the journal at a time; more are refused",
               between<std::int64_t>(1, 1'000))
        .field(&LogsOptions::max_answer, "max_answer",
               "An answer that does not follow is cut off after so much text",
               between(Bytes{1 << 20}, Bytes{std::uint64_t{1} << 40}))
        .field(&LogsOptions::max_entry, "max_entry",
               "Longer entries are shortened, with a mark; the DC/OS command line gets 64,000 bytes at most",
               between(Bytes{4 * 1024}, Bytes{1 << 20}))
        .field(&LogsOptions::fields, "fields",
               "Fields whose values /system/v1/logs/v1/fields lists; \"*\" for all")
        .list(&LogsOptions::allow, "allow", "Which units a role may read; a role without a list reads all",
              allow_schema())
        .section(&LogsOptions::follow, "follow", "How the journal is followed", follow_schema());
}

Result<> validate(const LogsOptions& options)
{
    for (const auto& rule : options.allow) {
        if (rule.role.empty())
            return fail(Errc::invalid_argument,
                        "cannot use logs.allow: a list has no role; write role: viewer or role: operator");
        if (std::ranges::count(options.allow, rule.role, &AllowRule::role) > 1)
            return fail(
                Errc::invalid_argument,
                fmt::format("cannot use logs.allow: it has two lists of {}; make them one", rule.role));
    }
    if (rule_of(options, "operator") != nullptr && rule_of(options, "viewer") == nullptr)
        return fail(Errc::invalid_argument, "cannot use logs.allow: an operator would read less than a "
                                            "viewer; add a list of viewer");
    return {};
}

}  // namespace opsd::logs
