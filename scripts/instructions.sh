#!/usr/bin/env bash
# Guards the hot path: counts the instructions of fixed commands under callgrind and compares with
# benches/instructions.txt. More than 3 % above it in any case fails. Unlike times, counts do not depend on how busy
# the machine is.
#
# usage: scripts/instructions.sh [--accept] [--twice] [--case NAME]...
#   --accept   the counts of now become the baseline
#   --twice    count twice and fail if the counts differ
#   --case     only this case
# Status: 0 as the baseline or better, 1 worse, 77 cannot run here (the last line says why).
set -euo pipefail
cd "$(dirname "$0")/.."

skip() { echo "SKIPPED instructions: $*"; exit 77; }

for program in valgrind python3; do
    command -v $program >/dev/null || skip "$program is missing"
done
# The file name of a benchmark carries a hash: cargo says what it is.
program=$(cargo build --quiet --locked --release --bench instructions --message-format=json |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -n "$program" ] || { echo "the program that is counted was not built" >&2; exit 1; }
exec python3 -B scripts/instructions.py "$@" "$program"
