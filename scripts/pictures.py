"""Runs the client in a pseudo-terminal and draws what is on its screen."""

import argparse
import fcntl
import math
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import termios
import time

import pyte

from screen_svg import draw
from servers import Connection, Server, encode, end_on_signals
from probe import Process

SECONDS_MAX = 20
TOP_SECONDS = 22


class Terminal:
    """A program in a pseudo-terminal of so many columns and lines."""

    def __init__(self, command, columns, lines):
        self.screen = pyte.Screen(columns, lines)
        self.stream = pyte.ByteStream(self.screen)
        self.home = tempfile.mkdtemp(prefix="pictures-")
        environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "HOME": self.home}
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environment,
                                        start_new_session=True)
        os.close(slave)

    def watch(self, seconds, until=None):
        """Shows what comes for so long, or until a text is on the screen."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            if select.select([self.master], [], [], min(left, 0.1))[0]:
                self.stream.feed(os.read(self.master, 65536))
            if until is not None and any(until in line for line in self.screen.display):
                return
        if until is not None:
            raise TimeoutError(f"waited in vain for {until!r} in\n" + "\n".join(self.screen.display))

    def type(self, text):
        """Types as somebody would: one key after the other."""
        for key in text:
            os.write(self.master, key.encode())
            self.watch(0.03)

    def run(self, line, answer):
        self.type(line + "\r")
        self.watch(SECONDS_MAX, answer)
        self.watch(0.2)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.master)
        shutil.rmtree(self.home)


def busy(stop, port, name, requests, batch):
    """A client that sends the requests in waves until it is told to stop."""
    with Connection(port) as connection:
        connection.ask("CLIENT", "SETNAME", name)
        started = time.monotonic()
        while not stop.is_set():
            wave = 1 + 0.7 * math.sin((time.monotonic() - started) / 2)
            connection.socket.sendall(b"".join(encode(*words) for words in requests) * batch)
            for _ in range(len(requests) * batch):
                connection.read()
            stop.wait(0.02 / wave)


LOAD = [
    ("web-1", [("GET", "user:1"), ("HGETALL", "profile:1"), ("GET", "user:nosuch")], 20),
    ("web-2", [("SET", "user:2", "Grace", "EX", "600"), ("INCR", "visits")], 10),
    ("queue", [("LPUSH", "jobs", "{}"), ("RPOP", "jobs")], 6),
    ("scores", [("ZADD", "scores", "7", "ada"), ("ZRANGE", "scores", "0", "9", "REV", "WITHSCORES")], 4),
]


def picture_of_top(client, server):
    """The screen of `top` after some time of load."""
    with Connection(server.port) as admin:
        for first in range(0, 100_000, 1000):
            words = [word for number in range(first, first + 1000) for word in (f"user:{number}", f"User {number}")]
            admin.ask("MSET", *words)
        admin.ask("HSET", "profile:1", "name", "Ada", "born", "1815")
        # What filling it has left is not shown.
        admin.ask("CONFIG", "SET", "slowlog-log-slower-than", "1000")
        admin.ask("SLOWLOG", "RESET")
        admin.ask("CONFIG", "RESETSTAT")
        processes = [Process(busy, server.port, *load) for load in LOAD]
        try:
            with Terminal([client, f"127.0.0.1:{server.port}", "-i", "0.2", "top"], 110, 36) as terminal:
                terminal.watch(TOP_SECONDS * 0.4)
                admin.ask("KEYS", "user:99?")
                admin.ask("KEYS", "*")
                terminal.watch(TOP_SECONDS * 0.4)
                admin.ask("KEYS", "session:*")
                terminal.watch(TOP_SECONDS * 0.2)
                return draw(terminal.screen, "client top")
        finally:
            for process in processes:
                process.finish()
            admin.ask("FLUSHALL")


def picture_of_session(client, server):
    """A session: types of RESP3, an error, a transaction, a completed key and a hint."""
    with Terminal([client, f"127.0.0.1:{server.port}", "-3"], 92, 26) as terminal:
        terminal.watch(SECONDS_MAX, "> ")
        terminal.run("HSET user:1 name Ada born 1815", "(integer) 2")
        terminal.run("HGETALL user:1", "1815\"")
        terminal.run("ZADD scores 1.5 ada 2 grace", "(integer) 2")
        terminal.run("ZRANGE scores 0 -1 WITHSCORES", "(double) 2")
        terminal.run("INCR user:1", "WRONGTYPE")
        terminal.run("MULTI", "(TX)>")
        terminal.run("INCR visits", "QUEUED")
        terminal.run("SMISMEMBER nosuch a b", "QUEUED")
        terminal.run("EXEC", "2) 1) (integer) 0")
        terminal.type("EXPIRE us\t")
        terminal.watch(SECONDS_MAX, "EXPIRE user:1 ")
        terminal.type("60 ")
        terminal.watch(0.5)
        return draw(terminal.screen, "client -3")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--output", default="docs")
    arguments = parser.parse_args()
    end_on_signals()
    client = os.path.abspath(arguments.client)
    os.makedirs(arguments.output, exist_ok=True)
    with Server(arguments.server) as server:
        for name, picture in [("top", picture_of_top), ("session", picture_of_session)]:
            path = os.path.join(arguments.output, f"{name}.svg")
            with open(path, "w", encoding="utf-8") as file:
                file.write(picture(client, server))
            print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
