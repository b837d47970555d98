#!/bin/bash
# run.sh [--short] - prints opsd's figures as a table, the Debian peer beside them: the release binary, packaged, in a
# systemd node with 300 units. --short: small samples and windows, for CI, where the table is for reading only; the long
# run fails when a target is missed. Needs root and build/release; about one minute short, twenty minutes long.
set -euo pipefail
top=$(cd "$(dirname "$(readlink -f -- "$0")")/../.." && pwd)
export PATH=$PATH:$top/build/tools/usr/bin
exec python3 "$top/tests/bench/figures.py" "$@"
