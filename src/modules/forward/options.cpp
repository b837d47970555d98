#include "modules/forward/options.hpp"

#include "io/net/url.hpp"
#include "modules/forward/bounds.hpp"
#include "modules/forward/filter.hpp"
#include "modules/forward/outputs.hpp"
#include "modules/forward/place.hpp"
#include "modules/forward/task_files.hpp"
#include "pipeline/redaction.hpp"
#include "pipeline/tail/multi_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace opsd::forward {

using config::between;
using config::Bytes;
using config::Schema;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t most_outputs = 16;
constexpr std::size_t most_task_files = 64;
constexpr std::size_t longest_name = 64;

Schema<TlsOptions> tls_schema()
{
    return Schema<TlsOptions>{}
        .field(&TlsOptions::enabled, "enabled",
               "beats, syslog, kafka: speak TLS; the others do as their address says")
        .field(&TlsOptions::ca, "ca", "PEM file with the authority of the far side; empty: the system's")
        .field(&TlsOptions::certificate, "certificate", "PEM file with a certificate to show; needs key")
        .field(&TlsOptions::key, "key", "PEM file with its private key");
}

Schema<FilterOptions> filter_schema()
{
    return Schema<FilterOptions>{}
        .field(
            &FilterOptions::units, "units",
            "Only entries of these units, with their suffix, by name or pattern (* ? [a-z]); empty: of all")
        .field(
            &FilterOptions::priority, "priority",
            "Only entries of that priority and worse: emerg, alert, crit, err, warning, notice, info, debug "
            "or 0 to 7; empty: all, also those without one")
        .field(
            &FilterOptions::matches, "matches",
            "Only entries with these fields, each as FIELD=value: the same field is one of them, different "
            "fields are all of them. Of tasks: AGENT_ID, FRAMEWORK_ID, EXECUTOR_ID, CONTAINER_ID, TASK_ID, "
            "TASK_NAME, STREAM, FILE; a value may end in *");
}

Schema<MultilineOptions> multiline_schema()
{
    return Schema<MultilineOptions>{}
        .field(
            &MultilineOptions::start, "start",
            "Regular expression (RE2) that the first line of a record fits; the lines after it that do not "
            "are part of it. Empty: each line is a record")
        .field(&MultilineOptions::max_lines, "max_lines", "Lines of a record at most",
               between<std::int64_t>(2, 10'000))
        .field(&MultilineOptions::timeout, "timeout", "How long a record waits for further lines",
               between(Duration{100ms}, Duration{60s}));
}

Schema<TaskOptions> task_schema()
{
    using T = TaskOptions;
    return Schema<T>{}
        .field(&T::work_dir, "work_dir", "The agent's --work_dir: sandboxes are read below it")
        .field(
            &T::agent, "agent",
            "Base URL of this node's Mesos agent, asked which tasks there are, and for files that opsd may "
            "not open; empty: tasks are found by their folders, and named as far as checkpoints tell")
        .field(&T::ca, "ca",
               "PEM file of the authority that signed the agent's certificate; empty: the system's")
        .field(&T::authorization, "authorization",
               "Value of the header Authorization for the agent, such as \"Basic ...\" or \"token=...\"")
        .field(&T::timeout, "timeout", "For an answer of the agent", between(Duration{100ms}, Duration{60s}))
        .field(&T::files, "files", "Files of a sandbox, by name or pattern (* ? [a-z]) below it: logs/*.log")
        .field(&T::interval, "interval", "How often tasks are looked for",
               between(Duration{100ms}, Duration{10min}))
        .field(&T::poll, "poll", "How often the end of a file is looked at",
               between(Duration{50ms}, Duration{60s}))
        .field(&T::max_files, "max_files",
               "Files followed at a time, by each output; further ones wait, and are counted",
               between<std::int64_t>(1, 5'000))
        .field(&T::max_queued, "max_queued",
               "Files open, by each output, only until older ones of their name are read; beyond it further "
               "logs wait, a single one may open up to 100",
               between<std::int64_t>(1, 4'000))
        .field(&T::max_line, "max_line",
               "Longer lines become several records; also a record of several lines",
               between(Bytes{1'000}, Bytes{1 << 20}))
        .field(&T::partial_timeout, "partial_timeout", "How long a line without its end waits for it",
               between(Duration{100ms}, Duration{10min}))
        .section(&T::multiline, "multiline", "Records of several lines, such as stack traces",
                 multiline_schema());
}

Schema<BatchOptions> batch_schema()
{
    return Schema<BatchOptions>{}
        .field(&BatchOptions::records, "records", "Records of a request at most",
               between<std::int64_t>(1, 10'000))
        .field(&BatchOptions::bytes, "bytes", "Bytes of a request at most, before compression",
               between(Bytes{64 * 1024}, Bytes{16 << 20}))
        .field(&BatchOptions::age, "age", "How long a record waits for others at most",
               between(Duration{10ms}, Duration{60s}))
        .field(&BatchOptions::in_flight, "in_flight", "Requests at a time; 1 keeps the order",
               between<std::int64_t>(1, 16));
}

Schema<RedactOptions> redact_schema()
{
    return Schema<RedactOptions>{}
        .field(&RedactOptions::known, "known",
               "Take out passwords in addresses, the headers Authorization and Cookie, and what a name with "
               "token, password, secret or api_key in it stands for")
        .field(&RedactOptions::patterns, "patterns",
               "Regular expressions (RE2): what the first group matches is taken out, without a group all "
               "of it");
}

Schema<OutputOptions> output_schema()
{
    using O = OutputOptions;
    return Schema<O>{}
        .field(&O::name, "name", "Its name in the API, the metrics and the files of its state")
        .field(&O::type, "type", "What the far side is", config::one_of(kind_names()))
        .field(&O::input, "input",
               "What it sends: the journal of this node, or the files of its Mesos tasks (forward.tasks)",
               config::one_of({"journal", "tasks"}))
        .field(&O::urls, "urls",
               "Addresses of the far side, such as https://elk.example.com:9200; several take turns")
        .field(&O::hosts, "hosts",
               "beats, syslog, kafka: HOST:PORT of the far side; kafka: some of the brokers")
        .field(&O::index, "index",
               "elasticsearch: index or data stream (logs-opsd-default); %Y, %m and %d are the entry's day. "
               "splunk: index; empty: the token's own")
        .field(&O::topic, "topic", "kafka: where to")
        .field(&O::source_type, "source_type", "splunk: sourcetype of the events")
        .field(&O::raw_fields, "raw_fields", "Also all fields of the journal, as strings, under journald")
        .field(&O::user, "user", "For Basic authentication; needs password")
        .field(&O::password, "password", "Of user")
        .field(&O::api_key, "api_key", "elasticsearch: an encoded API key, instead of user and password")
        .field(&O::token, "token", "splunk: token of the HTTP Event Collector")
        .field(&O::mechanism, "mechanism", "kafka: how user and password are shown (SASL)",
               config::one_of({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}))
        .field(&O::acknowledge, "acknowledge",
               "splunk: wait until an indexer has the events, where the token has indexer acknowledgement")
        .field(&O::lines, "lines",
               "logstash: one JSON document a line (codec json_lines) instead of an array")
        .field(&O::message_bytes, "message_bytes",
               "kafka: larger records become dead letters; not more than the brokers' message.max.bytes",
               between(Bytes{1'000}, Bytes{100'000'000}))
        .section(&O::tls, "tls", "How an https:// address is spoken to; certificate and host are verified",
                 tls_schema())
        .field(&O::insecure, "insecure", "Allow credentials over http://, where the network can read them")
        .field(&O::gzip, "gzip", "Compress requests")
        .field(&O::path, "path", "file: where to; opsd.service may write below /var/lib/opsd only")
        .field(&O::max_size, "max_size", "file: it and the one before (PATH.1) together",
               between(Bytes{48 << 20}, Bytes{std::uint64_t{1} << 40}))
        .section(&O::filter, "filter", "Which entries", filter_schema())
        .section(&O::batch, "batch", "What one request holds", batch_schema())
        .section(&O::redact, "redact", "What is taken out of entries before they leave the node",
                 redact_schema())
        .field(&O::memory, "memory", "Text held for requests; beyond it reading waits",
               between(Bytes{1 << 20}, Bytes{1 << 30}))
        .field(&O::timeout, "timeout", "For the answer to a request; then it is sent again",
               between(Duration{1s}, Duration{10min}))
        .field(&O::rate, "rate", "Bytes a second at most, before compression; 0: no limit")
        .field(
            &O::start, "start",
            "Where it begins when it has no position yet: now, beginning, or a time (RFC 3339); tasks: now "
            "or beginning, and tasks that start later from their first line")
        .field(&O::dead_letters, "dead_letters",
               "Records that the far side refuses for good are kept in a file of at most this size; the "
               "oldest go",
               between(Bytes{2 << 20}, Bytes{1 << 30}));
}

std::unexpected<Error> wrong(const OutputOptions& output, std::string_view what)
{
    return fail(Errc::invalid_argument, fmt::format("{}{}", cannot_use(output), what));
}

bool usable_name(std::string_view name)
{
    const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
    return !name.empty() && name.size() <= longest_name && name.front() != '-'
           && std::ranges::all_of(name, plain);
}

Result<> check(const OutputOptions& output)
{
    const auto* kind = find_kind(output.type);
    if (kind == nullptr)
        return wrong(output, fmt::format("it has no type; write type: {}", fmt::join(kind_names(), " or ")));
    if (output.token.from != config::Secret::From::none && output.type != "splunk")
        return wrong(output, "token is for outputs of type splunk");
    if (!output.path.empty() && output.type != "file")
        return wrong(output, "path is for outputs of type file");
    const auto fits = kind->check(output);
    if (!fits) return fits;
    const auto filter = make_filter(output, {});
    if (!filter) return wrong(output, filter.error().message);
    const auto redaction = pipeline::Redaction::make(output.redact.patterns, output.redact.known);
    if (!redaction) return wrong(output, redaction.error().message);
    const auto start = parse_start(output.start);
    if (!start) return wrong(output, start.error().message);
    if (of_tasks(output) && output.start != "now" && output.start != "beginning")
        return wrong(output,
                     fmt::format("start is \"{}\", must be now or beginning: files of tasks cannot be "
                                 "read from a time on",
                                 output.start));
    if (output.memory < output.batch.bytes)
        return wrong(output,
                     fmt::format("memory must be at least batch.bytes, {} bytes", output.batch.bytes.count));
    return {};
}

Result<> check_tasks(const TaskOptions& options)
{
    const auto no = [](std::string what) {
        return fail(Errc::invalid_argument, "cannot use forward.tasks: " + std::move(what));
    };
    if (!options.work_dir.starts_with('/') || options.work_dir.ends_with('/'))
        return no("work_dir must be a folder's path, from / on and without / at its end");
    if (!options.agent.empty()) {
        const auto url = net::parse_url(options.agent);
        if (!url || url->scheme == net::Url::Scheme::unix_socket || options.agent.ends_with('/'))
            return no("agent must be a URL without user, password and a slash at its end, such as "
                      "http://10.0.0.1:5051");
        const bool loopback = url->host == "localhost" || url->host == "::1" || url->host.starts_with("127.");
        if (options.authorization.from != config::Secret::From::none && !loopback
            && url->scheme == net::Url::Scheme::http)
            return no("authorization would be sent in the clear; use https:// or the loopback address");
    }
    if (options.files.empty() || options.files.size() > most_task_files)
        return no(fmt::format("files must have 1 to {} names or patterns", most_task_files));
    for (const auto& file : options.files) {
        const auto good = check_task_file(file);
        if (!good) return no(good.error().message);
    }
    if (options.multiline.start.empty()) return {};
    const auto start = pipeline::LineStart::make(options.multiline.start);
    return start ? Result<>{} : no("multiline.start " + start.error().message);
}

Result<> check_sum(std::string_view setting, std::uint64_t sum, std::uint64_t allowed, std::string_view what)
{
    if (sum <= allowed) return {};
    return fail(
        Errc::invalid_argument,
        fmt::format("cannot use forward.outputs: {} of all outputs are {} bytes, forward.{} allows {}; "
                    "lower those or raise it",
                    what, sum, setting, allowed));
}

}  // namespace

Schema<ForwardOptions> schema()
{
    return Schema<ForwardOptions>{}
        .field(&ForwardOptions::cluster, "cluster",
               "Name of the cluster, for the label of that name; empty: no such label")
        .field(&ForwardOptions::threads, "threads", "Threads that read the journal for outputs",
               between<std::int64_t>(1, 16))
        .field(&ForwardOptions::max_memory, "max_memory",
               "What the outputs may hold together: memory, and for each request in flight batch.bytes twice "
               "and an answer")
        .field(&ForwardOptions::max_disk, "max_disk",
               "The outputs' dead_letters and max_size together may not be more")
        .section(&ForwardOptions::tasks, "tasks", "The files of tasks, for outputs with input: tasks",
                 task_schema())
        .list(&ForwardOptions::outputs, "outputs",
              "Where the journal and the files of tasks are forwarded to", output_schema());
}

std::uint64_t disk_of(const OutputOptions& options)
{
    return options.dead_letters.count + (options.path.empty() ? 0 : options.max_size.count);
}

std::string cannot_use(const OutputOptions& output)
{
    return fmt::format("cannot use the output \"{}\" of forward.outputs: ", output.name);
}

Result<> validate(const ForwardOptions& options)
{
    const auto& outputs = options.outputs;
    if (outputs.size() > most_outputs)
        return fail(Errc::invalid_argument,
                    fmt::format("cannot use forward.outputs: they are {}, at most {} are possible",
                                outputs.size(), most_outputs));
    for (const auto& output : outputs) {
        if (!usable_name(output.name))
            return wrong(output,
                         fmt::format("a name has 1 to {} small letters, digits and dashes", longest_name));
        if (std::ranges::count(outputs, output.name, &OutputOptions::name) > 1)
            return wrong(output, "another has the same name");
        if (!output.path.empty() && std::ranges::count(outputs, output.path, &OutputOptions::path) > 1)
            return wrong(output, "another has the same path");
        const auto good = check(output);
        if (!good) return good;
    }
    const auto tasks = check_tasks(options.tasks);
    if (!tasks) return tasks;
    std::uint64_t memory = 0;
    std::uint64_t disk = 0;
    for (const auto& output : outputs) {
        memory += memory_of(output);
        disk += disk_of(output);
    }
    const auto fits =
        check_sum("max_memory", memory, options.max_memory.count, "memory and the requests in flight");
    return fits ? check_sum("max_disk", disk, options.max_disk.count, "dead_letters and max_size") : fits;
}

}  // namespace opsd::forward
