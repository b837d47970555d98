#!/bin/bash
# quickstart.sh [--once] - from a fresh Debian 12 to real unit health: installs what the build needs, builds opsd, runs
# it and prints what it says. Where PID 1 is systemd, opsd watches this machine as the program just built, with its
# state in a temporary directory: nothing is installed. Elsewhere a real systemd node with failing units is booted from
# tests/testbed and opsd runs there as the packaged unit. Ends and cleans up on Ctrl-C, or by itself with --once.
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
    *) sed -n '2,5s/^# //p' "$0" >&2; exit 64 ;;
esac

opsd=$top/build/release/src/opsd
group=quickstart
scratch=
daemon=
node_runs=
as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo); fi
node=("${as_root[@]}" tests/testbed/systemd-node -g "$group")

cleanup() {
    trap '' INT TERM
    trap - EXIT
    if [ -n "$daemon" ]; then kill "$daemon" 2>/dev/null || true; wait "$daemon" 2>/dev/null || true; fi
    if [ -n "$node_runs" ]; then "${node[@]}" kill --all >/dev/null 2>&1 || true; fi
    if [ -n "$scratch" ]; then rm -rf "$scratch"; fi
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

write_config() { # port socket
    cat >"$scratch/etc/opsd.yaml" <<YAML
# Written by quickstart.sh
http:
  # As DC/OS: whoever reaches loopback also reads journal lines. The default is "local": states and causes only.
  anonymous: viewer
  listen:
    - address: 127.0.0.1
      port: $1
  socket: $2
YAML
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
    write_config "$port" "$scratch/run/opsd.sock"
    "$opsd" daemon --config "$scratch/etc/opsd.yaml" --config-dir "$scratch/etc/conf.d" --state-dir "$scratch/state" \
        >"$scratch/log" 2>&1 &
    daemon=$!
    base=http://127.0.0.1:$port
    prefix=()
    shown=
    ops=(env "OPSD_URL=$base" "$opsd")
    wait_ready curl -sf "$base/-/ready" || { cat "$scratch/log"; die "opsd is not ready after 30 s: see above"; }
}

run_node() {
    say "3. Running opsd in a systemd node, because PID 1 here is $(cat /proc/1/comm), not systemd"
    "${as_root[@]}" tests/testbed/systemd-node check || die "cannot boot a node on this machine: see above"
    "${node[@]}" kill --all >/dev/null 2>&1 || true
    chmod 755 "$scratch" "$scratch/etc"
    write_config 1050 /run/opsd/opsd.sock
    local options=(--unit "$top/tests/testbed/units") unit
    for unit in ok-simple.service ok-notify.service ok-oneshot.service ok-tick.timer ok-echo.socket \
                bad-exit.service bad-signal.service bad-flapping.service; do
        options+=(--enable "$unit")
    done
    node_runs=yes
    "${as_root[@]}" tests/opsd-node "$group" node1 "$opsd" "$scratch/etc" "${options[@]}" 2>"$scratch/log" ||
        { cat "$scratch/log" >&2; die "cannot boot the node: see above"; }
    "${node[@]}" exec node1 systemctl start opsd ||
        { "${node[@]}" exec node1 journalctl -u opsd --no-pager >&2; die "opsd did not start: see above"; }
    base=http://127.0.0.1:1050
    prefix=("${node[@]}" exec node1)
    shown="${prefix[*]} "
    ops=("${prefix[@]}" opsd)
    wait_ready "${prefix[@]}" curl -sf "$base/-/ready" || true
}

# The unit whose cause is shown: the first unhealthy one.
worst_unit() {
    "${prefix[@]}" curl -sf "$base/system/health/v1" | jq -r 'first(.units[] | select(.health == 1) | .id) // ""'
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
    fi
    if [ -z "$once" ]; then say "Try it (from $top):"; else say "What to try while it runs, that is without --once (from $top):"; fi
    cat <<LINES
    ${shown}curl -s $base/system/health/v1 | jq .
    ${shown}curl -s $base/api/v1/units/${unit:-dbus.service} | jq .
    ${shown}curl -s $base/api/v1/units/${unit:-dbus.service}/history | jq .
    ${shown}curl -sN $base/api/v1/events
    ${shown}curl -s $base/metrics
LINES
    if [ -n "$shown" ]; then
        printf '    %ssystemctl kill -s KILL ok-simple.service\n    %sopsd unit list\n' "$shown" "$shown"
    else
        printf '    OPSD_URL=%s %s unit list\n' "$base" "$opsd"
    fi
    printf '\nThis run sets http.anonymous: viewer, as DC/OS does: anybody on loopback reads journal lines. The default is\n'
    printf 'local: states and causes only, journal lines with a token (opsd token create).\n'
}

scratch=$(mktemp -d "${TMPDIR:-/tmp}/opsd-quickstart.XXXXXX")
mkdir "$scratch/etc"
build
if [ -d /run/systemd/system ]; then run_here; else run_node; fi
show
[ -z "$once" ] || exit 0
say "opsd is running. Ctrl-C ends it and removes everything."
if [ -n "$daemon" ]; then wait "$daemon" || { cat "$scratch/log"; die "opsd ended"; }; else sleep infinity & wait $!; fi
