"""Looks for pauses: what other clients wait while the table grows, a million keys expire, a big value is sent, the log is
rewritten while a big set changes, that set is loaded, many connections are open, or a big collection goes. A check whose
figure is over its bar makes the status 1. Writes pauses.md.
"""

import argparse
import random
import socket
import sys
import time
from pathlib import Path

from probe import churns, fetches, inserts, longest_hold_up_ms, pings
from servers import (Connection, Server, encode, end_on_signals, info_field, info_text, is_loaded, key, machine, member, peers,
                     raise_open_files, rewrite_is_over, wait_for)

BIG_VALUE_BYTES = 100_000_000
QUIET_SECONDS = 5
NOISE_SECONDS = 15
BACK_SECONDS_MAX = 30
# Memory is back when so much of what the keys took is gone.
BACK_SHARE = 0.9
READS_PER_LOOK = 20
ELEMENTS_PER_COMMAND = 2_000
# Long enough for all that goes on in the background.
GOODBYE_SECONDS = 3


class Row:
    """One figure of one server: its value, its bar if there is one, and how it is written."""

    def __init__(self, name, value, form, bar=None):
        self.name, self.value, self.form, self.bar = name, value, form, bar

    def missed(self):
        return self.bar is not None and not self.value <= self.bar


def longest_turn_ms(server, ping):
    """The longest turn: from INFO where the server tells it, else as long as the longest PING."""
    with Connection(server.port) as connection:
        turn_us = info_field(connection, "stats", "longest_turn_us")
    return ping["max"] if turn_us is None else turn_us / 1000


def longest_turn_work(server):
    """What the longest turn was busy with, as far as the server tells."""
    with Connection(server.port) as connection:
        work = info_text(connection, "stats", "longest_turn") or ""
    counts = (part.split("=") for part in work.split(",") if "=" in part)
    return " ".join(f"{name}={value}" for name, value in counts if value not in ("", "0")) or "-"


def turn_rows(what, server, ping, bar):
    longest_ms = longest_turn_ms(server, ping)
    return [Row(f"{what}: longest turn, ms", longest_ms, "{:.2f}", bar),
            Row(f"{what}: in that turn", longest_turn_work(server), "{}"),
            Row(f"{what}: PING p99.9, ms", ping["p99.9"], "{:.2f}"), Row(f"{what}: longest PING, ms", ping["max"], "{:.2f}")]


def growth(server, size):
    """A table grows from nothing while a client PINGs."""
    with server:
        ping = pings(server.port)
        inserts(server.port, size.growth_keys).wait()
        return turn_rows(f"growth to {size.growth_keys:,} keys", server, ping.finish(), 2.0)


def expiry(server, size):
    """Keys expire in the same millisecond; they are read while they are removed."""
    keys = size.expiry_keys
    with server, Connection(server.port) as connection:
        used = info_field(connection, "memory", "used_memory") or 0
        resident = server.resident_bytes()
        sample_s = inserts(server.port, keys // 20).wait()
        # All must be there before they expire, on a slow machine too.
        expire_at_ms = int((time.time() + 5 + 40 * sample_s) * 1000)
        inserts(server.port, keys, b"PXAT", str(expire_at_ms)).wait()
        full = info_field(connection, "memory", "used_memory") or 0, server.resident_bytes()
        connection.ask("CONFIG", "RESETSTAT")
        ping = pings(server.port)
        if time.time() * 1000 > expire_at_ms - 1000:
            sys.exit(f"{server.name}: loading {keys} keys took too long, they have expired already")
        time.sleep(expire_at_ms / 1000 - 0.2 - time.time())
        used_s, resident_s, stale = watch(server, connection, expire_at_ms, keys, (used, resident), full)
        rows = turn_rows(f"{keys:,} keys expire at once", server, ping.finish(), 5.0)
    return [*rows, Row("expired: used_memory is back after, s", used_s, "{:.2f}", 2.0),
            Row("expired: resident memory is back after, s", resident_s, "{:.2f}", 2.0),
            Row("expired: values read after their time", stale, "{}", 0)]


def watch(server, connection, expire_at_ms, keys, empty, full):
    """Reads keys and memory until the memory is back: seconds for used and resident memory, and how many reads returned
    a value that had expired."""
    back_s, stale = [float("inf"), float("inf")], 0
    limits = [high - (high - low) * BACK_SHARE for low, high in zip(empty, full)]
    while time.time() * 1000 < expire_at_ms + BACK_SECONDS_MAX * 1000 and max(back_s) == float("inf"):
        is_past = time.time() * 1000 > expire_at_ms + 1
        reads = b"".join(encode(b"GET", key(random.randrange(keys))) for _ in range(READS_PER_LOOK))
        connection.socket.sendall(reads)
        answers = [connection.read() for _ in range(READS_PER_LOOK)]
        stale += sum(answer is not None for answer in answers) if is_past else 0
        now = info_field(connection, "memory", "used_memory") or 0, server.resident_bytes()
        elapsed_s = time.time() - expire_at_ms / 1000
        for index, bytes_now in enumerate(now):
            if is_past and bytes_now <= limits[index]:
                back_s[index] = min(back_s[index], elapsed_s)
        time.sleep(0.01)
    return *back_s, stale


def big_value(server, _size):
    """50 clients PING, without and with a client that fetches 100 MB again and again."""
    with server, Connection(server.port) as connection:
        connection.ask("SET", "big", b"v" * BIG_VALUE_BYTES)
        alone = ping_for(server.port, 50)
        fetcher = fetches(server.port, b"big", BIG_VALUE_BYTES)
        beside = ping_for(server.port, 50)
        fetched = fetcher.finish()
    rise = max(0.0, beside["p99.9"] - alone["p99.9"])
    return [Row("PING p99.9 of 50 clients, ms", alone["p99.9"], "{:.2f}"),
            Row(f"the same beside GETs of {BIG_VALUE_BYTES // 1_000_000} MB, ms", beside["p99.9"], "{:.2f}"),
            Row("rise of p99.9, ms", rise, "{:.2f}", 2.0), Row("big values fetched", fetched, "{}")]


def ping_for(port, clients):
    ping = pings(port, clients, 0.01)
    time.sleep(QUIET_SECONDS)
    return ping.finish()


def idle_connections(server, size):
    """Memory of connections that do nothing, and what a client notices of them."""
    count = min(size.idle_connections, raise_open_files() - 500)
    with server.start("--maxclients", str(count + 200)):
        alone = ping_for(server.port, 10)
        before = server.settled_resident_bytes()
        idle = [socket.create_connection(("127.0.0.1", server.port), timeout=20) for _ in range(count)]
        # The server has accepted all when the last one is answered.
        idle[-1].sendall(encode(b"PING"))
        idle[-1].recv(64)
        each = (server.settled_resident_bytes() - before) / count
        beside = ping_for(server.port, 10)
        for connection in idle:
            connection.close()
    return [Row(f"{count:,} idle connections: resident bytes each", each, "{:.0f}", 1024),
            Row("PING p99 without them, ms", alone["p99"], "{:.2f}"), Row("PING p99 with them, ms", beside["p99"], "{:.2f}")]


def big_set(server, size):
    """The log is rewritten while members of a big set come and go; then it is loaded again, set and all."""
    members, flags = size.members, ("--appendonly", "yes", "--auto-aof-rewrite-percentage", "0")
    with server.start(*flags), Connection(server.port) as connection:
        for first in range(0, members, 1000):
            connection.ask("SADD", "big", *map(member, range(first, min(first + 1000, members))))
        churn, ping = churns(server.port, b"big", members), pings(server.port)
        connection.ask("CONFIG", "RESETSTAT")
        connection.ask("BGREWRITEAOF")
        time.sleep(0.2)
        wait_for(server.port, rewrite_is_over)
        rows = turn_rows(f"rewrite while a set of {members:,} changes", server, ping.finish(), 5.0)
        rows.append(Row("changes of the set meanwhile", churn.finish(), "{:,}"))
        server.restart(*flags)
        ping = pings(server.port)
        wait_for(server.port, is_loaded)
        return rows + turn_rows(f"load of a set of {members:,}", server, ping.finish(), 5.0)


# How a collection of each type is made: the command, the key, and what each element looks like.
COLLECTIONS = (("list", b"RPUSH", b"$12\r\ne%011d\r\n", 1), ("set", b"SADD", b"$12\r\ne%011d\r\n", 1),
               ("hash", b"HSET", b"$12\r\ne%011d\r\n$1\r\nv\r\n", 2),
               ("zset", b"ZADD", b"$1\r\n7\r\n$12\r\ne%011d\r\n", 2))
GOODBYES = (("deleted", lambda connection: connection.ask("DEL", "big")),
            ("overwritten", lambda connection: connection.ask("SET", "big", "v")),
            ("expired", lambda connection: connection.ask("PEXPIRE", "big", 1)))


def fill(connection, command, element, words, elements):
    """Makes a collection, some thousand elements per command."""
    for first in range(0, elements, ELEMENTS_PER_COMMAND):
        numbers = range(first, min(first + ELEMENTS_PER_COMMAND, elements))
        request = b"*%d\r\n$%d\r\n%s\r\n$3\r\nbig\r\n" % (2 + words * len(numbers), len(command), command)
        connection.socket.sendall(request + element * len(numbers) % tuple(numbers))
        answer = connection.read()
        if not isinstance(answer, int):
            sys.exit(f"{command.decode()}: {answer}")


def collections(server, size):
    """Big collections go, in each of the ways there are, while a client PINGs."""
    rows = []
    for name, command, element, words in COLLECTIONS:
        for how, say_goodbye in GOODBYES:
            with server, Connection(server.port) as connection:
                fill(connection, command, element, words, size.elements)
                ping = pings(server.port)
                connection.ask("CONFIG", "RESETSTAT")
                say_goodbye(connection)
                time.sleep(GOODBYE_SECONDS)
                found = ping.finish()
                if how != "overwritten" and connection.ask("EXISTS", "big") != 0:
                    sys.exit(f"{server.name}: the {name} is still there")
                what = f"{name} of {size.elements:,} {how}"
                rows.append(Row(f"{what}: longest turn, ms", longest_turn_ms(server, found), "{:.2f}", 2.0))
                rows.append(Row(f"{what}: in that turn", longest_turn_work(server), "{}"))
    return rows


CHECKS = {"growth": growth, "expiry": expiry, "big-value": big_value, "big-set": big_set,
          "idle": idle_connections, "collections": collections}


class Size:
    """How much of everything."""

    def __init__(self, quick):
        self.growth_keys = 500_000 if quick else 20_000_000
        self.expiry_keys = 200_000 if quick else 1_000_000
        self.members = 300_000 if quick else 5_000_000
        self.idle_connections = 2_000 if quick else 10_000
        self.elements = 1_000_000 if quick else 10_000_000


def table(columns):
    """Markdown: a line per figure, a column per server; ours is the first and judged by the bars."""
    names = list(columns)
    lines = ["| | bar | " + " | ".join(names) + " |", "|---|---:|" + "---:|" * len(names)]
    for row in zip(*columns.values()):
        bar = "" if row[0].bar is None else f"<= {row[0].bar:g}"
        cells = [one.form.format(one.value) for one in row]
        if row[0].missed():
            cells[0] = f"**{cells[0]}, missed**"
        lines.append(f"| {row[0].name} | {bar} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--peer", action="append", default=[], help="a server to compare with")
    arguments.add_argument("--quick", action="store_true", help="less of everything")
    arguments.add_argument("--check", action="append", choices=CHECKS, help="only this one")
    arguments.add_argument("--output", type=Path, default=Path("benches/results"))
    arguments.add_argument("server")
    arguments.add_argument("--realtime", action="store_true", help="servers go before all other processes on their core")
    options = arguments.parse_args()
    end_on_signals()
    raise_open_files()
    servers = [Server(options.server, "Mini-Redis")]
    servers += [server for server in peers(options.peer) if options.peer]
    for server in servers:
        server.realtime = options.realtime
    hold_up_ms = longest_hold_up_ms(NOISE_SECONDS, options.realtime)
    print(f"without a server, longest hold-up by the machine: {hold_up_ms:.2f} ms", flush=True)
    columns = {server.name: [] for server in servers}
    for check in options.check or CHECKS:
        for server in servers:
            rows = CHECKS[check](server, Size(options.quick))
            columns[server.name] += rows
            print(f"{check}, {server.name}: " + "; ".join(f"{row.name} {row.form.format(row.value)}" for row in rows),
                  flush=True)
    facts = machine()
    facts.append(("Noise", f"without a server a process was held up by the machine for up to {hold_up_ms:.2f} ms"))
    if options.realtime:
        facts.append(("Scheduling", "servers before all other processes on their core (SCHED_FIFO)"))
    facts = "\n".join(f"- {name}: {value}" for name, value in facts)
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    report = f"# Pauses\n\nWritten by `scripts/pauses.sh` on {when}.\n\n{facts}\n\n{table(columns)}"
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "pauses.md").write_text(report, encoding="utf-8")
    print(f"\n{table(columns)}")
    missed = [row.name for row in columns["Mini-Redis"] if row.missed()]
    print(f"pauses: {len(missed)} bars missed{': ' if missed else ''}{'; '.join(missed)}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
