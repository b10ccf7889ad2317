#!/usr/bin/env bash
# Kills the server under load again and again, cuts its power, and counts: how many kills and cuts, how many writes were
# acknowledged, how many of them were lost. What must not be lost and is ends it with status 1.
# Everything happens in directories of its own below the temporary directory. The power cuts need root and a loop device.
#
# usage: scripts/torture.sh [KILLS]     kills under each of always, everysec and no, and cuts under always; 500 unless given
set -euo pipefail
cd "$(dirname "$0")/.."
kills=${1:-500}
[[ $kills =~ ^[1-9][0-9]*$ ]] || { sed -n '/^# usage/s/^# //p' "$0" >&2; exit 2; }
cargo build --quiet --locked --tests
export MINI_REDIS_KILLS=$kills MINI_REDIS_CUTS=$kills
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# One at a time: what one measures is not the load of the other.
cargo test --quiet --locked --test durability -- --nocapture --test-threads 1 kill:: power:: >"$log" 2>&1 || status=$?
grep -oE '(D[0-9]+:|SKIPPED|LOST).*' "$log" || true
if [ $status != 0 ]; then
    tail -n 60 "$log" >&2
    echo "FAILED"
    exit 1
fi
echo "PASSED: nothing was lost that must not be lost"
