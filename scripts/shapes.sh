#!/usr/bin/env bash
# Measures loads that redis-benchmark has not: transactions, one message to many subscribers, one message past many
# patterns. CPU time of our server and of the peers per transaction, delivered message and PUBLISH, side by side in one
# run. Prints a table and writes benches/results/shapes.md. The machine should have nothing else to do.
#
# usage: scripts/shapes.sh [--peer PATH]... [--shape NAME]... [--rounds N] [--quick] [--output FOLDER]
#   --peer    another server to compare with; ratios are against the first one
#   --shape   only this one: transactions, subscribers, patterns
#   --rounds  servers take turns so often; the median counts (5)
#   --quick   one round of less
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
cargo build --quiet --locked --release --bin server
exec python3 -B scripts/shapes.py "$@" "${CARGO_TARGET_DIR:-target}/release/server"
