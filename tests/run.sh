#!/bin/bash
# run.sh [--fast|--long] [STAGE...] - builds and tests everything from a fresh Debian 12; .ci/run is this.
#
#   unit      unit and component tests, and a short fuzzing of every parser, under ASan and UBSan
#   threads   what uses threads, under TSan
#   release   the program as shipped, completely, and its package
#   style     clang-format, the tidy test, clang-tidy on what changed
#   cluster   the packaged program on real systemd nodes
#   bench     the figures, in a short run
#
# The tests on nodes mostly wait: in a run of everything they run beside the builds, which give way to them.
#
# --fast    unit tests without sanitizers only: for the developer's loop
# --long    clang-tidy on everything, more under TSan, ten minutes for each fuzz target, the full benchmark
#
# The last line is `N passed, N failed, N skipped`.
set -uo pipefail
top=$(cd "$(dirname "$(readlink -f -- "$0")")/.." && pwd)
cd "$top" || exit 1

mode=normal
stages=()
for word; do
    case $word in
        --fast) mode=fast; stages=(fast) ;;
        --long) mode=long ;;
        unit|threads|release|style|cluster|bench) stages+=("$word") ;;
        *) sed -n '2,17s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
    esac
done
if [ ${#stages[@]} = 0 ]; then stages=(release unit threads cluster style bench); fi

results=$top/build/results
rm -rf "$results"
mkdir -p "$results"
lines=$results/results.tsv
: >"$lines"
export TEST_RESULTS=$lines
export PATH=$PATH:$top/build/tools/usr/bin
export ASAN_OPTIONS=${ASAN_OPTIONS:-strict_string_checks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export TSAN_OPTIONS=${TSAN_OPTIONS:-halt_on_error=1}
jobs=$(nproc)
gently=()  # what a build is run with
started=$SECONDS
times=()

headline() { printf '\n=== %s\n' "$*"; }
note() { # status suite name seconds reason
    printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$4" "${5:-}" >>"$lines"
    [ "$1" = passed ] || printf '%s %s/%s: %s\n' "${1^^}" "$2" "$3" "${5:-}"
}

# step SUITE NAME COMMAND...: one test that is a command; its output is shown when it fails.
step() {
    local suite=$1 name=$2 begin=$SECONDS log
    shift 2
    log=$results/$suite-$name.log
    if "$@" >"$log" 2>&1; then
        note passed "$suite" "$name" $((SECONDS - begin))
        printf 'passed %s/%s (%d s)\n' "$suite" "$name" $((SECONDS - begin))
        return 0
    fi
    tail -n 60 "$log"
    note failed "$suite" "$name" $((SECONDS - begin)) "see the lines above, all of them in $log"
    return 1
}

build() { # preset options-for-cmake -- target...
    local preset=$1 options=()
    shift
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    cmake --preset "$preset" "${options[@]}" &&
        "${gently[@]}" cmake --build --preset "$preset" --parallel "$jobs" --target "$@"
}

# Runs the CTest entries with the label and counts their GoogleTest cases.
run_ctest() { # suite tree arguments...
    local suite=$1 tree=$2 reports=$results/$1
    shift 2
    mkdir -p "$reports"
    GTEST_OUTPUT=xml:$reports/ "${gently[@]}" ctest --test-dir "$tree" --output-on-failure --no-tests=ignore \
        --output-junit "$results/$suite.xml" "$@" ||
        printf '%s\n' "some of these failed"
    [ -f "$results/$suite.xml" ] || { note failed "$suite" ctest 0 "CTest did not run"; return; }
    python3 tests/results.py ctest "$suite" "$results/$suite.xml" "$reports" >>"$lines"
}

stage_fast() {
    step fast build build dev -- all || return
    run_ctest fast build/dev -L unit -j "$jobs"
}

stage_unit() {
    step unit build build asan -DOPSD_FUZZ=ON -- all || return
    run_ctest unit build/asan -L unit -j "$jobs"
    run_ctest component build/asan -L component
    [ "$mode" != long ] || export OPSD_FUZZ_SECONDS=600
    run_ctest fuzz build/asan -L fuzz -j "$jobs"
}

stage_threads() {
    local parts=(core io)
    [ "$mode" != long ] || parts+=(http health cluster pki)
    step threads build build tsan -- "${parts[@]/#/unit_}" || return
    run_ctest threads build/tsan -R "^unit_($(IFS='|'; echo "${parts[*]}"))\$"
}

stage_release() {
    local fresh= begin=$SECONDS
    [ -f build/release/src/opsd ] || fresh=yes
    step release build build release -DOPSD_TESTS=ON -- opsd package_files member_stub || return
    [ -z "$fresh" ] || echo $((SECONDS - begin)) >build/release/build-seconds
    step release package sh -c 'cd build/release && cpack --config CPackConfig.cmake -B package' || return
    step release lintian lint_package
}

# The project has no public mail address: that is all we allow ourselves.
lint_package() {
    lintian --fail-on error --suppress-tags bogus-mail-host,bogus-mail-host-in-debian-changelog build/release/package/*.deb
}

changed_sources() {
    local base=${OPSD_BASE:-}
    if [ -z "$base" ]; then
        base=$(git merge-base HEAD origin/main 2>/dev/null) || base=
        if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then base=HEAD~1; fi
    fi
    git diff --name-only --diff-filter=d "$base" -- 'src/*.cpp' 2>/dev/null
}

# Clang 19 only, and the reason is said (docs/decisions/compiler.md).
refuses_gcc() {
    local tree said
    tree=$(mktemp -d) || return
    said=$(cmake -S . -B "$tree" -G Ninja -DCMAKE_CXX_COMPILER=g++ 2>&1)
    local refused=$?
    rm -rf "$tree"
    printf '%s\n' "$said"
    [ "$refused" != 0 ] && tr -s ' \n' ' ' <<<"$said" | grep -q "g++ 12 miscompiles coroutines"
}

stage_style() {
    step style format sh -c "git ls-files '*.cpp' '*.hpp' | xargs clang-format-19 --dry-run -Werror"
    step style compiler refuses_gcc
    step style build build release -DOPSD_TESTS=ON -- tidy || return
    run_ctest style build/release -R '^tidy$'
    # Without precompiled headers: what a file forgets to include is an error there.
    step style configure cmake --preset lint || return
    local files
    if [ "$mode" = long ]; then mapfile -t files < <(git ls-files 'src/*.cpp'); else mapfile -t files < <(changed_sources); fi
    tidy "${files[@]}"
}

# clang-tidy on each file, as many at a time as there are cores. In a normal run the time is bounded; what is left
# over is said.
tidy() {
    [ $# -gt 0 ] || return 0
    local limit=240
    [ "$mode" != long ] || limit=7200
    printf '%s\n' "$@" >"$results/tidy-wanted"
    headline "clang-tidy on $# file(s)"
    : >"$results/tidy-lines"
    "${gently[@]}" timeout "$limit" xargs -a "$results/tidy-wanted" -P "$jobs" -n 1 tests/tidy-one "$results" || true
    cat "$results/tidy-lines" >>"$lines"
    local left
    left=$(($# - $(wc -l <"$results/tidy-lines")))
    [ "$left" = 0 ] || printf 'clang-tidy: %d file(s) not reached in %d s; tests/run.sh --long takes all\n' "$left" "$limit"
}

stage_cluster() {
    if ! tests/testbed/systemd-node check; then
        note skipped cluster all 0 "no systemd node can be made on this machine, see the line above"
        return
    fi
    [ -x build/release/src/opsd ] || { note failed cluster all 0 "build/release/src/opsd is missing: run the stage release"; return; }
    step testbed selftest tests/testbed/selftest || return
    # The proof of no loss needs no node and much patience: it runs beside the others.
    python3 tests/cluster/run.py test_no_loss >"$results/no-loss.log" 2>&1 &
    local beside=$!
    python3 tests/cluster/run.py --without test_no_loss
    wait "$beside"
    cat "$results/no-loss.log"
    grep -q $'\tcluster\t' "$lines" || note failed cluster all 0 "tests/cluster/run.py ran nothing"
}

stage_bench() {
    if ! tests/testbed/systemd-node check; then
        note skipped bench all 0 "no systemd node can be made on this machine, see the line above"
        return
    fi
    [ -x build/release/src/opsd ] || { note failed bench all 0 "build/release/src/opsd is missing: run the stage release"; return; }
    local short=--short
    [ "$mode" != long ] || short=
    # shellcheck disable=SC2086
    if tests/bench/run.sh $short; then note passed bench figures 0; else note failed bench figures 0 "see the table above"; fi
}

beside=  # the stage that runs beside the others
end_beside() {
    [ -z "$beside" ] || { pkill -TERM -P "$beside"; kill "$beside"; wait "$beside"; } 2>/dev/null
}
trap 'end_beside; exit 130' INT TERM

main() {
    local stage begin rest=" ${stages[*]} " beside_log=$results/cluster.log
    headline "dependencies"
    begin=$SECONDS
    packaging/dependencies.sh test || { note failed dependencies install 0 "see the lines above"; return; }
    times+=("dependencies $((SECONDS - begin))")
    for stage in "${stages[@]}"; do
        headline "$stage"
        begin=$SECONDS
        rest=${rest#* "$stage"}
        if [ "$stage" = cluster ] && [ -n "$beside" ]; then
            wait "$beside" || note failed cluster all 0 "the tests on nodes did not come to their end, see below"
            beside=
            gently=()
            cat "$beside_log"
        else
            "stage_$stage"
        fi
        times+=("$stage $((SECONDS - begin))")
        if [ "$stage" = release ] && [[ "$rest" == *" cluster "* ]]; then
            stage_cluster >"$beside_log" 2>&1 &
            beside=$!
            gently=(nice -n 10)
        fi
    done
}
main
headline "done in $(((SECONDS - started) / 60)) min $(((SECONDS - started) % 60)) s"
printf '%-14s %5d s\n' ${times[@]}
python3 tests/results.py summary "$lines" tests/expected-skips.txt
