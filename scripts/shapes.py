"""CPU time of our server and of the peers under loads that redis-benchmark has not, round by round in turn.

Each shape opens its connections, then runs rounds of work; what is measured is the CPU time of the server per unit of it.
Ratios are against the first peer. Writes shapes.md.
"""

import argparse
import os
import random
import statistics
import time
from contextlib import ExitStack
from pathlib import Path

import bench_report
from servers import LOAD_CORE, Connection, Server, encode, end_on_signals, key, load, machine, peers, raise_open_files

CLIENTS = 50
KEYS = 100_000
COMMANDS_PER_TRANSACTION = 10
SUBSCRIBERS = 1000
MESSAGE = b"m" * 100
PATTERNS = 10_000
PATTERNS_PER_CLIENT = 100


def exchange(connection, request, reply_bytes):
    """Sends requests and waits for a reply of that length, which is returned."""
    connection.socket.sendall(request)
    return receive(connection, reply_bytes)


def receive(connection, size):
    data = connection.socket.recv(size)
    while len(data) < size:
        more = connection.socket.recv(size - len(data))
        if not more:
            raise ConnectionError("the server closed the connection")
        data += more
    return data


class Transactions:
    """MULTI, ten SETs and EXEC in one write; each client sends `depth` of them and waits for the replies."""

    REPLY = b"+OK\r\n" + COMMANDS_PER_TRANSACTION * b"+QUEUED\r\n" + b"*%d\r\n" % COMMANDS_PER_TRANSACTION
    REPLY += COMMANDS_PER_TRANSACTION * b"+OK\r\n"
    unit = "transaction"

    def __init__(self, depth):
        self.depth = depth
        self.name = f"MULTI, 10 SET, EXEC; {depth} at a time, {CLIENTS} clients"

    def open(self, server, stack):
        load(server.port, KEYS, lambda number: encode(b"SET", key(number), b"abc"))
        numbers = random.Random(1)
        sets = lambda: b"".join(encode(b"SET", key(numbers.randrange(KEYS)), b"xyz") for _ in range(COMMANDS_PER_TRANSACTION))
        transaction = lambda: encode(b"MULTI") + sets() + encode(b"EXEC")
        self.requests = [b"".join(transaction() for _ in range(self.depth)) for _ in range(4 * CLIENTS)]
        return [stack.enter_context(Connection(server.port)) for _ in range(CLIENTS)]

    def run(self, clients, effort):
        turns = max(1, effort.transactions // (CLIENTS * self.depth))
        reply = self.REPLY * self.depth
        for turn in range(turns):
            for index, client in enumerate(clients):
                client.socket.sendall(self.requests[(turn + index * 4) % len(self.requests)])
            for client in clients:
                if receive(client, len(reply)) != reply:
                    raise ValueError(f"{self.name}: not the replies of transactions")
        return turns * CLIENTS * self.depth


class Subscribers:
    """One publisher, one channel, many subscribers, all of whom have their messages before the next is published."""

    unit = "delivered message"

    def __init__(self, depth):
        self.depth = depth
        self.name = f"PUBLISH of {len(MESSAGE)} bytes to {SUBSCRIBERS:,} subscribers; {depth} at a time"

    def open(self, server, stack):
        subscribers = [stack.enter_context(Connection(server.port)) for _ in range(SUBSCRIBERS)]
        for subscriber in subscribers:
            subscriber.ask("SUBSCRIBE", "news")
        return subscribers, stack.enter_context(Connection(server.port))

    def run(self, connections, effort):
        subscribers, publisher = connections
        request, reply = encode(b"PUBLISH", b"news", MESSAGE) * self.depth, b":%d\r\n" % SUBSCRIBERS * self.depth
        message = encode(b"message", b"news", MESSAGE) * self.depth
        turns = max(1, effort.deliveries // (SUBSCRIBERS * self.depth))
        for _ in range(turns):
            if exchange(publisher, request, len(reply)) != reply:
                raise ValueError(f"{self.name}: not delivered to all")
            for subscriber in subscribers:
                if receive(subscriber, len(message)) != message:
                    raise ValueError(f"{self.name}: not the message that was published")
        return turns * SUBSCRIBERS * self.depth


class Patterns:
    """One publisher, many patterns of which one matches."""

    name = f"PUBLISH past {PATTERNS:,} patterns, 1 matches"
    unit = "PUBLISH"

    def open(self, server, stack):
        for first in range(0, PATTERNS, PATTERNS_PER_CLIENT):
            client = stack.enter_context(Connection(server.port))
            names = [b"news.%05d.*" % number for number in range(first, first + PATTERNS_PER_CLIENT)]
            client.socket.sendall(encode(b"PSUBSCRIBE", *names))
            for _ in names:
                client.read()
            if first == 0:
                subscriber = client
        return subscriber, stack.enter_context(Connection(server.port))

    def run(self, connections, effort):
        subscriber, publisher = connections
        request = encode(b"PUBLISH", b"news.00042.today", MESSAGE)
        message = len(encode(b"pmessage", b"news.00042.*", b"news.00042.today", MESSAGE))
        for _ in range(effort.publishes):
            if exchange(publisher, request, 4) != b":1\r\n":
                raise ValueError(f"{self.name}: not delivered to one")
            receive(subscriber, message)
        return effort.publishes


SHAPES = {
    "transactions": (Transactions(1), Transactions(16)),
    "subscribers": (Subscribers(1), Subscribers(16)),
    "patterns": (Patterns(),),
}


class Effort:
    """How much is done: enough for figures to quote, or a look."""

    def __init__(self, quick, rounds):
        self.rounds = 1 if quick else rounds
        self.transactions = 8_000 if quick else 40_000
        self.deliveries = 64_000 if quick else 320_000
        self.publishes = 1_000 if quick else 3_000


def measure(shape, servers, effort):
    """Median CPU nanoseconds per unit, by name of the server."""
    rounds = {server.name: [] for server in servers}
    with ExitStack() as stack:
        opened = {}
        for server in servers:
            stack.enter_context(server)
            opened[server.name] = shape.open(server, stack)
            shape.run(opened[server.name], Effort(True, 1))  # buffers and statistics are then as in a server that runs
        for _ in range(effort.rounds):
            for server in servers:
                before = server.cpu_ns()
                units = shape.run(opened[server.name], effort)
                rounds[server.name].append((server.cpu_ns() - before) / units)
    medians = {name: statistics.median(values) for name, values in rounds.items()}
    line = ", ".join(f"{name} {value:.0f}" for name, value in medians.items())
    print(f"{shape.name}: CPU ns per {shape.unit}: {line}", flush=True)
    return medians


def report(names, figures, effort):
    rows = [[f"{shape.name}, per {shape.unit}",
             *bench_report.cells(names, lambda name: medians[name] / 1000, "{:.3f}".format)] for shape, medians in figures]
    facts = [*machine(), ("Servers", ", ".join(names)), ("Date", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
             ("Load", f"medians of {effort.rounds} rounds, servers in turn; no persistence")]
    return ("# Transactions and messages\n\n" + "\n".join(f"- {name}: {fact}" for name, fact in facts)
            + "\n\nCPU time of the server in microseconds:\n\n" + bench_report.table(["", *names], rows))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer", action="append", default=[], help="a server to compare with, before those on PATH")
    arguments.add_argument("--shape", action="append", choices=SHAPES, help="only this one")
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--quick", action="store_true", help="one round of less: a look, no figures")
    arguments.add_argument("--output", type=Path, default=Path("benches/results"))
    arguments.add_argument("server")
    options = arguments.parse_args()
    end_on_signals()
    raise_open_files()
    os.sched_setaffinity(0, {LOAD_CORE})
    effort = Effort(options.quick, options.rounds)
    servers = [Server(options.server, "Mini-Redis"), *peers(options.peer)]
    shapes = [shape for name in options.shape or SHAPES for shape in SHAPES[name]]
    text = report([server.name for server in servers], [(shape, measure(shape, servers, effort)) for shape in shapes], effort)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "shapes.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\n{options.output}/shapes.md written")


if __name__ == "__main__":
    main()
