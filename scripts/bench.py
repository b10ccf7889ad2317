"""Side-by-side figures: our server and the peers under the same load in one run, round by round in turn.

What is measured: the server's CPU time per command (it does not depend on how fast the load generator is), throughput,
latency, and resident bytes per key. Ratios are against the first peer. Writes latest.md and latest.svg.
"""

import argparse
import math
import re
import shutil
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import bench_report
from servers import LOAD_CORE, Connection, Server, encode, end_on_signals, key, load, peers, pin, stolen_seconds

PIPELINES = (1, 16, 64)
CLIENTS = 50
# Big values are sent in fewer requests and to fewer keys: no more bytes than this in either.
BYTES_PER_ROUND_MAX = 1 << 30
BYTES_STORED_MAX = 256 << 20
LARGE_BYTES_STORED_MAX = 640 << 20  # ten million values of 64 bytes
ROUND_SECONDS_MAX = 300
# A round is tried again, so often at most, if the host takes more than this share of a core meanwhile.
STOLEN_MAX, TRIES_MAX = 0.03, 4
MEMORY_CASES = (("8 bytes", 8, False), ("32 bytes", 32, False), ("32 bytes, TTL", 32, True), ("128 bytes", 128, False))


class Effort:
    """How much is done: enough for figures to quote, or a look."""

    def __init__(self, options):
        quick, large = options.quick, options.large
        self.rounds = options.rounds or (1 if quick else 5)
        self.sizes = options.size or ((3,) if quick else (3, 64, 512, 16384))
        self.requests = 50_000 if quick else 300_000
        self.pipelined_requests = 500_000 if quick else 3_000_000
        self.bytes_stored_max = LARGE_BYTES_STORED_MAX if large else BYTES_STORED_MAX
        self.keys = 10_000_000 if large else 100_000 if quick else 1_000_000
        self.memory_keys = 200_000 if quick else 1_000_000

    def requests_of(self, pipeline, size):
        requests = self.requests if pipeline == 1 else self.pipelined_requests
        return min(requests, BYTES_PER_ROUND_MAX // size)

    def keys_of(self, size):
        return min(self.keys, self.bytes_stored_max // size)


def percentile(output, percent):
    """Milliseconds below which `percent` of the requests were answered."""
    distribution = output.partition("percentile distribution")[2].partition("Cumulative")[0]
    for share, milliseconds in re.findall(r"([\d.]+)% <= ([\d.]+) milliseconds", distribution):
        if float(share) >= percent:
            return float(milliseconds)
    return math.nan


def run_load(generator, server, test, pipeline, size, requests, keys):
    """One round of load; returns its figures."""
    command = [generator, "-p", str(server.port), "-t", test, "-n", str(requests), "-P", str(pipeline), "-c", str(CLIENTS),
               "-r", str(keys), "-d", str(size)]
    before = server.cpu_ns()
    run = subprocess.run(command, capture_output=True, text=True, timeout=ROUND_SECONDS_MAX, check=False,
                         preexec_fn=lambda: pin(LOAD_CORE))
    cpu_ns = (server.cpu_ns() - before) / requests
    throughput = re.search(r"throughput summary: ([\d.]+) requests", run.stdout)
    if run.returncode != 0 or not throughput:
        sys.exit(f"{' '.join(command)} failed on {server.name}: {run.stderr.strip() or run.stdout[-300:]}")
    return {"cpu_ns": cpu_ns, "throughput": float(throughput[1]), "p50_ms": percentile(run.stdout, 50),
            "p99_ms": percentile(run.stdout, 99), "p999_ms": percentile(run.stdout, 99.9)}


def undisturbed(run):
    """The result of `run`, which is repeated while the host of this machine takes more than its share from it; else of the
    try that was disturbed least. What the host takes is charged to the server, most of all for small pipelines."""
    tries = []
    for _ in range(TRIES_MAX):
        started, stolen_before = time.monotonic(), stolen_seconds()
        result = run()
        stolen = (stolen_seconds() - stolen_before) / (time.monotonic() - started)
        tries.append((stolen, result))
        if stolen <= STOLEN_MAX:
            break
    return min(tries, key=lambda one: one[0])[1]


def medians(rounds):
    return {figure: statistics.median(one[figure] for one in rounds) for figure in rounds[0]}


def measure_loads(servers, effort, generator):
    """Figures by (size, pipeline, test, server)."""
    figures = {}
    for size in effort.sizes:
        # Every key exists: no GET is a miss, no SET makes the table grow.
        keys, value = effort.keys_of(size), b"v" * size
        with ExitStack() as stack:
            for server in servers:
                stack.enter_context(server)
                load(server.port, keys, lambda number: encode(b"SET", key(number), value))
            for pipeline in PIPELINES:
                for test in ("set", "get"):
                    requests = effort.requests_of(pipeline, size)
                    rounds = {server.name: [] for server in servers}
                    for _ in range(effort.rounds):
                        for server in servers:
                            arguments = (generator, server, test, pipeline, size, requests, keys)
                            rounds[server.name].append(undisturbed(lambda a=arguments: run_load(*a)))
                    for name, of_server in rounds.items():
                        figures[size, pipeline, test, name] = medians(of_server)
                    line = ", ".join(f"{name} {figures[size, pipeline, test, name]['cpu_ns']:.0f}" for name in rounds)
                    print(f"{size} bytes, pipeline {pipeline}, {test}: CPU ns per command: {line}", flush=True)
    return figures


def has_ttl(server):
    with Connection(server.port) as connection:
        seconds = connection.ask("TTL", key(0))
    return isinstance(seconds, int) and seconds > 0


def measure_memory(servers, effort):
    """Resident bytes per key, by (case, server)."""
    figures = {}
    for case, size, ttl in MEMORY_CASES:
        words = (b"v" * size, b"EX", b"100000") if ttl else (b"v" * size,)
        for server in servers:
            with server:
                empty = server.settled_resident_bytes()
                load(server.port, effort.memory_keys, lambda number: encode(b"SET", key(number), *words))
                used = server.settled_resident_bytes() - empty
                if ttl and not has_ttl(server):
                    sys.exit(f"{server.name}: SET with EX has set no TTL: its bytes would be those of a key without one")
            figures[case, server.name] = used / effort.memory_keys
        line = ", ".join(f"{server.name} {figures[case, server.name]:.1f}" for server in servers)
        print(f"{case}: resident bytes per key: {line}", flush=True)
    return figures


def find_generator(given):
    generator = given or shutil.which("valkey-benchmark") or shutil.which("redis-benchmark")
    if not generator or not shutil.which(generator):
        sys.exit("no redis-benchmark: install it, or name one with --generator")
    return generator


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer", action="append", default=[], help="a server to compare with, before those on PATH")
    arguments.add_argument("--quick", action="store_true", help="one short round, small values: a look, no figures")
    arguments.add_argument("--large", action="store_true", help="ten million keys instead of one")
    arguments.add_argument("--size", action="append", type=int, help="length of the values, instead of 3, 64, 512, 16384")
    arguments.add_argument("--rounds", type=int, help="rounds whose median counts")
    arguments.add_argument("--generator", help="redis-benchmark to use")
    arguments.add_argument("--output", type=Path, default=Path("benches/results"))
    arguments.add_argument("server")
    options = arguments.parse_args()
    end_on_signals()
    generator, effort = find_generator(options.generator), Effort(options)
    servers = [Server(options.server, "Mini-Redis"), *peers(options.peer)]
    if len(servers) == 1:
        print("no peer found: figures without ratios")
    started, stolen_before = time.monotonic(), stolen_seconds()
    loads = measure_loads(servers, effort, generator)
    memory = measure_memory(servers, effort)
    names = [server.name for server in servers]
    options.output.mkdir(parents=True, exist_ok=True)
    stolen = (stolen_seconds() - stolen_before) / (time.monotonic() - started)
    report = bench_report.markdown(names, loads, memory, effort, options.quick, stolen)
    (options.output / "latest.md").write_text(report, encoding="utf-8")
    (options.output / "latest.svg").write_text(bench_report.chart(names, loads, memory), encoding="utf-8")
    print(f"{options.output}/latest.md and latest.svg written after {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
