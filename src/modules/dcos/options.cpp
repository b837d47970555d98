#include "modules/dcos/options.hpp"

#include "io/mesos/address.hpp"
#include "io/net/url.hpp"

#include <algorithm>

namespace opsd::dcos {

using config::between;
using config::Bytes;
using config::Rule;
using config::Schema;
using namespace std::chrono_literals;

namespace {

bool is_web_url(const std::string& text)
{
    if (text.empty()) return true;
    const auto url = net::parse_url(text);
    return url && url->scheme != net::Url::Scheme::unix_socket && mesos::usable_host(url->host)
           && !text.contains('?') && !text.contains('#');
}

Rule<std::string> web_url()
{
    return {"a URL such as http://10.0.0.1:8080, without user, password and parameters", is_web_url, {}};
}

Rule<std::string> absolute_path()
{
    return {"an absolute path, or empty",
            [](const std::string& text) { return text.empty() || text.starts_with('/'); },
            {}};
}

/// It becomes the name of a folder on the clients.
Rule<std::string> plain_id()
{
    constexpr std::string_view fits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    return {"at most 64 letters, digits, - and _",
            [fits](const std::string& text) {
                return text.size() <= 64 && text.find_first_not_of(fits) == std::string::npos;
            },
            {}};
}

bool is_recent_version(const std::string& text)
{
    if (text.empty()) return true;
    const auto dot = text.find('.');
    const auto digits = [](std::string_view part) {
        return !part.empty() && part.size() <= 4
               && std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; });
    };
    if (dot == std::string::npos || !digits({text.data(), dot})) return false;
    const auto rest = std::string_view{text}.substr(dot + 1);
    const auto minor = rest.substr(0, rest.find_first_not_of("0123456789"));
    return digits(minor) && (std::stoi(text) > 1 || std::stoi(std::string{minor}) >= 10);
}

Schema<MetadataOptions> metadata_schema()
{
    return Schema<MetadataOptions>{}
        .field(&MetadataOptions::cluster_id, "cluster_id",
               "CLUSTER_ID of /metadata, the same on all masters; empty: /var/lib/dcos/cluster-id, else this "
               "machine's own",
               plain_id())
        .field(&MetadataOptions::public_ip, "public_ip",
               "PUBLIC_IPV4 of /metadata; empty: the address of this node")
        .field(&MetadataOptions::version, "version",
               "Version of DC/OS that clients are told; empty: node.dcos_version, else 1.11.0",
               Rule<std::string>{"a version such as 1.11.0, at least 1.10, which the command line needs",
                                 is_recent_version,
                                 {}})
        .field(&MetadataOptions::variant, "variant", "Variant of DC/OS that clients are told",
               config::one_of({"open", "enterprise"}))
        .field(&MetadataOptions::image_commit, "image_commit",
               "dcos-image-commit of /dcos-metadata/dcos-version.json")
        .field(&MetadataOptions::bootstrap_id, "bootstrap_id",
               "bootstrap-id of /dcos-metadata/dcos-version.json");
}

Schema<MesosOptions> mesos_schema()
{
    return Schema<MesosOptions>{}
        .field(&MesosOptions::authorization, "authorization",
               "What Mesos is shown with a question that is handed on. own: the credentials of "
               "cluster.sources.mesos; caller: the caller's Authorization, which only the masters of "
               "cluster.sources and their agents get; none",
               config::one_of({"own", "caller", "none"}))
        .field(&MesosOptions::timeout, "timeout",
               "For the head of an answer: all masters and redirects together",
               between(Duration{100ms}, Duration{50s}))
        .field(&MesosOptions::idle_timeout, "idle_timeout", "The longest silence within an answer",
               between(Duration{100ms}, Duration{5min}))
        .field(
            &MesosOptions::probe_interval, "probe_interval",
            "How often the leader is asked who it is, to know that Mesos can be reached; agents do not ask",
            between(Duration{1s}, Duration{1h}))
        .field(&MesosOptions::leader_age, "leader_age", "How old the answer about leader.mesos may be",
               between(Duration{0ms}, Duration{1min}))
        .field(&MesosOptions::agents_age, "agents_age",
               "How old the list may be in which agents are found; an unknown agent is looked for once more",
               between(Duration{1s}, Duration{1h}))
        .field(&MesosOptions::max_answer, "max_answer", "A larger answer is torn off",
               between(Bytes{1U << 20U}, Bytes{std::uint64_t{1} << 36}))
        .field(&MesosOptions::concurrent, "concurrent",
               "Questions handed on at a time, to Mesos and Marathon; more are refused",
               between<std::int64_t>(1, 1'000));
}

Schema<MarathonOptions> marathon_schema()
{
    return Schema<MarathonOptions>{}
        .field(&MarathonOptions::url, "url",
               "Where Marathon is, as http://10.0.0.1:8080; empty: by the webui_url of its framework",
               web_url())
        .field(&MarathonOptions::framework, "framework", "Name of that framework")
        .field(&MarathonOptions::age, "age", "How old the framework's webui_url may be",
               between(Duration{1s}, Duration{1h}))
        .field(&MarathonOptions::pass_authorization, "pass_authorization",
               "Show Marathon the caller's Authorization; only at marathon.url, not at one that Mesos names");
}

Schema<PluginOptions> plugin_schema()
{
    return Schema<PluginOptions>{}
        .field(&PluginOptions::directory, "directory",
               "Folder with plugins of the dcos command line, PACKAGE-OS.zip (linux, darwin, windows) or "
               "PACKAGE.zip (linux), such as dcos-core-cli.zip; empty: none are served",
               absolute_path())
        .field(&PluginOptions::url, "url",
               "Base URL under which clients fetch them, where it is not that of the request, as behind a "
               "proxy",
               web_url())
        .field(&PluginOptions::max_size, "max_size", "A larger plugin is not served",
               between(Bytes{1U << 20U}, Bytes{1U << 30U}));
}

}  // namespace

Schema<DcosOptions> schema()
{
    return Schema<DcosOptions>{}
        .field(&DcosOptions::enabled, "enabled", "Answer what the dcos command line asks")
        .section(&DcosOptions::metadata, "metadata", "What clients are told of the cluster",
                 metadata_schema())
        .section(&DcosOptions::mesos, "mesos", "How questions are handed on to Mesos", mesos_schema())
        .section(&DcosOptions::marathon, "marathon", "Where Marathon is", marathon_schema())
        .section(&DcosOptions::plugins, "plugins", "Plugins for `dcos cluster setup`", plugin_schema());
}

}  // namespace opsd::dcos
