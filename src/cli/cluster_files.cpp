#include "cli/cluster_files.hpp"

#include "daemon/offline.hpp"
#include "daemon/options.hpp"
#include "modules/pki/options.hpp"
#include "modules/pki/policy.hpp"

#include <fmt/format.h>

#include <netdb.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <optional>
#include <system_error>

namespace opsd::cli {
namespace {

std::string config_path(const config::Sources& sources) { return sources.directory + "/cluster.yaml"; }

/// The name with its domain, where the resolver knows it; "" otherwise.
std::string qualified(const std::string& host)
{
    addrinfo hints{};
    hints.ai_flags = AI_CANONNAME;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return {};
    const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owned{found, ::freeaddrinfo};
    const std::string name = found->ai_canonname == nullptr ? "" : found->ai_canonname;
    const bool local = name == "localhost" || name.starts_with("localhost.");
    return pki::valid_host_name(name) && !local ? name : std::string{};
}

}  // namespace

Result<> none_exists(const std::vector<std::string>& paths)
{
    for (const auto& path : paths) {
        struct stat now{};
        if (::lstat(path.c_str(), &now) != 0) continue;
        return fail(
            Errc::invalid_argument,
            fmt::format(
                "cannot write {}: it is there already, and nothing is overwritten; if this node is to "
                "begin anew, move the files away first",
                path));
    }
    return {};
}

Result<> write_new(const std::vector<NewFile>& files, files::Owner owner)
{
    std::vector<std::string> paths;
    for (const auto& file : files)
        paths.push_back(file.path);
    auto free = none_exists(paths);
    if (!free) return free;
    std::vector<std::string> written;
    for (const auto& file : files) {
        auto done = files::make_directories(files::parent_of(file.path), 0755);
        if (done) {
            done = file.secret ? files::write_atomic(file.path, file.content, file.mode, owner)
                               : files::write_atomic(file.path, file.content, file.mode);
        }
        if (done) {
            written.push_back(file.path);
            continue;
        }
        for (const auto& path : written)
            ::unlink(path.c_str());
        return done;
    }
    return {};
}

Result<files::Owner> owner_of(const std::string& account)
{
    std::array<char, 16 * 1024> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    const int number = ::getpwnam_r(account.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (number != 0 || found == nullptr) {
        return fail(
            Errc::not_found,
            fmt::format("cannot find the account \"{}\"{}{}: install the package, or name the account that "
                        "runs opsd with --user",
                        account, number == 0 ? "" : ": ",
                        number == 0 ? "" : std::generic_category().message(number)));
    }
    if (::geteuid() != 0 && ::geteuid() != found->pw_uid) {
        return fail(Errc::denied,
                    fmt::format("cannot give a key to the account \"{}\": run this as root", account));
    }
    return files::Owner{found->pw_uid, found->pw_gid};
}

Result<pki::Names> node_names(const std::vector<std::string>& given)
{
    std::array<char, 256> host{};
    pki::Names names;
    if (::gethostname(host.data(), host.size() - 1) != 0 || !pki::valid_host_name(host.data())) {
        return fail(
            Errc::invalid_argument,
            fmt::format(
                "cannot use this node's host name \"{}\" in a certificate: set one of letters, digits, "
                "\"-\" and \".\" with hostnamectl",
                host.data()));
    }
    auto added = pki::add_name(names, host.data());
    if (const auto full = qualified(host.data()); added && !full.empty()) added = pki::add_name(names, full);
    for (const auto& name : given)
        if (added) added = pki::add_name(names, name);
    if (!added) return fail(std::move(added).error());
    return names;
}

std::string in_url(const std::string& host) { return host.contains(':') ? "[" + host + "]" : host; }

std::string cluster_config(const std::string& cluster, const pki::NodeFiles& files,
                           const std::vector<std::string>& addresses, int port)
{
    std::string text =
        fmt::format("# This node in the cluster {}; made by `opsd cluster`. What opsd.yaml says of these "
                    "two lists is replaced.\n"
                    "http:\n"
                    "  listen:\n"
                    "    - {{address: \"127.0.0.1\", port: {}}}\n",
                    cluster, port);
    for (const auto& address : addresses) {
        text += fmt::format("    - address: \"{}\"\n"
                            "      port: {}\n"
                            "      certificate: \"{}\"\n"
                            "      key: \"{}\"\n"
                            "      client_ca: \"{}\"\n",
                            address, port, files.certificate, files.key, files.authority);
    }
    if (files.directory != pki::PkiOptions{}.directory)
        text += fmt::format("pki: {{directory: \"{}\"}}\n", files.directory);
    return text
           + fmt::format("auth:\n"
                         "  certificates:\n"
                         "    # every node of the cluster\n"
                         "    - {{subject: \"{}\", role: viewer}}\n"
                         "cluster:\n"
                         "  # how this node asks the others, if it watches them (cluster.sources)\n"
                         "  tls: {{ca: \"{}\", certificate: \"{}\", key: \"{}\"}}\n",
                         pki::subject_pattern(cluster), files.authority, files.certificate, files.key);
}

Result<> config_is_free(const config::Sources& sources)
{
    auto free = none_exists({config_path(sources)});
    if (!free) return free;
    const auto root = config::load(sources, daemon::all_sections());
    if (!root) return fail(Errc::invalid_argument, root.error().front().to_string());
    for (const auto& [section, key] :
         {std::pair{"http", "listen"}, {"auth", "certificates"}, {"cluster", "tls"}}) {
        const auto* found = root->find(section);
        const auto* value = found == nullptr ? nullptr : found->find(key);
        if (value == nullptr) continue;
        return fail(Errc::invalid_argument,
                    fmt::format("cannot add {}: {}.{} is set already ({}:{}), and would be replaced; leave "
                                "--write-config out and add the lines that are printed then by hand",
                                config_path(sources), section, key, value->where.file, value->where.line));
    }
    return {};
}

Result<config::Duration> certificate_lifetime(const config::Sources& sources)
{
    const auto root = config::load(sources, daemon::all_sections());
    if (!root) return fail(Errc::invalid_argument, root.error().front().to_string());
    config::Mistakes mistakes;
    const auto options = pki::schema().parse(root->find("pki"), "pki", mistakes);
    if (!mistakes.empty()) return fail(Errc::invalid_argument, mistakes.front().to_string());
    return options.certificate_lifetime;
}

Result<> write_config(const config::Sources& sources, const std::string& text)
{
    const auto path = config_path(sources);
    auto written = files::make_directories(sources.directory, 0755);
    if (written) written = files::write_atomic(path, text, 0644);
    if (!written) return written;
    const auto good = daemon::check_configuration(sources);
    if (good) return {};
    ::unlink(path.c_str());
    return fail(Errc::invalid_argument, fmt::format("cannot use {}, which was taken back: {}", path,
                                                    good.error().front().to_string()));
}

}  // namespace opsd::cli
