#!/usr/bin/env bash
# Shows replication: a master and two replicas; writes reach both, a replica refuses writes, and what was written while one
# was dead is there when it is back. Status 0 only if all holds.
# usage: scripts/master_slave.test.sh [SERVER]     SERVER: the program, built here unless given
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || cargo build --quiet --locked --bin server
readonly SERVER=${1:-${CARGO_TARGET_DIR:-target}/debug/server} WRITES=1000
data=$(mktemp -d)
declare -A pid=() port=()
trap 'kill "${pid[@]}" 2>/dev/null && wait "${pid[@]}" || true; rm -rf "$data"' EXIT

# Says what it does, numbered.
step=0
say() { printf '%2d. %s\n' $((++step)) "$*"; }
fail() { say "FAILED: $*"; tail -n 5 "$data"/*/server.log >&2; exit 1; }

# Sends requests to a server and prints the reply to each, one a line: bash can do what a client does.
ask() {
    exec 3<>"/dev/tcp/127.0.0.1/${port[$1]}"
    printf '%s\r\n' "${@:2}" QUIT >&3
    tr -d '\r' <&3 | head -n -1
    exec 3>&-
}

# start NAME [OPTION...]: on the port it had, or a free one; returns when it has loaded its data.
start() {
    local name=$1 try
    mkdir -p "$data/$name"
    for try in 1 2 3 4 5; do
        [ "$try" = 1 ] && [ -n "${port[$name]:-}" ] || port[$name]=$((20000 + RANDOM % 12000))
        "$SERVER" --port "${port[$name]}" --dir "$data/$name" --repl-diskless-sync-delay 0 "${@:2}" \
            >"$data/$name/server.log" 2>&1 &
        pid[$name]=$!
        for _ in $(seq 500); do
            if grep -q 'Ready to accept connections' "$data/$name/server.log"; then return; fi
            kill -0 "${pid[$name]}" 2>/dev/null || break # the port was taken
            sleep 0.02
        done
    done
    fail "$name does not start"
}

# value NAME FIELD: a field of INFO replication.
value() { ask "$1" 'INFO replication' | sed -n "s/^$2://p"; }

# in_sync NAME: waits until a replica has all that the master has written.
in_sync() {
    for _ in $(seq 1000); do
        if [ "$(value "$1" master_link_status)" = up ] &&
            [ "$(value "$1" slave_repl_offset)" = "$(value master master_repl_offset)" ]; then return; fi
        sleep 0.02
    done
    fail "$1 does not catch up"
}

# write FROM TO: sets so many keys on the master.
write() {
    mapfile -t requests < <(for n in $(seq "$1" "$2"); do echo "SET key:$n value:$n"; done)
    [ "$(ask master "${requests[@]}" | grep -c '^+OK$')" = $(($2 - $1 + 1)) ] || fail "the master refuses writes"
}

# has NAME COUNT: whether a server has the first keys, and no others.
has() {
    mapfile -t requests < <(for n in $(seq "$2"); do echo "GET key:$n"; done)
    [ "$(ask "$1" DBSIZE)" = ":$2" ] &&
        ask "$1" "${requests[@]}" | grep '^value:' | diff - <(seq -f 'value:%g' "$2") >/dev/null
}

start master
say "a master runs on port ${port[master]}"
for name in one two; do
    start $name --role slave --master "127.0.0.1:${port[master]}"
    in_sync $name
    say "replica $name runs on port ${port[$name]} and is in sync"
done
write 1 $WRITES
for name in one two; do
    in_sync $name
    has $name $WRITES || fail "replica $name has other data than the master"
done
say "$WRITES writes to the master are on both replicas"
refusal=$(ask one 'SET key:1 mine')
say "a write to a replica: $refusal"
[[ $refusal = -READONLY* ]] || fail "it was not refused"
{ kill -9 "${pid[two]}" && wait "${pid[two]}"; } 2>/dev/null || true
say "kill -9 of replica two"
write $((WRITES + 1)) $((2 * WRITES))
say "$WRITES more writes to the master"
start two --role slave --master "127.0.0.1:${port[master]}"
in_sync two
say "replica two runs again and has caught up"
for name in master one two; do
    has $name $((2 * WRITES)) || fail "$name has not all keys"
done
say "master and replicas have the same $((2 * WRITES)) keys"
