#!/usr/bin/env bash
# Measures our server side by side with the redis-server and valkey-server found on PATH: CPU time per command,
# throughput, latency and resident bytes per key. Writes benches/results/latest.md and latest.svg.
# The machine should have nothing else to do: servers run on one core, the load on another.
#
# usage: scripts/bench.sh [--peer PATH]... [--quick] [--large] [--rounds N] [--size BYTES]... [--generator PATH] [--output FOLDER]
#   --peer        another server to compare with; ratios are against the first one
#   --quick       a look of a minute or two, no figures to quote
#   --large       ten million keys instead of one (of big values as many as take 640 MB instead of 256)
#   --size        length of the values, instead of 3, 64, 512 and 16384
#   --rounds      how many rounds, of which the median counts, instead of 5
#   --generator   the redis-benchmark to use
#   --output      where the report goes instead of benches/results
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
cargo build --quiet --locked --release --bin server
exec python3 -B scripts/bench.py "$@" "${CARGO_TARGET_DIR:-target}/release/server"
