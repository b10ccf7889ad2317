#!/usr/bin/env bash
# Shows the proxy at work: three servers behind one address, keys spread over them, one killed, what clients see of it, and the
# server back again. Status 0 only if all of it holds.
# usage: scripts/proxy_test.sh [PROGRAMS]     PROGRAMS: the folder of server and proxy, which are built here unless given
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || cargo build --quiet --locked --bin server --bin proxy
readonly PROGRAMS=${1:-${CARGO_TARGET_DIR:-target}/debug} KEYS=12
data=$(mktemp -d)
declare -A pids=()
trap 'for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" || true; done; rm -rf "$data"' EXIT

# Says what it does, numbered.
step=0
say() { printf '%2d. %s\n' $((++step)) "$*"; }
failed=0
# expect WHAT IS SHOULD-BE
expect() { [ "$2" = "$3" ] || { failed=1; say "    FAILED: $1: $2 instead of $3"; }; }

# ask PORT REQUEST...: sends requests and prints the reply to each, one a line: bash can do what a client does.
ask() {
    local port=$1
    shift
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%s\r\n' "$@" QUIT >&3
    tr -d '\r' <&3 | head -n -1
    exec 3>&-
}

# start NAME PORT PROGRAM FLAG...: starts a program and returns when its port is open; status 1: it has ended.
start() {
    local name=$1 port=$2
    shift 2
    "$@" --port "$port" >>"$data/$name.log" 2>&1 &
    pids[$name]=$!
    for _ in $(seq 1000); do
        kill -0 "${pids[$name]}" 2>/dev/null || return 1
        if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then return 0; fi
        sleep 0.02
    done
    return 1
}

server() { start "server$1" "${ports[$1]}" "$PROGRAMS/server" --dir "$data/$1" --appendonly yes; }

# A free port each: one that is taken makes the program end, and another one is tried.
declare -A ports=()
try() { # NUMBER
    for _ in 1 2 3 4 5; do
        ports[$1]=$((20000 + RANDOM % 12000))
        mkdir -p "$data/$1"
        if server "$1"; then return; fi
    done
    cat "$data/server$1.log" >&2
    exit 1
}
for number in 1 2 3; do try $number; done
nodes=127.0.0.1:${ports[1]},127.0.0.1:${ports[2]},127.0.0.1:${ports[3]}
say "three servers run: $nodes"
for _ in 1 2 3 4 5; do
    proxy=$((20000 + RANDOM % 12000))
    if start proxy $proxy "$PROGRAMS/proxy" --nodes "$nodes"; then break; fi
    unset "pids[proxy]"
done
[ -n "${pids[proxy]:-}" ] || { cat "$data/proxy.log" >&2; exit 1; }
say "a proxy in front of them listens on port $proxy, process ${pids[proxy]}"

mapfile -t requests < <(for n in $(seq $KEYS); do echo "SET key:$n value:$n"; done)
acknowledged=$(ask $proxy "${requests[@]}" | grep -c '^+OK$')
say "$acknowledged of $KEYS writes through the proxy were acknowledged"
expect "acknowledged writes" "$acknowledged" $KEYS

# Where each key is, asked of the servers themselves.
declare -A owner=()
total=0
for number in 1 2 3; do
    mapfile -t requests < <(for n in $(seq $KEYS); do echo "EXISTS key:$n"; done)
    mapfile -t there < <(ask "${ports[$number]}" "${requests[@]}")
    list=
    for n in $(seq $KEYS); do
        if [ "${there[$((n - 1))]}" = :1 ]; then list+=" key:$n" owner[$n]=$number total=$((total + 1)); fi
    done
    say "    server $number (port ${ports[$number]}) has${list:- nothing}"
done
expect "keys on the servers, each on one" $total $KEYS

many=$(for n in $(seq $KEYS); do echo "key:$n"; done | paste -sd' ')
found=$(ask $proxy "MGET $many" | grep -c '^value:')
say "one MGET through the proxy gets $found of $KEYS values, from all three servers, in the order of the keys"
expect "values" "$found" $KEYS

dead=${owner[1]}
{ kill -9 "${pids[server$dead]}" && wait "${pids[server$dead]}"; } 2>/dev/null || true
unset "pids[server$dead]"
say "kill -9: server $dead is gone, and with it key:1"
errors=0 values=0
for n in $(seq $KEYS); do
    reply=$(ask $proxy "GET key:$n" | tail -n 1)
    case "$reply" in
    "value:$n") values=$((values + 1)) ;;
    -*) errors=$((errors + 1)); [ $errors -gt 1 ] || say "    GET key:$n: $reply" ;;
    *) expect "GET key:$n" "$reply" "value:$n" ;;
    esac
    [[ $reply != -* ]] || expect "the server of key:$n" "${owner[$n]}" "$dead"
done
say "    $values keys are served as before, $errors give an error"
expect "values and errors" $((values + errors)) $KEYS
say "    MGET of all: $(ask $proxy "MGET $many" | head -n 1)"
say "    INFO nodes: $(ask $proxy "INFO nodes" | grep '^nodes_down')"

server "$dead" || { cat "$data/server$dead.log" >&2; exit 1; }
say "server $dead runs again on its port"
for _ in $(seq 500); do
    found=$(ask $proxy "MGET $many" | grep -c '^value:' || true)
    [ "$found" != $KEYS ] || break
    sleep 0.02
done
say "the proxy has noticed: one MGET gets $found of $KEYS values"
expect "values" "$found" $KEYS

kill "${pids[proxy]}"
status=0
wait "${pids[proxy]}" || status=$?
unset "pids[proxy]"
say "SIGTERM: the proxy ended with status $status"
expect "the proxy's status" $status 0
[ $failed = 0 ] || { say "FAILED"; exit 1; }
say "all as it should be"
