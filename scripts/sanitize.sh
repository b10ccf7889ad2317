#!/usr/bin/env bash
# Runs the tests of the layer that holds `unsafe` under Miri where a nightly toolchain has it, else under AddressSanitizer.
#
# usage: scripts/sanitize.sh [--quick]
#   --quick   only the file with the unsafe line, compiled by itself: some seconds instead of some minutes
# Status: 0 passed, 77 no nightly toolchain here (the last line says so), else failed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}/sanitize
readonly FILE=src/dict/prefetch.rs

if ! command -v rustup >/dev/null || ! rustup run nightly rustc --version >/dev/null 2>&1; then
    echo 'SKIPPED sanitize: no nightly toolchain'
    exit 77
fi
if [ "${1:-}" = --quick ]; then
    mkdir -p "$target"
    rustup run nightly rustc --edition 2024 --test -Zsanitizer=address -o "$target/prefetch" "$FILE"
    "$target/prefetch" --quiet
    echo "sanitize: $FILE passed under AddressSanitizer"
elif rustup run nightly cargo miri --version >/dev/null 2>&1; then
    rustup run nightly cargo miri test --lib dict::prefetch
else
    host=$(rustup run nightly rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_DEV_DEBUG=0 rustup run nightly cargo test --locked --lib \
        --target "$host" --target-dir "$target" dict::
fi
