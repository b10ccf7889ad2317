#!/usr/bin/env bash
# Looks for pauses: growth of the table, a million keys that expire at once, a value of 100 MB, 10,000 idle
# connections. Prints a table with the bars and writes benches/results/pauses.md. The machine should have nothing else
# to do: any process that takes the server's core for some milliseconds is taken for a pause of the server.
#
# usage: scripts/pauses.sh [--peer PATH]... [--quick] [--check growth|expiry|big-value|idle]... [--output FOLDER]
#   --peer    also this server (and those on PATH), for comparison
#   --quick   less of everything
# Status: 0 all bars reached, 1 not all.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
cargo build --quiet --locked --release --bin server
exec python3 -B scripts/pauses.py "$@" "${CARGO_TARGET_DIR:-target}/release/server"
