#!/usr/bin/env bash
# Runs the test suite of Redis 7.0.15 against our server and compares with tests/conformance.txt, which lists what
# does not pass yet. The suite is the one in Debian's redis source package; it is kept in target/conformance/.
#
# usage: scripts/conformance.sh [--server COMMAND] [--proxy COMMAND] [--files unit/a,unit/b] [--print]
#   --server   another server program to run the suite against, for example redis-server
#   --proxy    run it through this proxy, `ours` for the one built here, in front of redis-server unless --server says
#              another one; what does not pass then is in tests/conformance-proxy.txt
#   --files    only these files of the suite
#   --print    print what fails in the form of tests/conformance.txt and do not judge
#   --fetch    only obtain the suite, which can go on beside a build
# Status: 0 as listed, 1 not as listed, 77 cannot run here (the last line says why).
# REDIS_SUITE names an unpacked source tree of Redis 7.0.15 where Debian's package cannot be had.
set -euo pipefail
cd "$(dirname "$0")/.."
readonly REDIS_VERSION=7.0.15
target=${CARGO_TARGET_DIR:-target}
cache=$target/conformance
suite=$cache/redis-$REDIS_VERSION

skip() { echo "SKIPPED conformance: $*"; exit 77; }

# apt-get with sources, lists and cache of its own: needs no root and leaves the system's alone.
apt_source() {
    local dir=$1 line=$2; shift 2
    mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial"
    echo "$line" >"$dir/sources.list"
    apt-get -qq -o Dir::Etc::sourcelist="$dir/sources.list" -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists="$dir/lists" -o Dir::Cache="$dir/cache" -o APT::Sandbox::User="$(id -un)" "$@"
}

# Unpacks the source package into the directory $1, or says why not.
unpack_package() {
    command -v apt-get >/dev/null || skip "no apt-get to get the suite with; set REDIS_SUITE"
    local uri release keyring work=$PWD/$cache/source
    [[ $cache = /* ]] && work=$cache/source
    uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null |
        sed -n 's/^URIs: *//p; s/^deb  *\(\[[^]]*\] *\)\{0,1\}\([^ ]*\) .*/\2/p' | grep -E '/debian/?$' | head -1 || true)
    [ -n "$uri" ] || skip "no Debian mirror is configured; set REDIS_SUITE"
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$work"
    apt_source "$work" "deb-src [signed-by=$keyring] $uri $release main" update ||
        skip "the package lists of $uri cannot be read"
    (cd "$work" && apt_source "$work" "deb-src [signed-by=$keyring] $uri $release main" \
        source --download-only redis) ||
        skip "the redis source package cannot be read from $uri"
    local archives=("$work"/redis_"$REDIS_VERSION".orig.tar.*)
    [ -f "${archives[0]}" ] || skip "Debian $release has another Redis than $REDIS_VERSION; set REDIS_SUITE"
    tar xf "${archives[0]}" -C "$1" --strip-components=1
}

for program in python3 tclsh; do
    command -v $program >/dev/null || skip "$program is missing"
done
if [ ! -d "$suite" ]; then
    rm -rf "$suite.part"
    mkdir -p "$suite.part"
    if [ -n "${REDIS_SUITE:-}" ]; then
        cp -r "$REDIS_SUITE"/. "$suite.part"
    else
        unpack_package "$suite.part"
    fi
    # Between its files the suite flushes the scripts of a server; one without scripting has none to flush.
    sed -i 's/^    r function flush$/    catch {r function flush}/' "$suite.part/tests/support/server.tcl"
    mv "$suite.part" "$suite"
fi
[ "${1:-}" != --fetch ] || exit 0
server=$target/debug/server
if [[ " $* " = *" --proxy "* ]]; then
    server=redis-server
    if [[ " $* " = *" --proxy ours "* ]]; then
        cargo build --quiet --locked --bin proxy
        set -- "${@/#ours/$target/debug/proxy}"
    fi
elif [[ " $* " != *" --server "* ]]; then
    cargo build --quiet --locked --bin server
fi
exec python3 scripts/conformance.py --suite "$suite" --server "$server" "$@"
