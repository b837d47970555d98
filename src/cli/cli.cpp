#include "cli/cli.hpp"

#include "cli/cluster_commands.hpp"
#include "cli/commands.hpp"
#include "cli/completion.hpp"
#include "cli/log_commands.hpp"
#include "daemon/daemon.hpp"
#include "io/files/files.hpp"
#include "io/systemd/notify.hpp"
#include "opsd/version.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <string_view>

extern char** environ;

namespace opsd::cli {
namespace {

/// Everything the command line can set, and the command it chose.
struct Line {
    Context context;
    config::Sources sources;
    Paths paths;
    std::string output = "table";
    std::string token_file;
    std::string unit, node, name, from, role = "viewer", lifetime, duration, reason, state, shell, page;
    int limit = 50;
    bool unhealthy = false;
    bool cluster = false;
    ClusterPlace place;
    JoinTarget join;
    RenewOptions renew;
    TokenOptions join_token;
    LogOptions log;
    TaskLogOptions task_log;
    std::string path, to;
    bool completed = false;
    std::function<int()> command;
};

std::vector<std::pair<std::string, std::string>> opsd_environment()
{
    std::vector<std::pair<std::string, std::string>> all;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text{*entry};
        const auto equals = text.find('=');
        if (!text.starts_with("OPSD_") || equals == std::string_view::npos) continue;
        const auto name = text.substr(0, equals);
        if (name == "OPSD_CONFIG" || name == "OPSD_URL" || name == "OPSD_TOKEN")
            continue;  // of the command line
        all.emplace_back(name, text.substr(equals + 1));
    }
    return all;
}

std::string from_environment(const char* name, std::string otherwise = {})
{
    const char* value = std::getenv(name);
    return value != nullptr && *value != '\0' ? value : std::move(otherwise);
}

CLI::App* add(CLI::App& parent, Line& line, const char* name, const char* help, std::function<int()> command)
{
    auto* sub = parent.add_subcommand(name, help);
    sub->callback([&line, command = std::move(command)] { line.command = command; });
    return sub;
}

void api_options(CLI::App* command, Line& line)
{
    command->add_option("--url", line.context.target.url,
                        "Where opsd listens (default: OPSD_URL or the socket)");
    command->add_option("--token-file", line.token_file, "File with a token (default: OPSD_TOKEN)");
    command->add_option("--ca", line.context.target.ca_file,
                        "PEM file with the authority that signed opsd's certificate");
    command->add_option("-o,--output", line.output, "table or json")->check(CLI::IsMember({"table", "json"}));
}

void config_options(CLI::App* command, Line& line)
{
    auto* file = command->add_option("--config", line.sources.file, "Configuration file");
    command->add_option("--config-dir", line.sources.directory, "Directory with further *.yaml");
    command->add_option("--set", line.sources.settings, "Set one option: --set health.flapping.restarts=5")
        ->take_all();
    command->parse_complete_callback([&line, file] { line.sources.file_required |= file->count() > 0; });
}

void add_units(CLI::App& app, Line& line)
{
    const auto& context = line.context;
    auto* verdict = add(app, line, "health", "Is this node healthy? A Nagios plugin: exit 0, 2 or 3",
                        [&] { return line.cluster ? cluster_health(context) : health(context); });
    verdict->add_flag("--cluster", line.cluster, "All nodes of the cluster, as this node knows them");
    api_options(verdict, line);

    auto* why = add(app, line, "explain", "Why is a unit unhealthy? Verdict, evidence, what to do next",
                    [&] { return explain(context, line.unit); });
    why->add_option("unit", line.unit, "Unit name")->required();
    api_options(why, line);

    auto* unit = app.add_subcommand("unit", "The units of this node");
    unit->require_subcommand(1);
    auto* list = add(*unit, line, "list", "All watched units",
                     [&] { return unit_list(context, {line.unhealthy, line.state}); });
    list->add_flag("--unhealthy", line.unhealthy, "Only units that are not healthy");
    list->add_option("--state", line.state, "Only units in this state");
    auto* show = add(*unit, line, "show", "One unit with its evidence. A Nagios plugin: exit 0, 2 or 3",
                     [&] { return unit_show(context, line.unit); });
    auto* history = add(*unit, line, "history", "What happened to a unit",
                        [&] { return unit_history(context, line.unit, line.limit); });
    history->add_option("--limit", line.limit, "Newest rows")->check(CLI::Range(1, 1000));
    auto* ack = add(*unit, line, "ack", "Say that work on a unit is planned",
                    [&] { return unit_ack(context, line.unit, line.duration, line.reason); });
    ack->add_option("--for", line.duration, "How long: 2h, 30m")->required();
    ack->add_option("--reason", line.reason, "Why")->required();
    auto* unack = add(*unit, line, "unack", "Withdraw that", [&] { return unit_unack(context, line.unit); });
    auto* nodes = add(*unit, line, "nodes", "A unit on all nodes of the cluster",
                      [&] { return unit_nodes(context, line.unit); });
    for (auto* command : {show, history, ack, unack, nodes})
        command->add_option("unit", line.unit, "Unit name")->required();
    for (auto* command : {list, show, history, ack, unack, nodes})
        api_options(command, line);
}

void add_nodes(CLI::App& app, Line& line)
{
    const auto& context = line.context;
    auto* node = app.add_subcommand("node", "The nodes of the cluster");
    node->require_subcommand(1);
    auto* list = add(*node, line, "list", "All nodes with their health and how fresh it is",
                     [&] { return node_list(context, line.unhealthy); });
    list->add_flag("--unhealthy", line.unhealthy, "Only nodes that are not healthy");
    auto* show = add(*node, line, "show", "One node with its bad units. A Nagios plugin: exit 0, 2 or 3",
                     [&] { return node_show(context, line.node); });
    auto* forget = add(*node, line, "forget", "Forget a node that no source names any more",
                       [&] { return node_forget(context, line.node); });
    auto* ack = add(*node, line, "ack", "Say that work on a node is planned",
                    [&] { return node_ack(context, line.node, line.duration, line.reason); });
    ack->add_option("--for", line.duration, "How long: 2h, 30m")->required();
    ack->add_option("--reason", line.reason, "Why")->required();
    auto* unack = add(*node, line, "unack", "Withdraw that", [&] { return node_unack(context, line.node); });
    for (auto* command : {show, forget, ack, unack})
        command->add_option("node", line.node, "Address, host name, Mesos id or machine id")->required();
    for (auto* command : {list, show, forget, ack, unack})
        api_options(command, line);
}

void add_logs(CLI::App& app, Line& line)
{
    auto& wanted = line.log;
    auto* log = add(app, line, "log", "The journal of this node, of others, or of all",
                    [&line] { return cli::log(line.context, line.log); });
    log->add_option("unit", wanted.unit, "Only this unit, with or without .service, or a pattern");
    auto* node = log->add_option("--node", wanted.node, "Address, host name, Mesos id; several with commas");
    auto* leader = log->add_flag("--leader", wanted.leader, "Of the leading Mesos master")->excludes(node);
    log->add_flag("--all", wanted.all, "Of all nodes that this one knows")->excludes(node)->excludes(leader);
    log->add_option("--lines", wanted.lines, "The newest so many, or all");
    log->add_flag("--follow", wanted.follow, "Go on with what comes");
    log->add_option("--since", wanted.since, "Not older: RFC 3339, -1h30m, @seconds");
    log->add_option("--priority", wanted.priority, "That and worse: 0 to 7 or emerg to debug");
    log->add_option("--grep", wanted.grep, "Only messages with this regular expression (RE2)");
    api_options(log, line);
}

void add_tasks(CLI::App& app, Line& line)
{
    auto& wanted = line.task_log;
    auto* task = app.add_subcommand("task", "The tasks of Mesos and their files");
    task->require_subcommand(1);
    auto* log = add(*task, line, "log", "The end of a task's stdout, or of another file of it",
                    [&line] { return task_log(line.context, line.task_log); });
    log->add_option("--lines", wanted.lines, "The last so many (10), or all");
    log->add_flag("--follow", wanted.follow, "Go on with what comes");
    auto* list = add(*task, line, "list", "All tasks that run",
                     [&line] { return task_list(line.context, line.completed); });
    list->add_flag("--completed", line.completed, "Also those that have ended");
    auto* ls = add(*task, line, "ls", "The files of a task",
                   [&line] { return task_ls(line.context, line.task_log.task, line.path); });
    auto* download = add(*task, line, "download", "A whole file of a task", [&line] {
        return task_download(line.context, line.task_log.task, line.task_log.file, line.to);
    });
    for (auto* command : {log, ls, download})
        command->add_option("task", wanted.task, "Id, name, or a part of the id")->required();
    for (auto* command : {log, download})
        command->add_option("file", wanted.file, "A file in its sandbox (stdout)");
    ls->add_option("path", line.path, "A folder in its sandbox");
    download->add_option("--to", line.to, "Where it goes (its own name, here)");
    for (auto* command : {log, list, ls, download})
        api_options(command, line);
}

void add_forward(CLI::App& app, Line& line)
{
    const auto& context = line.context;
    auto* forward = app.add_subcommand("forward", "Where the journal is forwarded to");
    forward->require_subcommand(1);
    auto* status =
        add(*forward, line, "status", "The outputs: what they delivered, how far they are behind, why",
            [&] { return forward_status(context, line.name); });
    status->add_option("output", line.name, "Only this output, in full");
    auto* pause = add(*forward, line, "pause", "Stop an output, also after a restart",
                      [&] { return forward_pause(context, line.name); });
    auto* resume =
        add(*forward, line, "resume", "Let it go on", [&] { return forward_resume(context, line.name); });
    auto* replay = add(*forward, line, "replay", "Send again what came after a place in the journal",
                       [&] { return forward_replay(context, line.name, line.from); });
    auto* test =
        add(*forward, line, "test", "Send one record and show the far side's answer; exit 1 if it is refused",
            [&] { return forward_test(context, line.name); });
    for (auto* command : {pause, resume, replay, test})
        command->add_option("output", line.name, "Name of the output")->required();
    replay->add_option("--from", line.from, "How long ago (2h), a time, a cursor, or beginning")->required();
    for (auto* command : {status, pause, resume, replay, test})
        api_options(command, line);
}

void add_access(CLI::App& app, Line& line)
{
    const auto& context = line.context;
    const auto roles = CLI::IsMember({"viewer", "operator", "admin"});
    auto* token = app.add_subcommand("token", "Tokens for the API");
    token->require_subcommand(1);
    auto* create = add(*token, line, "create", "Make a token; it is printed once",
                       [&] { return token_create(context, line.name, line.role, line.lifetime); });
    create->add_option("name", line.name, "What it is for")->required();
    create->add_option("--role", line.role, "viewer, operator or admin")->check(roles);
    create->add_option("--expires-in", line.lifetime, "Lifetime such as 90d (default: for ever)");
    auto* tokens =
        add(*token, line, "list", "All tokens, without their secrets", [&] { return token_list(context); });
    auto* revoke = add(*token, line, "revoke", "Make a token useless at once",
                       [&] { return token_revoke(context, line.name); });
    revoke->add_option("id", line.name, "Token id")->required();

    auto* user = app.add_subcommand("user", "Users who log in with a password");
    user->require_subcommand(1);
    auto* add_user = add(*user, line, "add", "Add a user; the password is asked for",
                         [&] { return user_add(context, line.name, line.role); });
    add_user->add_option("--role", line.role, "viewer, operator or admin")->check(roles);
    auto* passwd = add(*user, line, "passwd", "Change a user's password",
                       [&] { return user_passwd(context, line.name); });
    auto* remove =
        add(*user, line, "remove", "Remove a user", [&] { return user_remove(context, line.name); });
    auto* users = add(*user, line, "list", "All users", [&] { return user_list(context); });
    for (auto* command : {add_user, passwd, remove})
        command->add_option("name", line.name, "User name")->required();
    for (auto* command : {create, tokens, revoke, add_user, passwd, remove, users})
        api_options(command, line);
}

/// Where the files go, for whom, and what the certificate is for.
void place_options(CLI::App* command, Line& line)
{
    auto& place = line.place;
    command->add_option("--address", place.addresses,
                        "An address or name of this node that others use; repeatable");
    command->add_option("--directory", place.directory, "Where certificates and keys go");
    command->add_option("--user", place.account, "Account that runs opsd and owns the keys");
    command->add_option("--port", place.port, "Port of the listeners in the configuration")
        ->check(CLI::Range(1, 65535));
    command->add_flag("--write-config", place.write_config,
                      "Write cluster.yaml into conf.d instead of printing it");
    config_options(command, line);
}

void add_join_tokens(CLI::App& cluster, Line& line)
{
    auto& wanted = line.join_token;
    auto* token = cluster.add_subcommand("token", "Tokens that let a new node join");
    token->require_subcommand(1);
    auto* create = add(*token, line, "create", "Make a join token; the command for the new node is printed",
                       [&line] { return cluster_token_create(line.context, line.join_token); });
    create->add_option("--ttl", wanted.lifetime, "How long it is good: 30m (the default), 1m to 7d");
    auto* uses = create->add_option("--uses", wanted.uses, "For so many nodes")->check(CLI::Range(1, 1000));
    auto* node =
        create->add_option("--for", wanted.node, "Only for the node of this host name")->excludes(uses);
    create
        ->add_flag("--replace", wanted.replace,
                   "That node was installed anew: its name may be taken over from its old certificate")
        ->needs(node);
    auto* revoke = add(*token, line, "revoke", "Make all join tokens useless",
                       [&line] { return cluster_token_revoke(line.context); });
    for (auto* command : {create, revoke})
        api_options(command, line);
}

void add_cluster(CLI::App& app, Line& line)
{
    const auto placed = [&line] {
        line.place.sources = line.sources;
        return line.place;
    };
    auto* cluster = app.add_subcommand("cluster", "Certificates for connections between nodes");
    cluster->require_subcommand(1);
    auto* init =
        add(*cluster, line, "init", "Found a cluster: an authority and this node's certificate; as root",
            [&line, placed] { return cluster_init(placed(), line.name); });
    init->add_option("--name", line.name, "Name of the cluster (default: opsd)");
    place_options(init, line);
    add_join_tokens(*cluster, line);
    auto* revoke = add(*cluster, line, "revoke", "Renew a node's certificate no more; it runs until it ends",
                       [&line] { return cluster_revoke(line.context, line.name); });
    revoke->add_option("certificate", line.name, "Node, address or serial number")->required();
    api_options(revoke, line);
    auto* join = add(*cluster, line, "join", "Get this node's certificate from another; as root",
                     [&line, placed] { return cluster_join(placed(), line.join); });
    join->add_option("url", line.join.url, "https://HOST:PORT of the node with the authority")->required();
    join->add_option("--token", line.join.token, "The join token")->required();
    join->add_option("--ca", line.join.fingerprint, "sha256:... of the authority; nothing else is trusted")
        ->required();
    place_options(join, line);
    auto* renew = add(*cluster, line, "renew", "Get the same certificate with a later end; as root", [&line] {
        line.renew.sources = line.sources;
        return cluster_renew(line.renew);
    });
    renew->add_option("--directory", line.renew.directory, "Where certificates and keys are");
    renew->add_option("--if-within", line.renew.within, "Only when less than this is left, such as 60d");
    renew->add_flag("--reload", line.renew.reload, "Reload opsd when it was renewed");
    config_options(renew, line);
    auto* show = add(*cluster, line, "show", "The cluster, its authority and this node's certificate",
                     [&line] { return cluster_show(line.context, line.place.directory); });
    show->add_option("--directory", line.place.directory, "Where certificates are");
    show->add_option("-o,--output", line.output, "table or json")->check(CLI::IsMember({"table", "json"}));
}

int start_daemon(Line& line)
{
    daemon::DaemonOptions options;
    options.sources = line.sources;
    options.paths = line.paths;
    options.paths.credentials = from_environment("CREDENTIALS_DIRECTORY");
    options.journald = systemd::stderr_is_journal();
    return daemon::run_daemon(std::move(options));
}

void add_local(CLI::App& app, Line& line)
{
    auto* run = add(app, line, "daemon", "Run in the foreground, as systemd does",
                    [&line] { return start_daemon(line); });
    config_options(run, line);
    run->add_option("--state-dir", line.paths.state, "Where state is kept");
    run->add_option("--journal-dir", line.paths.journal, "Journal directory (default: the machine's)");
    run->add_option("--bus", line.paths.system_bus, "D-Bus address (default: the system bus)");
    run->add_option("--units-dir", line.paths.systemd_units, "Where dcos.target.wants is looked for");

    auto* config = app.add_subcommand("config", "The configuration");
    config->require_subcommand(1);
    config_options(add(*config, line, "check", "Report every mistake; exit 78 when there is one",
                       [&] { return config_check(line.sources, from_environment("CREDENTIALS_DIRECTORY")); }),
                   line);
    config_options(add(*config, line, "show", "What is in force, with defaults",
                       [&] { return config_show(line.sources); }),
                   line);
    add(*config, line, "schema", "JSON Schema of the configuration", [] { return config_schema(); });

    auto* pages = add(app, line, "docs", "Print a generated page", [&] { return docs(line.page); });
    pages->add_option("page", line.page, "api, configuration or example")
        ->required()
        ->check(CLI::IsMember({"api", "configuration", "example"}));
    add(app, line, "version", "Print the version", [] {
        fmt::print("opsd {}\n", version);
        return static_cast<int>(exit_ok);
    });
}

CommandTree tree_of(const CLI::App& app)
{
    CommandTree tree{app.get_name(), app.get_description(), {}, {}, false};
    for (const auto* option : app.get_options()) {
        for (const auto& name : option->get_lnames())
            tree.options.push_back("--" + name);
        if (option->get_name() == "unit") tree.takes_unit = true;
    }
    for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; }))
        tree.commands.push_back(tree_of(*sub));
    return tree;
}

/// A plugin must not exit with 64 for a wrong option: monitoring would not know that status.
bool is_plugin(int argc, char** argv)
{
    std::vector<std::string_view> words;
    for (int i = 1; i < argc && words.size() < 2; ++i) {
        if (argv[i][0] != '-') words.emplace_back(argv[i]);
    }
    return (!words.empty() && words[0] == "health")
           || (words.size() == 2 && (words[0] == "unit" || words[0] == "node") && words[1] == "show");
}

int refuse_usage(const CLI::App& app, const CLI::ParseError& error, bool plugin)
{
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    if (plugin) {
        fmt::print("UNKNOWN - wrong usage: {}; try --help\n", error.what());
        return exit_unknown;
    }
    fmt::print(stderr, "opsd: {}; try --help\n", error.what());
    return exit_usage;
}

Result<> finish(Line& line)
{
    line.context.json = line.output == "json";
    line.context.style = stdout_style();
    line.context.target.token = from_environment("OPSD_TOKEN");
    if (line.token_file.empty()) return {};
    auto token = files::read_file(line.token_file, 64 * 1024);
    if (!token) return fail(std::move(token).error());
    token->erase(token->find_last_not_of(" \r\n\t") + 1);
    line.context.target.token = std::move(*token);
    return {};
}

}  // namespace

int run(int argc, char** argv)
{
    CLI::App app{"Operations daemon for Mesos and DC/OS-style clusters, and its command line", "opsd"};
    app.require_subcommand(1);
    app.set_version_flag("--version", std::string{"opsd "} + version);
    Line line;
    line.sources.file = from_environment("OPSD_CONFIG", line.sources.file);
    line.sources.file_required = !from_environment("OPSD_CONFIG").empty();
    line.sources.environment = opsd_environment();
    line.context.target.url = from_environment("OPSD_URL", line.context.target.url);
    add_units(app, line);
    add_nodes(app, line);
    add_logs(app, line);
    add_tasks(app, line);
    add_forward(app, line);
    add_access(app, line);
    add_cluster(app, line);
    add_local(app, line);
    auto* completion = add(app, line, "completion", "Print a shell completion script", [&] {
        fmt::print("{}", completion_script(line.shell, tree_of(app)));
        return static_cast<int>(exit_ok);
    });
    completion->add_option("shell", line.shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));

    const bool plugin = is_plugin(argc, argv);
    try {
        app.parse(argc, argv);
        const auto ready = finish(line);
        if (!ready && plugin) {
            fmt::print("UNKNOWN - {}\n", ready.error().message);
            return exit_unknown;
        }
        if (!ready) return report(ready.error());
        return line.command();
    } catch (const CLI::ParseError& error) {
        return refuse_usage(app, error, plugin);
    } catch (const std::exception& error) {
        fmt::print(stderr, "opsd: cannot go on: {}\n", error.what());
        if (plugin) fmt::print("UNKNOWN - opsd failed: {}\n", error.what());
        return plugin ? exit_unknown : exit_failed;
    }
}

}  // namespace opsd::cli
