# Sourced by the tests here. A private directory like /dev/shm for the buffers, processes ended by pid, and the checks at the end.
# shellcheck shell=bash
shim=$HEAPTAP_BUILD/libheaptap.so
tool=$HEAPTAP_BUILD/heaptap
HEAPTAP_DIR=$(mktemp -d /dev/shm/heaptap-test.XXXXXX)
export HEAPTAP_DIR
chmod 1777 "$HEAPTAP_DIR"
started=()

fail() {
    echo "$*"
    exit 1
}

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null && return
    rm -rf "$HEAPTAP_DIR"
    echo "$1 is missing: apt-get install $2"
    exit 77
}

clean_up() {
    local pid all
    for pid in "${started[@]}"; do
        kill -0 "$pid" 2>/dev/null || continue
        all=$(pgrep -P "$pid")
        # shellcheck disable=SC2086
        kill -KILL "$pid" $all 2>/dev/null
    done
    rm -rf "$HEAPTAP_DIR"
}
trap clean_up EXIT

free_port() {
    /usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# Until COMMAND works, at most 20 s.
wait_for() {
    local try
    for ((try = 0; try < 200; try++)); do
        "$@" >/dev/null 2>&1 && return 0
        sleep 0.1
    done
    fail "gave up waiting for: $*"
}

file_of() { # PID: its buffer file
    find "$HEAPTAP_DIR" -name "heaptap.*.$1"
}

must_have_file() { # PID...: living processes whose files must be there
    local pid
    for pid in "$@"; do
        kill -0 "$pid" || fail "process $pid is gone"
        [ -n "$(file_of "$pid")" ] || fail "the file of process $pid is not in $HEAPTAP_DIR: $(ls "$HEAPTAP_DIR")"
    done
}

# Its process was killed while it made the file: the magic, which is written last, is not there.
is_unfinished() { [ "$(head -c 8 "$1" | tr -d '\0' | wc -c)" -eq 0 ]; }

# Every file is whole. AT_LEAST: how many there must be.
verify_files() {
    local file count=0
    for file in "$HEAPTAP_DIR"/*; do
        [ -f "$file" ] || continue
        is_unfinished "$file" && continue
        count=$((count + 1))
        "$tool" info --verify "$file" >verify.log 2>&1 || fail "$file: $(cat verify.log)"
    done
    [ "$count" -ge "$1" ] || fail "$count buffer files, at least $1 expected"
}
