# For the tests beside it: run a command under heaptap with the reference below it, and compare what both recorded, process by process.
# shellcheck shell=bash disable=SC2034
# With `emulator` (an array, the command before a program's own) set, the programs are those of the build in `target`.
target=${target:-$HEAPTAP_BUILD}
bin=$target/tests/stacks
tools=$HEAPTAP_BUILD/tests/stacks
# Buffers and logs are sparse and must be in memory; what a test leaves there goes with it.
work=$(mktemp -d /dev/shm/heaptap-stacks.XXXXXX) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# record COMMAND...: the buffers are $work/heaptap.PID, the logs $work/stacks.PID. A program that does not end well fails the test.
record() {
    rm -f "$work"/heaptap.* "$work"/stacks.*
    timeout "${SECONDS_MAX:-120}" env STACK_LOG_DIR="$work" HEAPTAP_OUT="$work/heaptap.%p" HEAPTAP_BUDGET="${BUDGET:-1g}" \
        HEAPTAP_RING="${RING:-256m}" HEAPTAP_DEPTH="${DEPTH:-1024}" \
        ${emulator:+"${emulator[@]}" -E} LD_PRELOAD="${PRELOAD-$target/libheaptap.so:}${REFERENCE-$bin/libstack_log.so}" "$@"
    local status=$?
    [ $status -eq 0 ] || { echo "exit status $status: $*"; failed=1; }
}

# compare NAME [OPTION...]: every process that was recorded.
compare() {
    local name=$1 log buffer found=
    shift
    for log in "$work"/stacks.*; do
        buffer=$work/heaptap.${log#*/stacks.}
        [ -e "$buffer" ] || { echo "$name: no buffer for $log"; failed=1; continue; }
        "$tools/compare_stacks" -l "${LIMIT:-1}" -n "$name" "$@" "$buffer" "$log" || failed=1
        found=1
    done
    [ "$found" ] || { echo "$name: nothing was recorded"; failed=1; }
}

# Calls its argument with the name and arguments of each program in known/.
known_programs() {
    "$1" alloca
    "$1" stale
    "$1" lazy
    "$1" assembly
    "$1" signals
    "$1" jumps
    "$1" exceptions
    "$1" contexts
    "$1" recursion
    DEPTH=8192 "$1" recursion 5000
    "$1" frames
    "$1" threads
    "$1" reload
    "$1" generated
    [ "$(uname -m)" = x86_64 ] || return # what follows is about frames and a trap flag that only x86-64 has
    "$1" realign
    if grep -qw avx2 /proc/cpuinfo; then
        "$1" realign_avx2
    else
        echo "realign_avx2 is left out: this processor has no AVX2"
    fi
    LIMIT=10 "$1" stepping
}
