"""The log, side by side: our server and the peers in one run, round by round in turn.

CPU time per SET with the log on and a sync a second; throughput with a sync per write; seconds until a log or a snapshot is
loaded; what a rewrite under load costs: the longest time that a client waits, the longest turn of our loop, and memory.
"""

import argparse
import statistics
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from bench import CLIENTS, find_generator, medians, run_load
from servers import (LOAD_CORE, Connection, Server, encode, end_on_signals, info_field, is_loaded, key, load, machine, peers,
                     pin, rewrite_is_over, wait_for)

VALUE = b"v" * 64
LONGEST_TURN, GROWTH = "longest turn of the loop, ms", "growth of memory, %"


class Effort:
    """How much is done: enough for figures to quote, or a look."""

    def __init__(self, options):
        quick = options.quick
        self.rounds = options.rounds or (1 if quick else 5)
        self.requests = 50_000 if quick else 300_000
        self.pipelined_requests = 500_000 if quick else 3_000_000
        self.synced_requests = 2_000 if quick else 30_000
        self.keys = 100_000 if quick else 1_000_000
        self.rewrite_keys = 300_000 if quick else 5_000_000


def log_flags(policy):
    return "--appendonly", "yes", "--appendfsync", policy, "--auto-aof-rewrite-percentage", "0"


def measure_writes(servers, effort, generator, policy, pipeline, requests):
    """Figures of SET by server."""
    with ExitStack() as stack:
        for server in servers:
            server.start(*log_flags(policy))
            stack.callback(server.stop)
            if policy == "everysec":
                load(server.port, effort.keys, lambda number: encode(b"SET", key(number), VALUE))
        rounds = {server.name: [] for server in servers}
        for _ in range(effort.rounds):
            for server in servers:
                rounds[server.name].append(
                    run_load(generator, server, "set", pipeline, len(VALUE), requests, effort.keys))
    return {name: medians(of_server) for name, of_server in rounds.items()}


def seconds_to_load(server, *flags):
    """Starts the program again on the files it has; returns the seconds until all is loaded."""
    server.end()
    started = time.monotonic()
    server.run(*flags)
    wait_for(server.port, is_loaded)
    return time.monotonic() - started


def measure_loads(servers, effort):
    """Seconds of a load, by (kind, server)."""
    seconds = {}
    for server in servers:
        server.start(*log_flags("everysec"))
        try:
            load(server.port, effort.keys, lambda number: encode(b"SET", key(number), VALUE))
            of_log = [seconds_to_load(server, *log_flags("everysec")) for _ in range(effort.rounds)]
            with Connection(server.port) as connection:
                if connection.ask("SAVE") != b"OK":
                    sys.exit(f"{server.name} cannot SAVE")
            of_snapshot = [seconds_to_load(server, "--appendonly", "no") for _ in range(effort.rounds)]
        finally:
            server.stop()
        seconds["AOF", server.name] = statistics.median(of_log)
        seconds["RDB", server.name] = statistics.median(of_snapshot)
    return seconds


def all_resident_bytes(server):
    """Memory of the process and of its children, pages that they share counted once."""
    total = 0
    # The kernel holds up a process while it goes over its pages for `smaps_rollup`: only where there is a child.
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text(encoding="ascii")
    if not children.split():
        return server.resident_bytes()
    for pid in [str(server.process.pid), *children.split()]:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            continue  # it has just ended
        total += next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))
    return total


class Watch(threading.Thread):
    """Asks PING every millisecond and notes the longest wait; looks at the memory in between."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.done = server, threading.Event()
        self.longest_s, self.peak_bytes = 0, 0

    def run(self):
        with Connection(self.server.port) as connection:
            turn = 0
            while not self.done.is_set():
                started = time.monotonic()
                connection.ask("PING")
                self.longest_s = max(self.longest_s, time.monotonic() - started)
                if turn % 100 == 0:
                    self.peak_bytes = max(self.peak_bytes, all_resident_bytes(self.server))
                turn += 1
                time.sleep(0.001)


def measure_rewrite(server, effort, generator):
    """What a rewrite under load costs: longest waits and turns in ms, growth of memory in percent, seconds."""
    with ExitStack() as stack:
        server.start(*log_flags("everysec"))
        stack.callback(server.stop)
        load(server.port, effort.rewrite_keys, lambda number: encode(b"SET", key(number), VALUE))
        server.settled_resident_bytes()
        before = all_resident_bytes(server)
        clients = subprocess.Popen([generator, "-p", str(server.port), "-t", "set", "-n", "1000000000", "-c", str(CLIENTS),
                                    "-r", str(effort.rewrite_keys), "-d", str(len(VALUE))], stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, preexec_fn=lambda: pin(LOAD_CORE))
        stack.callback(clients.wait)
        stack.callback(clients.kill)
        time.sleep(1)
        with Connection(server.port) as connection:
            connection.ask("CONFIG", "RESETSTAT")
            watch = Watch(server)
            watch.start()
            started = time.monotonic()
            connection.ask("BGREWRITEAOF")
            time.sleep(0.2)
            wait_for(server.port, rewrite_is_over)
            seconds = time.monotonic() - started
            watch.done.set()
            watch.join()
            longest_turn_us = info_field(connection, "stats", "longest_turn_us")
    return {"longest wait of a client, ms": watch.longest_s * 1000,
            LONGEST_TURN: None if longest_turn_us is None else longest_turn_us / 1000,
            GROWTH: 100 * (watch.peak_bytes / before - 1), "seconds": seconds}


class Bar:
    """What a figure, or its ratio to the first peer's, must be at most or at least."""

    def __init__(self, limit, of_ratio=True, at_least=False):
        self.limit, self.of_ratio, self.at_least = limit, of_ratio, at_least

    def __str__(self):
        return f"{'ratio ' if self.of_ratio else ''}{'>=' if self.at_least else '<='} {self.limit:g}"

    def missed(self, figure, ratio):
        judged = ratio if self.of_ratio else figure
        return judged is not None and (judged < self.limit if self.at_least else judged > self.limit)


def row(what, figures, servers, text, bar=None):
    """A line of the table: ours, the peers, our ratio to the first of them, and the bar."""
    ours, theirs = figures[servers[0].name], figures[servers[1].name]
    ratio = ours / theirs if ours is not None and theirs else None
    cells = ["" if figures[server.name] is None else text % figures[server.name] for server in servers]
    verdict = "" if bar is None else f"{bar}{', **missed**' if bar.missed(ours, ratio) else ''}"
    return f"| {what} | {' | '.join(cells)} | {'' if ratio is None else f'{ratio:.2f}'} | {verdict} |"


def report(servers, rows):
    head = ["# The log, side by side", "", *(f"- {name}: {value}" for name, value in machine()), ""]
    names = " | ".join(server.name for server in servers)
    head += [f"| | {names} | ratio to {servers[1].name} | bar |", "|---" * (len(servers) + 3) + "|"]
    return "\n".join([*head, *rows]) + "\n"


def measure(servers, effort, generator):
    """All rows of the table."""
    rows = []

    def add(*arguments):
        rows.append(row(*arguments))
        print(rows[-1], flush=True)

    for pipeline, requests, bar in ((1, effort.requests, 0.88), (64, effort.pipelined_requests, 0.45)):
        figures = measure_writes(servers, effort, generator, "everysec", pipeline, requests)
        add(f"SET, everysec, pipeline {pipeline}: CPU us per command",
            {name: of_server["cpu_ns"] / 1000 for name, of_server in figures.items()}, servers, "%.2f", Bar(bar))
    figures = measure_writes(servers, effort, generator, "always", 1, effort.synced_requests)
    add(f"SET, always, {CLIENTS} clients: requests per second",
        {name: of_server["throughput"] for name, of_server in figures.items()}, servers, "%.0f", Bar(1.1, at_least=True))
    seconds = measure_loads(servers, effort)
    for kind in ("AOF", "RDB"):
        add(f"load of {effort.keys} keys, {kind}: seconds",
            {server.name: seconds[kind, server.name] for server in servers}, servers, "%.2f", Bar(0.6))
    rewrites = {server.name: measure_rewrite(server, effort, generator) for server in servers}
    bars = {LONGEST_TURN: Bar(5, of_ratio=False), GROWTH: Bar(10, of_ratio=False)}
    for figure in next(iter(rewrites.values())):
        add(f"rewrite of {effort.rewrite_keys} keys under load: {figure}",
            {name: of_server[figure] for name, of_server in rewrites.items()}, servers, "%.2f", bars.get(figure))
    return rows


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer", action="append", default=[], help="a server to compare with, before those on PATH")
    arguments.add_argument("--quick", action="store_true", help="one short round, fewer keys: a look, no figures")
    arguments.add_argument("--rounds", type=int, help="rounds whose median counts")
    arguments.add_argument("--generator", help="redis-benchmark to use")
    arguments.add_argument("--output", type=Path, default=Path("benches/results/aof.md"))
    arguments.add_argument("server")
    options = arguments.parse_args()
    end_on_signals()
    generator = find_generator(options.generator)
    servers = [Server(options.server, "ours"), *peers(options.peer)]
    if len(servers) < 2:
        sys.exit("no server to compare with: install valkey-server, or name one with --peer")
    text = report(servers, measure(servers, Effort(options), generator))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
