#!/usr/bin/env bash
# Draws the pictures of the README: `client top` while a server is busy, and a session at the prompt. Runs the programs in a
# pseudo-terminal and writes docs/top.svg and docs/session.svg. The terminal is emulated by pyte, which is installed into a virtual
# environment under target/ if Python does not have it.
#
# usage: scripts/pictures.sh [--server PATH] [--client PATH] [--output FOLDER]
#   --server, --client   programs that are built already
#   --output             where the pictures go instead of docs
set -euo pipefail
cd "$(dirname "$0")/.."
command -v python3 >/dev/null || { echo "python3 is missing" >&2; exit 1; }
target=${CARGO_TARGET_DIR:-target}
python=python3
if ! python3 -c 'import pyte' 2>/dev/null; then
    python=$target/pictures-venv/bin/python
    "$python" -c 'import pyte' 2>/dev/null || {
        python3 -m venv "$target/pictures-venv" && "$target/pictures-venv/bin/pip" install --quiet pyte==0.8.2
    } || { echo "pyte could not be installed: apt-get install python3-pyte python3-venv" >&2; exit 1; }
fi
for program in client server; do
    [[ " $* " = *" --$program "* ]] && continue
    cargo build --quiet --locked --release --bin "$program"
    set -- "--$program" "$target/release/$program" "$@"
done
exec "$python" -B scripts/pictures.py "$@"
