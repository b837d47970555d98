// What an operator would do next, by cause: commands that can be pasted, the first one first.

#include "modules/health/explain/rows.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace opsd::health::explain::rows {
namespace {

std::string journal_command(const Case& c)
{
    return fmt::format("journalctl -b -n 50 --no-pager -u {}", name(c));
}

/// How it is started again after the cause is mended.
std::string start_command(const Case& c)
{
    if (start_limit(c)) return fmt::format("systemctl reset-failed {0} && systemctl start {0}", name(c));
    return fmt::format("systemctl {} {}", c.unit.active_state == "inactive" ? "start" : "restart", name(c));
}

/// The commands, then the start; a unit file that systemd has not read yet comes before everything.
Commands then_start(const Case& c, Commands first)
{
    if (c.details.need_daemon_reload) first.insert(first.begin(), "systemctl daemon-reload");
    first.push_back(start_command(c));
    return first;
}

std::string cat_command(const Case& c) { return fmt::format("systemctl cat {}", name(c)); }
std::string status_command(const Case& c) { return fmt::format("systemctl status {}", name(c)); }

std::string package_of_program(const Case& c)
{
    const auto* program = program_of(c);
    if (program != nullptr && !program->package.empty()) return program->package;
    const auto* package = c.own_package();
    return package == nullptr ? std::string{} : package->package;
}

std::string install_command(const std::string& package)
{
    return fmt::format("apt-get install --reinstall {}", shell_quoted(package));
}

std::string list_command(const std::string& path) { return fmt::format("ls -ld {}", shell_quoted(path)); }

std::string clue_path(const Case& c) { return c.clue ? c.clue->path : std::string{}; }

}  // namespace

Commands next_nothing(const Case& c)
{
    if (c.details.need_daemon_reload) return {"systemctl daemon-reload"};
    return {};
}
Commands next_dbus(const Case&)
{
    return {"systemctl status dbus", "journalctl -b -n 50 --no-pager -u opsd"};
}
Commands next_status(const Case& c) { return {status_command(c)}; }
Commands next_log(const Case& c) { return then_start(c, {journal_command(c)}); }
Commands next_cat(const Case& c) { return then_start(c, {cat_command(c), journal_command(c)}); }
Commands next_start(const Case& c) { return then_start(c, {}); }

Commands next_condition(const Case& c) { return {cat_command(c), start_command(c)}; }
Commands next_not_found(const Case& c)
{
    for (const auto& change : c.facts.packages) {
        if (!change.owns.empty()) return {fmt::format("apt-get install {}", shell_quoted(change.package))};
    }
    return {status_command(c), fmt::format("dpkg -S {}", name(c)), "systemctl daemon-reload"};
}
Commands next_verify(const Case& c)
{
    return {fmt::format("systemd-analyze verify {}", name(c)),
            fmt::format("systemctl edit --full {}", name(c)), "systemctl daemon-reload", start_command(c)};
}
Commands next_unmask(const Case& c)
{
    return {fmt::format("systemctl unmask {0} && systemctl start {0}", name(c))};
}
Commands next_dependency(const Case& c)
{
    Commands all;
    if (c.facts.culprit) {
        const Case culprit{*c.facts.culprit};
        all = cause_of(culprit).next(culprit);
    } else {
        all.push_back(fmt::format("systemctl status {}", shell_quoted(c.first_cause->id)));
    }
    all.push_back(start_command(c));
    return all;
}
Commands next_device(const Case& c) { return {status_command(c), "lsblk -f", "cat /etc/fstab"}; }

Commands next_environment_file(const Case& c) { return then_start(c, {cat_command(c)}); }
Commands next_disk_full(const Case& c)
{
    auto place = c.facts.full.empty() ? clue_path(c) : c.facts.full.front().path;
    if (place.empty()) place = "/";
    return then_start(c,
                      {fmt::format("df -h {0} && df -i {0}", shell_quoted(place)),
                       fmt::format("du -xh --max-depth=2 {} | sort -h | tail -n 20", shell_quoted(place))});
}
Commands next_memory(const Case& c)
{
    return then_start(c, {fmt::format("systemctl show -p MemoryMax,MemoryHigh,MemoryCurrent {}", name(c)),
                          "free -h", fmt::format("systemctl edit {}", name(c))});
}

Commands next_slice_memory(const Case& c)
{
    const auto group = limited_group(c);
    const auto unit = group.substr(group.rfind('/') + 1);
    Commands all{fmt::format("systemd-cgtop -m -n 1 {}", shell_quoted(group))};
    if (unit.ends_with(".slice"))
        all.push_back(fmt::format("systemctl show -p MemoryMax,MemoryCurrent {}", shell_quoted(unit)));
    return then_start(c, std::move(all));
}

Commands next_binary_missing(const Case& c)
{
    const auto package = package_of_program(c);
    if (!package.empty()) return then_start(c, {install_command(package)});
    const auto* command = command_of(c);
    return then_start(c, {cat_command(c), list_command(command == nullptr ? "/" : command->path)});
}
Commands next_interpreter(const Case& c)
{
    return then_start(c, {fmt::format("head -n 1 {}", shell_quoted(program_of(c)->path)),
                          list_command(program_of(c)->interpreter)});
}
Commands next_executable(const Case& c)
{
    const auto* command = command_of(c);
    const auto path = command == nullptr ? std::string{"/"} : command->path;
    return then_start(c, {list_command(path), fmt::format("chmod +x {}", shell_quoted(path))});
}
Commands next_working_directory(const Case& c)
{
    return then_start(c, {cat_command(c), list_command(c.details.working_directory)});
}
Commands next_user(const Case& c)
{
    return then_start(c, {fmt::format("getent passwd {}", shell_quoted(c.details.user)), "systemd-sysusers"});
}
Commands next_group(const Case& c)
{
    return then_start(c, {fmt::format("getent group {}", shell_quoted(c.details.group)), "systemd-sysusers"});
}

Commands next_port(const Case& c)
{
    const auto port = c.clue ? port_of(c.clue->address) : std::string_view{};
    if (port.empty()) return then_start(c, {"ss -ltnup"});
    return then_start(c, {fmt::format("ss -ltnup 'sport = :{}'", port)});
}
Commands next_read_only(const Case& c)
{
    const auto path = clue_path(c);
    return then_start(
        c, {fmt::format("findmnt -T {}", shell_quoted(path.empty() ? "/" : path)), cat_command(c)});
}
Commands next_limits(const Case& c)
{
    return then_start(c, {fmt::format("systemctl show -p LimitNOFILE {}", name(c)),
                          fmt::format("systemctl edit {}", name(c))});
}
Commands next_library(const Case& c)
{
    const auto package = package_of_program(c);
    const auto* command = command_of(c);
    Commands all{fmt::format("ldd {}", shell_quoted(command == nullptr ? "/" : command->path))};
    if (!package.empty()) all.push_back(install_command(package));
    return then_start(c, std::move(all));
}
Commands next_permission(const Case& c)
{
    const auto path = clue_path(c);
    if (path.empty()) return next_cat(c);
    return then_start(c,
                      {fmt::format("namei -l {}", shell_quoted(path)),
                       fmt::format("systemctl show -p User,Group,ReadWritePaths,ProtectSystem {}", name(c))});
}
Commands next_file_missing(const Case& c)
{
    const auto path = clue_path(c);
    if (path.empty()) return next_log(c);
    return then_start(c, {list_command(path), cat_command(c)});
}

Commands next_changed_package(const Case& c)
{
    const auto& package = *c.own_package();
    Commands all{journal_command(c), fmt::format("zgrep -h ' {}:' /var/log/dpkg.log*", package.package)};
    if (!package.from.empty())
        all.push_back(
            fmt::format("apt-get install {}={}", shell_quoted(package.package), shell_quoted(package.from)));
    return then_start(c, std::move(all));
}
Commands next_changed_file(const Case& c)
{
    const auto& change = *c.own_change();
    const bool unit_file = change.role == "unit file" || change.role.starts_with("drop-in");
    Commands all{unit_file ? cat_command(c) : list_command(change.path), journal_command(c)};
    return then_start(c, std::move(all));
}
Commands next_start_limit(const Case& c) { return then_start(c, {journal_command(c)}); }
Commands next_control(const Case& c) { return then_start(c, {journal_command(c), cat_command(c)}); }
Commands next_core(const Case& c)
{
    return then_start(c, {fmt::format("coredumpctl info {}", name(c)), journal_command(c)});
}
Commands next_stuck(const Case& c)
{
    return {journal_command(c), fmt::format("systemctl list-jobs"), status_command(c)};
}
Commands next_queued(const Case& c) { return {"systemctl list-jobs --after --before", status_command(c)}; }

}  // namespace opsd::health::explain::rows
