"""Replication side by side with a peer: what a write costs a master with two replicas, and how long a full sync takes.

Each master has replicas of its own kind. The master has a core for itself, replicas and load share the other, so that only
the master's CPU time is measured, not how fast the others are. Prints a Markdown table with ratios against the peer.
"""

import argparse
import os
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from servers import LOAD_CORE, Connection, Server, encode, end_on_signals, info_field, key, load, peers, pin

REPLICAS = 2
CLIENTS = 50
PIPELINES = (1, 16, 64)
SYNC_SECONDS_MAX = 120
# What is read from the master during a full sync, to see whether it holds anybody up.
PING_EVERY_SECONDS = 0.001


def replica_of(stack, master):
    """A server of the master's kind that replicates it, on the core of the load."""
    replica = stack.enter_context(Server(master.program, master.name))
    for thread in Path(f"/proc/{replica.process.pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {LOAD_CORE})
    with Connection(replica.port) as connection:
        connection.ask("REPLICAOF", "127.0.0.1", master.port)
    return replica


def wait_in_sync(master, count):
    """Seconds until so many replicas have all that the master has written."""
    started = time.monotonic()
    with Connection(master.port) as connection:
        while time.monotonic() < started + SYNC_SECONDS_MAX:
            info = connection.ask("INFO", "replication")
            offset = info_field(connection, "replication", "master_repl_offset")
            if info.count(b"state=online") >= count and info.count(b"offset=%d," % offset) >= count:
                return time.monotonic() - started
            time.sleep(0.005)
    sys.exit(f"{master.name}: {count} replicas are not in sync after {SYNC_SECONDS_MAX} s")


def cpu_per_set(master, pipeline, requests, keys):
    """Microseconds of the master's CPU per SET, sent on to its replicas."""
    before = master.cpu_ns()
    command = ["redis-benchmark", "-p", str(master.port), "-t", "set", "-n", str(requests), "-P", str(pipeline),
               "-c", str(CLIENTS), "-r", str(keys), "-q"]
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True, preexec_fn=lambda: pin(LOAD_CORE), timeout=300)
    wait_in_sync(master, REPLICAS)
    return (master.cpu_ns() - before) / requests / 1000


def measure_stream(stack, servers, effort):
    """Rows of (name, {server: microseconds})."""
    for master in servers:
        stack.enter_context(master.start("--repl-diskless-sync-delay", "0"))
        load(master.port, effort.keys, lambda number: encode("SET", key(number), b"xxx"))
        for _ in range(REPLICAS):
            replica_of(stack, master)
        wait_in_sync(master, REPLICAS)
    rows = []
    for pipeline in PIPELINES:
        requests = effort.requests if pipeline == 1 else effort.pipelined_requests
        best = {master.name: [] for master in servers}
        for _ in range(effort.rounds):
            for master in servers:
                best[master.name].append(cpu_per_set(master, pipeline, requests, effort.keys))
        row = {name: sorted(values)[len(values) // 2] for name, values in best.items()}
        rows.append((f"CPU per SET with {REPLICAS} replicas, pipeline {pipeline}, us", row))
    return rows


class Pinger(threading.Thread):
    """Asks a server again and again; the longest wait is what a full sync costs its clients."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stopped, self.longest = port, threading.Event(), 0.0

    def run(self):
        with Connection(self.port) as connection:
            while not self.stopped.is_set():
                started = time.monotonic()
                connection.ask("PING")
                self.longest = max(self.longest, time.monotonic() - started)
                time.sleep(PING_EVERY_SECONDS)

    def end(self):
        self.stopped.set()
        self.join()
        return self.longest


def full_sync(program, keys):
    """Seconds until a new replica is in sync, the longest PING meanwhile in ms, and our longest turn in ms."""
    with ExitStack() as stack:
        master = stack.enter_context(Server(program.program, program.name).start("--repl-diskless-sync-delay", "0"))
        load(master.port, keys, lambda number: encode("SET", key(number), b"x" * 32))
        with Connection(master.port) as connection:
            connection.ask("CONFIG", "RESETSTAT")
            pinger = Pinger(master.port)
            pinger.start()
            started = time.monotonic()
            replica_of(stack, master)
            wait_in_sync(master, 1)
            seconds = time.monotonic() - started
            longest = pinger.end() * 1000
            turn_us = longest_turn_us(connection)
        return seconds, longest, turn_us


def longest_turn_us(connection):
    """Of our server; None of others."""
    text = connection.ask("INFO", "stats").decode(errors="replace")
    for line in text.splitlines():
        if line.startswith("longest_turn_us:"):
            return int(line.partition(":")[2])
    return None


def measure_full_sync(servers, effort):
    times, pings, turns = {}, {}, {}
    for _ in range(effort.rounds):
        for server in servers:
            seconds, ping_ms, turn_us = full_sync(server, effort.sync_keys)
            times.setdefault(server.name, []).append(seconds)
            pings.setdefault(server.name, []).append(ping_ms)
            if turn_us is not None:
                turns.setdefault(server.name, []).append(turn_us / 1000)
    middle = lambda figures: {name: sorted(values)[len(values) // 2] for name, values in figures.items()}
    return [(f"full sync of {effort.sync_keys:,} keys until in sync, s", middle(times)),
            ("longest PING at the master meanwhile, ms", middle(pings)),
            ("longest turn of the master meanwhile, ms", middle(turns))]


class Effort:
    """How much is done: enough for figures to quote, or a look."""

    def __init__(self, quick):
        self.rounds = 1 if quick else 3
        self.keys = 10_000 if quick else 1_000_000
        self.requests = 10_000 if quick else 200_000
        self.pipelined_requests = 100_000 if quick else 2_000_000
        self.sync_keys = 50_000 if quick else 1_000_000


def table(rows, servers):
    base = servers[0].name
    names = [server.name for server in servers]
    print("| | " + " | ".join(names) + f" | ratio to {base} |")
    print("|---|" + "---|" * (len(names) + 1))
    for title, row in rows:
        cells = [f"{row[name]:.2f}" if name in row else "" for name in names]
        ours = row.get(names[-1])
        ratio = f"{ours / row[base]:.2f}" if base in row and ours is not None and row[base] else ""
        print(f"| {title} | " + " | ".join(cells) + f" | {ratio} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server")
    parser.add_argument("--peer", action="append", default=[])
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    end_on_signals()
    effort = Effort(arguments.quick)
    servers = [*peers(arguments.peer)[:1], Server(arguments.server, "Mini-Redis")]
    with ExitStack() as stack:
        rows = measure_stream(stack, servers, effort)
    rows += measure_full_sync(servers, effort)
    table(rows, servers)


if __name__ == "__main__":
    main()
