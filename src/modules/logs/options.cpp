#include "modules/logs/options.hpp"

#include "io/net/url.hpp"

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
               "empty: everything")
        .field(&AllowRule::tasks, "tasks",
               "Whether a role whose units are listed may read the logs of tasks, too, which belong to no "
               "unit");
}

Schema<TaskOptions> tasks_schema()
{
    return Schema<TaskOptions>{}
        .field(&TaskOptions::agent, "agent",
               "Base URL of this node's Mesos agent, for the files of its tasks; empty: none are read")
        .field(&TaskOptions::ca, "ca",
               "PEM file of the authority that signed the agent's certificate; empty: the system's")
        .field(&TaskOptions::work_dir, "work_dir",
               "The agent's --work_dir: its id is read there, and sandboxes are named by it")
        .field(&TaskOptions::timeout, "timeout", "For an answer of the agent",
               between(Duration{100ms}, Duration{60s}))
        .field(&TaskOptions::find_timeout, "find_timeout",
               "For /state of the leading Mesos master, by which a task is found (cluster.sources.mesos)",
               between(Duration{100ms}, Duration{5min}))
        .field(&TaskOptions::keep, "keep", "How long that answer serves further questions",
               between(Duration{0ms}, Duration{60s}))
        .field(&TaskOptions::poll, "poll", "How often the end of a file is looked at while it is followed",
               between(Duration{10ms}, Duration{10s}))
        .field(&TaskOptions::finds, "finds", "Tasks looked for at a time; more are refused",
               between<std::int64_t>(1, 1'000))
        .field(&TaskOptions::readings, "readings",
               "Answers from files of tasks at a time, also those that follow; more are refused",
               between<std::int64_t>(1, 10'000));
}

Schema<NodeOptions> nodes_schema()
{
    return Schema<NodeOptions>{}
        .field(&NodeOptions::answer_timeout, "answer_timeout",
               "How long a node may take until its answer begins; after it the node is named as missing",
               between(Duration{100ms}, Duration{60s}))
        .field(&NodeOptions::streams, "streams",
               "Answers of other nodes under way at a time; more are refused",
               between<std::int64_t>(1, 10'000))
        .field(
            &NodeOptions::most, "most",
            "Nodes that are asked for one answer; more are refused. Followed: some 90, whose id fits into a "
            "request's head",
            between<std::int64_t>(1, 1'000))
        .field(&NodeOptions::most_lines, "most_lines", "Largest lines= of an answer of several nodes",
               between<std::int64_t>(1, 1'000'000))
        .field(&NodeOptions::buffer, "buffer",
               "Text held to find the newest lines= of several nodes; a longer answer is cut off",
               between(Bytes{1U << 20U}, Bytes{1U << 30U}))
        .field(&NodeOptions::settle, "settle",
               "How long an entry that is followed waits for an earlier one of another node",
               between(Duration{0ms}, Duration{10s}));
}

Schema<MarathonOptions> marathon_schema()
{
    return Schema<MarathonOptions>{}
        .field(&MarathonOptions::url, "url",
               "Base URL of a Marathon, asked who leads for /system/v1/leader/marathon; empty: not asked")
        .field(&MarathonOptions::timeout, "timeout", "For its answer",
               between(Duration{100ms}, Duration{60s}))
        .field(&MarathonOptions::keep, "keep", "How long its answer is good",
               between(Duration{1s}, Duration{1h}));
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
        .section(&LogsOptions::follow, "follow", "How the journal is followed", follow_schema())
        .section(&LogsOptions::tasks, "tasks", "The logs of tasks", tasks_schema())
        .section(&LogsOptions::nodes, "nodes", "How other nodes are asked for their logs", nodes_schema())
        .section(&LogsOptions::marathon, "marathon", "How the leader of Marathon is known",
                 marathon_schema());
}

Result<> validate(const LogsOptions& options)
{
    for (const auto& [name, url] : {std::pair{"logs.tasks.agent", &options.tasks.agent},
                                    std::pair{"logs.marathon.url", &options.marathon.url}}) {
        if (url->empty()) continue;
        const auto parsed = net::parse_url(*url);
        if (!parsed || parsed->scheme == net::Url::Scheme::unix_socket || url->ends_with('/'))
            return fail(Errc::invalid_argument,
                        fmt::format("cannot use {}: it must be a URL without user, password and a slash at "
                                    "its end, such as http://10.0.0.1:5051",
                                    name));
    }
    if (!options.tasks.work_dir.starts_with('/'))
        return fail(Errc::invalid_argument,
                    "cannot use logs.tasks.work_dir: it must be an absolute path, as the agent has it");
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
