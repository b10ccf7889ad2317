#!/usr/bin/env bash
# Measures our proxy side by side with twemproxy, three redis-servers behind each: CPU time per GET, SET and MSET of ten keys at
# pipeline 1, 16 and 64, and latency. Prints a table. The machine should have nothing else to do.
#
# usage: scripts/proxy_bench.sh [--quick] [--rounds N] [--generator PATH] [--node PATH]
#   --quick       a look of a minute, no figures to quote
#   --rounds      how many rounds, of which the median counts, instead of 5
#   --generator   the redis-benchmark to use
#   --node        the server behind the proxies, instead of redis-server
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
if ! PATH=$PATH:/usr/sbin command -v nutcracker >/dev/null && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    # RUNLEVEL=1: the package must not start a service of its own.
    RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nutcracker >/dev/null ||
        echo "the package nutcracker could not be installed" >&2
fi
cargo build --quiet --locked --release --bin proxy
exec python3 -B scripts/proxy_bench.py "$@" "${CARGO_TARGET_DIR:-target}/release/proxy"
