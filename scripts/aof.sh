#!/usr/bin/env bash
# Shows that an acknowledged write survives kill -9: start, write, kill, start, read. Status 0 only if all is there.
# usage: scripts/aof.sh [SERVER]     SERVER: the program, built here unless given
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || cargo build --quiet --locked --bin server
readonly SERVER=${1:-${CARGO_TARGET_DIR:-target}/debug/server} WRITES=1000
data=$(mktemp -d)
pid=
trap 'kill "$pid" 2>/dev/null && wait "$pid" || true; rm -rf "$data"' EXIT

# Says what it does, numbered.
step=0
say() { printf '%2d. %s\n' $((++step)) "$*"; }

# Sends requests and prints the reply to each, one a line: bash can do what a client does.
ask() {
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%s\r\n' "$@" QUIT >&3
    tr -d '\r' <&3 | head -n -1
    exec 3>&-
}

# Starts the server on a free port and returns when it has loaded its data.
start() {
    for _ in 1 2 3 4 5; do
        port=$((20000 + RANDOM % 12000))
        "$SERVER" --port $port --dir "$data" --appendonly yes >"$data/server.log" 2>&1 &
        pid=$!
        for _ in $(seq 500); do
            if grep -q 'Ready to accept connections' "$data/server.log"; then return; fi
            kill -0 $pid 2>/dev/null || break # the port was taken
            sleep 0.02
        done
    done
    cat "$data/server.log" >&2
    exit 1
}

start
say "a server runs on port $port, process $pid, its data in $data"
mapfile -t requests < <(for n in $(seq $WRITES); do echo "SET key:$n value:$n"; done)
acknowledged=$(ask "${requests[@]}" | grep -c '^+OK$')
say "$acknowledged of $WRITES writes were acknowledged"
say "the log: $(ls "$data/appendonlydir" | paste -sd' ')"
say "it has $(grep -c 'value:' "$data"/appendonlydir/*.incr.aof) values; its last line is a checksum:"
say "    $(tail -n 1 "$data"/appendonlydir/*.incr.aof | tr -d '\r')"
{ kill -9 $pid && wait $pid; } 2>/dev/null || true
say "kill -9 $pid: the server had no time for anything"
start
say "a server runs again on port $port, process $pid, and has loaded the log"
mapfile -t requests < <(for n in $(seq $WRITES); do echo "GET key:$n"; done)
found=$(ask "${requests[@]}" | grep '^value:' | diff - <(seq -f 'value:%g' $WRITES) >/dev/null && echo $WRITES || echo less)
say "of $acknowledged acknowledged writes it has $found"
[ "$acknowledged" = $WRITES ] && [ "$found" = $WRITES ] || { say "FAILED: something is missing"; exit 1; }
say "nothing was lost"
