#!/usr/bin/env bash
# The one test command: unit tests, documentation tests, tests over sockets, the Redis test suite, a guard against
# commands that take more instructions than they did, and the unsafe line under a sanitizer.
# What they need and the machine lacks comes from Debian's packages when this runs as root; otherwise it is named, and
# the parts that need it are skipped with a line that begins with SKIPPED. Ends with a summary of one line.
#
# usage: scripts/test.sh [arguments of cargo test]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}

# program:package
readonly NEEDED="cc:build-essential redis-server:redis-server redis-cli:redis-tools tclsh:tcl strace:strace ip:iproute2 python3:python3 valgrind:valgrind mkfs.ext4:e2fsprogs prlimit:util-linux"

missing_packages() {
    local pair
    for pair in $NEEDED; do
        PATH=$PATH:/usr/sbin:/sbin command -v "${pair%%:*}" >/dev/null || echo "${pair##*:}"
    done
}

install_missing() {
    local missing
    missing=$(missing_packages | tr '\n' ' ')
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "missing, and not installed without root and apt-get: $missing"
        return 0
    fi
    echo "installing $missing"
    # RUNLEVEL=1: the package must not start a service of its own, which would hold port 6379.
    export RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086 # a list of words
    if ! { apt-get update -qq || true; apt-get install -y -qq --no-install-recommends $missing; } >/dev/null; then
        echo "these packages could not be installed: $missing"
        return 0
    fi
    if [[ " $missing" = *" redis-server "* ]] && command -v service >/dev/null; then
        service redis-server stop >/dev/null 2>&1 || true
    fi
}

command -v cargo >/dev/null || { echo "cargo is missing: install Rust from https://rustup.rs" >&2; exit 1; }
install_missing
export PATH=$PATH:/usr/sbin:/sbin # where Debian has `ip`, for users whose path ends before it
mkdir -p "$target"

failures=()
log=$target/test.log
scripts/conformance.sh --fetch >/dev/null 2>&1 & # loads while cargo builds; what fails is told below
fetch=$!
cargo test --locked --no-fail-fast "$@" 2>&1 | tee "$log" || failures+=("cargo test")
read -r passed failed < <(awk '/^test result:/ { passed += $4; failed += $6 } END { print passed + 0, failed + 0 }' "$log")

status=0
wait $fetch || true
scripts/conformance.sh 2>&1 | tee "$target/conformance.log" || status=$?
conformance=$(tail -n 1 "$target/conformance.log")
[ $status = 0 ] || [ $status = 77 ] || failures+=("conformance")

status=0
scripts/instructions.sh 2>&1 | tee "$target/instructions.log" || status=$?
instructions=$(tail -n 1 "$target/instructions.log")
[ $status = 0 ] || [ $status = 77 ] || failures+=("instructions")

status=0
scripts/sanitize.sh --quick 2>&1 | tee "$target/sanitize.log" || status=$?
sanitize=$(tail -n 1 "$target/sanitize.log")
[ $status = 0 ] || [ $status = 77 ] || failures+=("sanitize")

# A test's own line can follow the runner's `test NAME ... ` on the same line.
skipped=$(grep -ho 'SKIPPED [^:]*' "$log" "$target/conformance.log" "$target/instructions.log" "$target/sanitize.log" | sed 's/SKIPPED //' | sort -u | paste -sd, || true)
verdict=PASSED
[ ${#failures[@]} = 0 ] || verdict="FAILED ($(IFS=,; echo "${failures[*]}"))"
echo "$verdict: $passed tests passed, $failed failed; $conformance; $instructions; $sanitize; skipped: ${skipped:-none}"
[ ${#failures[@]} = 0 ]
