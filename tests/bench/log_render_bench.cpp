// How fast entries become text, without the journal: entries per CPU second of each format. An entry has 22
// fields and 700 bytes, as those of a service have. Built on demand: ninja log_render_bench.

#include "modules/logs/render.hpp"
#include "pipeline/redaction.hpp"

#include <fmt/format.h>

#include <ctime>

namespace {

using namespace opsd;

constexpr int rounds = 400'000;

double cpu_seconds()
{
    std::timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

const std::vector<systemd::JournalField> fields{
    {"_TRANSPORT", "journal"},
    {"PRIORITY", "6"},
    {"SYSLOG_FACILITY", "3"},
    {"_UID", "0"},
    {"_GID", "0"},
    {"_COMM", "mesos-agent"},
    {"_EXE", "/opt/mesosphere/packages/mesos--1234567890abcdef/bin/mesos-agent"},
    {"_CMDLINE",
     "/opt/mesosphere/packages/mesos--1234567890abcdef/bin/mesos-agent --work_dir=/var/lib/mesos"},
    {"_CAP_EFFECTIVE", "1ffffffffff"},
    {"_SELINUX_CONTEXT", "unconfined\n"},
    {"_SYSTEMD_CGROUP", "/system.slice/dcos-mesos-slave.service"},
    {"_SYSTEMD_UNIT", "dcos-mesos-slave.service"},
    {"_SYSTEMD_SLICE", "system.slice"},
    {"_SYSTEMD_INVOCATION_ID", "0123456789abcdef0123456789abcdef"},
    {"_BOOT_ID", "0123456789abcdef0123456789abcdef"},
    {"_MACHINE_ID", "0123456789abcdef0123456789abcdef"},
    {"_HOSTNAME", "agent-12.cluster.example"},
    {"_RUNTIME_SCOPE", "system"},
    {"SYSLOG_IDENTIFIER", "mesos-agent"},
    {"_PID", "12345"},
    {"_SOURCE_REALTIME_TIMESTAMP", "1700000000123456"},
    {"MESSAGE", "I1114 22:13:20.123456 12345 slave.cpp:7123] Current disk usage 42.17%. Max allowed age: "
                "4.048031 days for \"framework\" /var/lib/mesos/slave"}};

/// Takes an entry and makes nothing of it.
class NoWriter final : public systemd::EntryWriter {
public:
    bool write(const systemd::JournalEntry& /*entry*/, std::string& /*out*/) override { return true; }
};

void measure(std::string_view name, std::unique_ptr<systemd::EntryWriter> writer)
{
    const std::string cursor = "s=0123456789abcdef0123456789abcdef;i=365ab;b="
                               "0123456789abcdef0123456789abcdef;m=3a2f1;t=60a1b2c3d4e5f;"
                               "x=123456789abcdef0";
    std::string out;
    std::size_t bytes = 0;
    const auto begin = cpu_seconds();
    for (int i = 0; i < rounds; ++i) {
        const std::int64_t realtime = 1'700'000'000'000'000 + std::int64_t{i} * 1'000;
        writer->write({cursor, realtime, i, fields}, out);
        if (out.size() < 256 * 1024) continue;  // as a slice is
        bytes += out.size();
        out = {};
    }
    const auto seconds = cpu_seconds() - begin;
    bytes += out.size();
    fmt::print("{:12} {:>9.0f} entries per CPU second, {:>4} bytes each\n", name, rounds / seconds,
               bytes / rounds);
}

}  // namespace

int main()
{
    for (const auto format : {logs::Format::dcos_json, logs::Format::dcos_sse, logs::Format::ndjson,
                              logs::Format::dcos_text, logs::Format::text, logs::Format::export_})
        measure(to_string(format), logs::make_writer({.format = format}));
    measure("grep, none", logs::make_writer({.format = logs::Format::dcos_json,
                                             .grep = *logs::Grep::compile("error|fail")}));
    // What each entry that is forwarded costs beside its rendering: the aim is 150,000 a second with all of
    // it.
    measure("redaction", std::make_unique<pipeline::RedactingWriter>(std::make_unique<NoWriter>(),
                                                                     *pipeline::Redaction::make({})));
    return 0;
}
