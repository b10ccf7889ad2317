#!/usr/bin/env bash
# Looks for pauses: growth of the table, a million keys that expire at once, a value of 100 MB, 10,000 idle
# connections, collections of 10 million elements that go. Prints a table with the bars and writes benches/results/pauses.md. The machine should have nothing else
# to do: any process that takes the server's core for some milliseconds is taken for a pause of the server, unless
# --realtime lets all servers go first.
#
# usage: scripts/pauses.sh [--peer PATH]... [--quick] [--realtime] [--check growth|expiry|big-value|idle|collections]... [--output FOLDER]
#   --peer      also this server (and those on PATH), for comparison
#   --quick     less of everything
#   --realtime  servers run before all other processes on their core (SCHED_FIFO; needs root)
# Status: 0 all bars reached, 1 not all.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
cargo build --quiet --locked --release --bin server
exec python3 -B scripts/pauses.py "$@" "${CARGO_TARGET_DIR:-target}/release/server"
