"""Work in processes of their own beside a measurement: PINGs that measure latency, load, a client of one big value."""

import multiprocessing
import os
import random
import selectors
import signal
import socket
import time

from servers import LOAD_CORE, SERVER_CORE, Connection, before_others, encode, key, load, member, pin

FORK = multiprocessing.get_context("fork")
PING = encode(b"PING")
PROBE_SECONDS_MAX = 600
# How far a client that was kept waiting catches up on the PINGs it would have sent meanwhile.
CATCH_UP_S = 0.1
LOAD_NICENESS = 10  # the probes share a core with the load and must not wait for it


def percentile(ordered, percent):
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


class Process:
    """Runs `work(stop, *arguments)` in a process until it is told to stop; `finish` returns its result."""

    def __init__(self, work, *arguments, niceness=0):
        self.stop = FORK.Event()
        self.receiver, sender = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=self.run, args=(work, arguments, niceness, sender), daemon=True)
        self.process.start()
        sender.close()

    def run(self, work, arguments, niceness, sender):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the servers are the parent's to stop
        pin(LOAD_CORE)
        os.nice(niceness)
        sender.send(work(self.stop, *arguments))

    def finish(self):
        """Tells it to stop and waits for what it has found."""
        self.stop.set()
        return self.wait()

    def wait(self):
        if not self.receiver.poll(PROBE_SECONDS_MAX):
            self.process.terminate()
            raise TimeoutError(f"a probe has not ended within {PROBE_SECONDS_MAX} s")
        result = self.receiver.recv()
        self.process.join()
        return result


def ping(stop, port, clients, interval_s):
    """PINGs from each client every `interval_s`. Latency counts from when a PING was due, not from when it could be sent:
    so a pause counts for those who would have asked during it. Returns milliseconds at some percentiles."""
    selector, latencies_ms = selectors.DefaultSelector(), []
    now = time.perf_counter()
    waiting = []  # (due, socket), soonest first: all have the same interval
    for number in range(clients):
        connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        waiting.append((now + interval_s * number / clients, connection))
    sent, deadline = {}, now + PROBE_SECONDS_MAX
    while now < deadline and not (stop.is_set() and not sent):
        waiting.sort(key=lambda entry: entry[0])
        while waiting and waiting[0][0] <= now and not stop.is_set():
            due, connection = waiting.pop(0)
            connection.sendall(PING)
            sent[connection] = due
        pause_s = waiting[0][0] - time.perf_counter() if waiting else 0.1
        for event, _ in selector.select(min(max(pause_s, 0), 0.1)):
            connection = event.fileobj
            if connection not in sent or connection.recv(4096) == b"":
                raise ConnectionError("a PING was not answered")
            now = time.perf_counter()
            due = sent.pop(connection)
            latencies_ms.append((now - due) * 1000)
            waiting.append((max(due + interval_s, now - CATCH_UP_S), connection))
        now = time.perf_counter()
    latencies_ms.sort()
    found = {f"p{percent}": percentile(latencies_ms, percent) for percent in (50, 99, 99.9)}
    return {**found, "max": latencies_ms[-1], "count": len(latencies_ms)}


def pings(port, clients=1, interval_s=0.001):
    return Process(ping, port, clients, interval_s)


def noise(_stop, seconds, realtime):
    """What the machine itself adds: the longest time, in milliseconds, that a process on the servers' core takes to send
    itself some bytes every millisecond. Nothing shorter can be told of a server."""
    pin(SERVER_CORE)
    if realtime:
        before_others()
    (left, right), longest_s = socket.socketpair(), 0.0
    deadline = time.perf_counter() + seconds
    while (started := time.perf_counter()) < deadline:
        left.sendall(PING)
        right.recv(64)
        longest_s = max(longest_s, time.perf_counter() - started)
        time.sleep(0.001)
    return longest_s * 1000


def longest_hold_up_ms(seconds, realtime):
    return Process(noise, seconds, realtime).wait()


def insert(_stop, port, keys, words):
    value = b"v" * 8
    return load(port, keys, lambda number: encode(b"SET", key(number), value, *words), per_turn=100)


def inserts(port, keys, *words):
    """SETs of `keys` new keys, 100 at a time; ends by itself."""
    return Process(insert, port, keys, words, niceness=LOAD_NICENESS)


def fetch(stop, port, name, length):
    buffer, fetched = bytearray(1 << 20), 0
    request = encode(b"GET", name)
    reply_length = len(b"$%d\r\n" % length) + length + 2
    with Connection(port) as connection:
        while not stop.is_set():
            connection.socket.sendall(request)
            left = reply_length
            while left > 0:
                received = connection.socket.recv_into(buffer)
                if received == 0:
                    raise ConnectionError("the server closed the connection of the big value")
                left -= received
            fetched += 1
    return fetched


def fetches(port, name, length):
    """GETs of one big value, one after the other."""
    return Process(fetch, port, name, length, niceness=LOAD_NICENESS)


def churn(stop, port, name, members):
    changes = 0
    with Connection(port) as connection:
        while not stop.is_set():
            words = [(random.choice((b"SADD", b"SREM")), name, member(random.randrange(2 * members))) for _ in range(50)]
            connection.socket.sendall(b"".join(encode(*command) for command in words))
            changes += sum(connection.read() for _ in words)
    return changes


def churns(port, name, members):
    """Members of a set come and go, 50 requests at a time; returns how many have."""
    return Process(churn, port, name, members, niceness=LOAD_NICENESS)
