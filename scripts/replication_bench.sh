#!/usr/bin/env bash
# Measures replication side by side with a peer: the master's CPU time per write with two replicas, and a full sync of a
# million keys. Prints a Markdown table. The machine should have nothing else to do.
#
# usage: scripts/replication_bench.sh [--peer PATH] [--quick]
#   --peer    the server to compare with; else valkey-server or redis-server on PATH
#   --quick   less of everything
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
command -v redis-benchmark >/dev/null || { echo "redis-benchmark is missing (Debian: redis-tools)" >&2; exit 1; }
cargo build --quiet --locked --release --bin server
exec python3 -B scripts/replication_bench.py "$@" "${CARGO_TARGET_DIR:-target}/release/server"
