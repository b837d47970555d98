#!/bin/bash
# run.sh [--short] - prints opsd's figures: first those of a node as a table, the Debian peer beside them (the release
# binary, packaged, in a systemd node with 300 units), then those of a master with up to 10,000 members, then those
# of a large journal and of followers. --short: small
# samples and windows, for CI, where they are for reading only; the long run fails when a target is missed. Needs root
# and build/release with the targets opsd and member_stub; about four minutes short, half an hour long.
set -uo pipefail
top=$(cd "$(dirname "$(readlink -f -- "$0")")/../.." && pwd)
export PATH=$PATH:$top/build/tools/usr/bin
status=0
python3 "$top/tests/bench/figures.py" "$@" || status=1
python3 "$top/tests/bench/cluster_figures.py" "$@" || status=1
python3 "$top/tests/bench/log_figures.py" "$@" || status=1
exit $status
