#!/usr/bin/env bash
# Measures the log side by side with valkey-server: CPU time per SET with the log on, throughput with a sync per write, the time
# of a load, and what a rewrite under load costs others. Writes a Markdown table.
# The machine should have nothing else to do: servers run on one core, the load on another.
#
# usage: scripts/aof_bench.sh [--peer PATH]... [--quick] [--rounds N] [--generator PATH] [--output FILE]
#   --peer        another server to compare with; ratios are against the first one
#   --quick       a look of a minute or two, no figures to quote
#   --rounds      how many rounds, of which the median counts, instead of 5
#   --generator   the redis-benchmark to use
#   --output      where the table goes instead of benches/results/aof.md
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
cargo build --quiet --locked --release --bin server
exec python3 -B scripts/aof_bench.py "$@" "${CARGO_TARGET_DIR:-target}/release/server"
