#!/usr/bin/env bash
# Measures `client --pipe` side by side with `redis-cli --pipe`: a million SET commands into the same server, wall time and CPU time
# of the two programs. Fails if ours takes more wall time.
#
# usage: scripts/pipe.sh [--server PATH] [--client PATH] [--commands N] [--rounds N]
#   --server      the server to send to instead of ours
#   --client      a client that is built already
#   --commands    how many commands (1000000)
#   --rounds      how often each runs; the medians count (5)
set -euo pipefail
cd "$(dirname "$0")/.."
for program in python3 redis-cli; do
    command -v "$program" >/dev/null || { echo "$program is missing" >&2; exit 1; }
done
target=${CARGO_TARGET_DIR:-target}
[[ " $* " = *" --client "* ]] || { cargo build --quiet --locked --release --bin client; set -- --client "$target/release/client" "$@"; }
[[ " $* " = *" --server "* ]] || { cargo build --quiet --locked --release --bin server; set -- --server "$target/release/server" "$@"; }
exec python3 -B scripts/pipe.py "$@"
