#!/bin/bash
# dependencies.sh [build|test] - installs what building opsd needs, or (the default) also what testing it needs.
# dependencies.sh --list [build|test] prints the names.
#
# The one list of Debian packages of this project; both commands of the README come here. Installs only what is
# missing, refreshes the package index only when it has to, and never starts a service on this machine: programs
# that come with one (node_exporter, promtool, rsyslog, systemd-journal-remote) are unpacked to build/tools instead of
# being installed.
set -euo pipefail
top=$(cd "$(dirname "$(readlink -f -- "$0")")/.." && pwd)

build_packages=(
    ca-certificates ccache clang-19 cmake lld-19 ninja-build pkg-config
    libboost1.81-dev libcli11-dev libfmt-dev libisal-dev librdkafka-dev libre2-dev libspdlog-dev libsqlite3-dev libssl-dev
    libsystemd-dev libyaml-cpp-dev nlohmann-json3-dev zlib1g-dev
    # a real systemd node, for a machine whose PID 1 is not systemd
    bsdutils curl dbus iproute2 jq libnss-systemd mount procps systemd util-linux
)
test_packages=(
    clang-format-19 clang-tidy-19 libclang-rt-19-dev libgmock-dev libgtest-dev
    dpkg-dev faketime file g++ git lintian openssl python3 wrk
    # ZooKeeper servers for component tests: the jars only, the package "zookeeper" would bring a user and a service
    default-jre-headless libzookeeper-java
    # receivers for the sinks' component tests: kcat, and the libraries of those that are unpacked below
    kcat libcurl4 libestr0 libfastjson4 libmicrohttpd12
)
# package:file, used from build/tools where the package is not installed
tools=(
    prometheus-node-exporter:usr/bin/prometheus-node-exporter prometheus:usr/bin/promtool
    rsyslog:usr/sbin/rsyslogd
    rsyslog-openssl:usr/lib/$(uname -m)-linux-gnu/rsyslog/lmnsd_ossl.so
    rsyslog-elasticsearch:usr/lib/$(uname -m)-linux-gnu/rsyslog/omelasticsearch.so
    systemd-journal-remote:lib/systemd/systemd-journal-remote
)

die() { printf 'dependencies.sh: %s\n' "$*" >&2; exit 1; }

list=
if [ "${1:-}" = --list ]; then list=yes; shift; fi
what=${1:-test}
case $what in
    build) wanted=("${build_packages[@]}") ;;
    test)  wanted=("${build_packages[@]}" "${test_packages[@]}") ;;
    *)     die "what is '$what'? Say build or test" ;;
esac
if [ -n "$list" ]; then printf '%s\n' "${wanted[@]}"; exit 0; fi

root=()
if [ "$(id -u)" != 0 ]; then root=(sudo); fi
apt_options=(-q -y -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3)
updated=

apt_update() {
    [ -z "$updated" ] || return 0
    updated=yes
    "${root[@]}" apt-get "${apt_options[@]}" update >&2
}

missing_packages() {
    local p
    for p in "${wanted[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || printf '%s\n' "$p"
    done
}

# Refreshes the index first when it does not know one of the packages.
have_index_for() {
    local known
    known=$(apt-cache policy "$@" 2>/dev/null | grep -c '^  Candidate: [^(]') || true
    [ "$known" = $# ]
}

install_packages() {
    [ ${#root[@]} = 0 ] || command -v sudo >/dev/null ||
        die "cannot install $*: not root and there is no sudo; run this as root once"
    printf 'installing: %s\n' "$*" >&2
    have_index_for "$@" || apt_update
    local install=("${root[@]}" env DEBIAN_FRONTEND=noninteractive
                   apt-get "${apt_options[@]}" install --no-install-recommends "$@")
    "${install[@]}" >&2 || { updated=; apt_update; "${install[@]}" >&2; } ||
        die "cannot install $*: see the lines above; opsd is built on Debian 12"
}

unpack_tool() { # package
    local scratch
    scratch=$(mktemp -d)
    have_index_for "$1" || apt_update
    # apt's own download user may not enter the scratch directory: as root it then says so and goes on
    (cd "$scratch" && { apt-get -q download "$1" || { apt_update && apt-get -q download "$1"; }; }) >/dev/null 2>&1 ||
        { rm -rf "$scratch"; die "cannot download $1"; }
    mkdir -p "$top/build/tools"
    dpkg-deb --fsys-tarfile "$scratch"/*.deb | tar -x -C "$top/build/tools" --exclude=./etc --exclude=./usr/share
    rm -rf "$scratch"
}

mapfile -t missing < <(missing_packages)
[ ${#missing[@]} = 0 ] || install_packages "${missing[@]}"

if [ "$what" = test ]; then
    for tool in "${tools[@]}"; do
        [ -e "$top/build/tools/${tool#*:}" ] || [ -e "/${tool#*:}" ] || unpack_tool "${tool%%:*}"
    done
fi
