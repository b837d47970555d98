#!/bin/bash
# quickstart.sh [--once] - from a fresh Debian 12 to real unit health: installs what the build needs, builds opsd, runs
# it and prints what it says. Where PID 1 is systemd, opsd watches this machine as the program just built, with its
# state in a temporary directory: nothing is installed. Elsewhere a small cluster of real systemd nodes is booted from
# tests/testbed, one master and two agents with a failing unit on one, and opsd runs on each as the packaged unit.
# Ends and cleans up on Ctrl-C, or by itself with --once.
set -euo pipefail
top=$(cd "$(dirname "$(readlink -f -- "$0")")/.." && pwd)
cd "$top"

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf 'quickstart.sh: %s\n' "$*" >&2; exit 1; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

once=
case ${1:-} in
    '') ;;
    --once) once=yes ;;
    *) sed -n '2,6s/^# //p' "$0" >&2; exit 64 ;;
esac

opsd=$top/build/release/src/opsd
group=${OPSD_TESTBED_GROUP:-quickstart}
scratch=
daemon=
waiter=
node_runs=
token=
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
node=("${as_root[@]}" tests/testbed/systemd-node -g "$group")

cleanup() {
    trap '' INT TERM
    trap - EXIT
    if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; fi
    if [ -n "$waiter" ]; then kill "$waiter" 2>/dev/null || true; fi
    if [ -n "$node_runs" ]; then "${node[@]}" kill --all >/dev/null 2>&1 || true; fi
    # what was /etc/opsd of a node belongs to another user now
    if [ -n "$scratch" ]; then "${as_root[@]}" rm -rf "$scratch"; fi
}
trap cleanup EXIT
trap 'echo; exit 130' INT
trap 'exit 143' TERM HUP

build() {
    say "1. What the build needs"
    packaging/dependencies.sh build
    say "2. Building opsd (about six minutes on two cores, then seconds)"
    if [ ! -f build/release/build.ninja ]; then
        cmake --preset release -DOPSD_TESTS=OFF >"$scratch/configure.log" 2>&1 ||
            { cat "$scratch/configure.log" >&2; die "cannot configure the build: see above"; }
    fi
    cmake --build --preset release --target opsd
    "$opsd" version
}

write_config() { # file port socket
    mkdir -p "$(dirname "$1")"
    cat >"$1" <<YAML
# Written by quickstart.sh
http:
  # As DC/OS: whoever reaches loopback also reads journal lines. The default is "local": states and causes only.
  anonymous: viewer
  listen:
    - address: 127.0.0.1
      port: $2
  socket: $3
YAML
}

# A node of the cluster on the test bed's private network: no TLS there, and one token that all nodes know.
write_node_config() { # name role
    cat >"$scratch/$1/opsd.yaml" <<YAML
# Written by quickstart.sh
http:
  # As DC/OS: whoever reaches loopback also reads journal lines. The default is "local": states and causes only.
  anonymous: viewer
  listen:
    # "opsd cluster init" and "opsd cluster join" would make certificates; this network ends on this machine.
    - {address: 0.0.0.0, port: 1050, insecure: true}
auth:
  cluster_token: {file: /etc/opsd/cluster-token}
node:
  role: $2
health:
  globs: ["ok-*"]
YAML
    [ "$1" != agent2 ] || echo "  units: [bad-exit.service]" >>"$scratch/$1/opsd.yaml"
    if [ "$2" = master ]; then
        cat >>"$scratch/$1/opsd.yaml" <<YAML
cluster:
  token: {file: /etc/opsd/cluster-token}
  insecure: true
  sources:
    static: {masters: [master], agents: [agent1, agent2]}
YAML
    fi
    echo "$token" >"$scratch/$1/cluster-token"
}

free_port() {
    local port
    for ((port = 1050; port < 1150; port++)); do
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    die "cannot find a free port between 1050 and 1149"
}

wait_ready() { # command that succeeds when opsd is ready
    local end=$((SECONDS + 30))
    until "$@" >/dev/null 2>&1; do
        [ -z "$daemon" ] || kill -0 "$daemon" 2>/dev/null || { cat "$scratch/log" >&2; die "opsd ended: see above"; }
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

run_here() {
    local port
    port=$(free_port)
    say "3. Running opsd on this machine's systemd (nothing is installed; state and log in $scratch)"
    mkdir -p "$scratch/state" "$scratch/run"
    write_config "$scratch/etc/opsd.yaml" "$port" "$scratch/run/opsd.sock"
    "$opsd" daemon --config "$scratch/etc/opsd.yaml" --config-dir "$scratch/etc/conf.d" --state-dir "$scratch/state" \
        >"$scratch/log" 2>&1 &
    daemon=$!
    base=http://127.0.0.1:$port
    prefix=()
    shown=
    ops=(env "OPSD_URL=$base" "$opsd")
    wait_ready curl -sf "$base/-/ready" || { cat "$scratch/log"; die "opsd is not ready after 30 s: see above"; }
}

boot_node() { # name role option...
    local name=$1 role=$2
    shift 2
    mkdir -p "$scratch/$name/conf.d"
    chmod 755 "$scratch/$name" "$scratch/$name/conf.d"
    write_node_config "$name" "$role"
    "${as_root[@]}" tests/opsd-node "$group" "$name" "$opsd" "$scratch/$name" "$@" 2>"$scratch/log" ||
        { cat "$scratch/log" >&2; die "cannot boot the node $name: see above"; }
    "${node[@]}" exec "$name" chown -R opsd /etc/opsd
    "${node[@]}" exec "$name" systemctl start opsd ||
        { "${node[@]}" exec "$name" journalctl -u opsd --no-pager >&2; die "opsd did not start on $name: see above"; }
}

run_nodes() {
    say "3. Running opsd on a master and two agents, real systemd nodes, because PID 1 here is $(cat /proc/1/comm)"
    "${as_root[@]}" tests/testbed/systemd-node check || die "cannot boot a node on this machine: see above"
    "${node[@]}" kill --all >/dev/null 2>&1 || true
    chmod 755 "$scratch"
    token=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')
    local units=(--unit "$top/tests/testbed/units" --enable ok-simple.service --enable ok-tick.timer)
    node_runs=yes
    boot_node agent1 agent "${units[@]}" --enable ok-notify.service
    boot_node agent2 agent "${units[@]}" --enable bad-exit.service
    boot_node master master "${units[@]}"
    base=http://127.0.0.1:1050
    prefix=("${node[@]}" exec master)
    shown="${prefix[*]} "
    ops=("${prefix[@]}" opsd)
    wait_ready "${prefix[@]}" curl -sf "$base/-/ready" || true
    wait_ready all_fresh || "${ops[@]}" node list
}

# Have all three nodes answered the master?
all_fresh() {
    [ "$("${prefix[@]}" curl -sf "$base/api/v1/nodes?freshness=fresh" | jq '.nodes | length')" = 3 ]
}

# The unit whose cause is shown: the first unhealthy one.
worst_unit() {
    "${prefix[@]}" curl -sf "$base/system/health/v1" | jq -r 'first(.units[] | select(.health == 1) | .id) // ""'
}

show_cluster() {
    sleep 1.5   # journald takes up to a second to hand over what a unit said last
    say "4. The cluster, as its master sees it"
    "${ops[@]}" health --cluster || true
    "${ops[@]}" node list
    say "   One unit on all nodes"
    "${ops[@]}" unit nodes bad-exit.service
    say "   Why is it unhealthy on agent2?"
    "${node[@]}" exec agent2 opsd explain bad-exit.service
    say "   What does it say, on all nodes?"
    "${ops[@]}" log --all bad-exit.service --lines 4
    if [ -z "$once" ]; then say "Try it (from $top):"; else say "What to try while it runs, that is without --once (from $top):"; fi
    cat <<LINES
    ${shown}curl -s $base/system/health/v1/nodes | jq .
    ${shown}curl -s $base/system/health/v1/units/bad-exit.service/nodes | jq .
    ${shown}curl -s $base/api/v1/nodes/agent2 | jq .
    ${shown}curl -s $base/api/v1/nodes/agent2/units/bad-exit.service/explain | jq .
    ${shown}curl -s '$base/api/v1/logs?node=all&priority=warning&lines=5' | jq .
    ${shown}opsd log --all --follow
    ${shown}curl -sN $base/api/v1/events
    ${shown}curl -s $base/api/v1/metrics/cluster
    ${node[*]} net down agent1      # its cable is pulled; "net up agent1" plugs it in again
    ${shown}opsd node list
LINES
    about_access
}

show() {
    sleep 1.5   # journald takes up to a second to hand over what a unit said last
    say "4. The units of this node"
    "${ops[@]}" unit list
    local unit
    unit=$(worst_unit)
    if [ -n "$unit" ]; then
        say "   Why is $unit unhealthy?"
        "${prefix[@]}" curl -sf "$base/system/health/v1" | jq -r --arg u "$unit" '.units[] | select(.id == $u) | .output'
        say "   What does it say?"
        "${ops[@]}" log "$unit" --lines 4
    fi
    if [ -z "$once" ]; then say "Try it (from $top):"; else say "What to try while it runs, that is without --once (from $top):"; fi
    cat <<LINES
    ${shown}curl -s $base/system/health/v1 | jq .
    ${shown}curl -s $base/api/v1/units/${unit:-dbus.service} | jq .
    ${shown}curl -s $base/api/v1/units/${unit:-dbus.service}/history | jq .
    ${shown}curl -s '$base/system/v1/logs/v2/component?skip=-5'
    ${shown}curl -sN $base/api/v1/events
    ${shown}curl -s $base/metrics
LINES
    printf '    OPSD_URL=%s %s unit list\n' "$base" "$opsd"
    about_access
}

about_access() {
    printf '\nThis run sets http.anonymous: viewer, as DC/OS does: anybody on loopback reads journal lines. The default is\n'
    printf 'local: states and causes only, journal lines with a token (opsd token create).\n'
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/opsd-quickstart.XXXXXX")
mkdir "$scratch/etc"
build
if [ -d /run/systemd/system ]; then
    run_here
    show
else
    run_nodes
    show_cluster
fi
[ -z "$once" ] || exit 0
say "opsd is running. Ctrl-C ends it and removes everything."
if [ -n "$daemon" ]; then wait "$daemon" || { cat "$scratch/log"; die "opsd ended"; }; else sleep infinity & waiter=$!; wait "$waiter"; fi
