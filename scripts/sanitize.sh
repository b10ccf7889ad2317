#!/usr/bin/env bash
# Runs the tests of the layer that holds `unsafe` under Miri where a nightly toolchain has it, else under AddressSanitizer.
# Status: 0 passed, 77 no nightly toolchain here, else failed.
# usage: scripts/sanitize.sh
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v rustup >/dev/null || ! rustup run nightly cargo --version >/dev/null 2>&1; then
    echo 'SKIP sanitize: no nightly toolchain'
    exit 77
fi
if rustup run nightly cargo miri --version >/dev/null 2>&1; then
    rustup run nightly cargo miri test --lib dict::prefetch
else
    host=$(rustup run nightly rustc -vV | sed -n 's/^host: //p')
    RUSTFLAGS=-Zsanitizer=address CARGO_PROFILE_DEV_DEBUG=0 rustup run nightly cargo test --locked --lib \
        --target "$host" --target-dir target/sanitize dict::
fi
