#!/usr/bin/env bash
# Three servers of ours and a proxy in front of them, for playing: the proxy on PORT (7000), the servers on the ports after it.
# Their data and logs are in log/cluster/, and stay there.
# usage: scripts/cluster.sh start [PORT] | stop
set -euo pipefail
cd "$(dirname "$0")/.."
readonly FOLDER=$PWD/log/cluster
bin=${CARGO_TARGET_DIR:-target}/debug
[[ $bin = /* ]] || bin=$PWD/$bin

# Ends what `start` began: each process that still is the program whose pid was noted.
stop() {
    local file pid ended=0
    for file in "$FOLDER"/*/pid; do
        [ -e "$file" ] || continue
        pid=$(cat "$file")
        if [ "$(readlink "/proc/$pid/exe" 2>/dev/null | sed 's/ (deleted)$//')" = "$(cat "${file%/pid}/program")" ]; then
            kill "$pid"
            ended=$((ended + 1))
            for _ in $(seq 500); do kill -0 "$pid" 2>/dev/null || break; sleep 0.02; done
        fi
        rm -f "$file"
    done
    echo "$ended processes ended"
}

# launch NAME PROGRAM ARGUMENT...: starts a program that outlives this script, its output in the log of its folder.
launch() {
    local folder=$FOLDER/$1 program=$2
    shift 2
    mkdir -p "$folder"
    readlink -f "$program" >"$folder/program"
    setsid "$program" "$@" >"$folder/log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
}

# await PORT NAME: until the port is open, or its process has ended.
await() {
    for _ in $(seq 1000); do
        if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then return; fi
        kill -0 "$(cat "$FOLDER/$2/pid")" 2>/dev/null || break
        sleep 0.02
    done
    echo "$2 does not start:" >&2
    tail -n 5 "$FOLDER/$2/log" >&2
    stop >&2
    exit 1
}

start() {
    local port=${1:-7000} nodes= number
    if compgen -G "$FOLDER/*/pid" >/dev/null; then
        echo "it was started before; first: scripts/cluster.sh stop" >&2
        exit 1
    fi
    cargo build --quiet --locked --bin server --bin proxy --bin client
    for number in 1 2 3; do
        mkdir -p "$FOLDER/$((port + number))/data"
        launch "$((port + number))" "$bin/server" --port $((port + number)) --dir "$FOLDER/$((port + number))/data"
        nodes+=${nodes:+,}127.0.0.1:$((port + number))
    done
    for number in 1 2 3; do await $((port + number)) $((port + number)); done
    launch proxy "$bin/proxy" --port "$port" --nodes "$nodes"
    await "$port" proxy
    echo "three servers: $nodes"
    echo "the proxy:     127.0.0.1:$port"
    echo "try it:        ${bin#"$PWD"/}/client 127.0.0.1:$port set hello world"
    echo "               ${bin#"$PWD"/}/client 127.0.0.1:$port info nodes"
    echo "end it:        scripts/cluster.sh stop"
}

case "${1:-}" in
start) start "${2:-}" ;;
stop) stop ;;
*) sed -n '4s/^# //p' "$0" >&2; exit 2 ;;
esac
