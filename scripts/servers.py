"""What the measuring scripts share: server processes pinned to a core, connections to them, figures from /proc."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

# The server has one core for itself; all that measures it takes the other.
CORES = sorted(os.sched_getaffinity(0))
SERVER_CORE, LOAD_CORE = CORES[0], CORES[-1]
START_SECONDS_MAX = 20
STOP_SECONDS_MAX = 20
REALTIME_PRIORITY = 20
REPLY_SECONDS_MAX = 120
# Below the range from which the kernel takes ports of outgoing connections.
FIRST_PORT = 21000


def pin(core):
    """For a child process: the core it runs on."""
    os.sched_setaffinity(0, {core})


def before_others():
    """For a child process: nothing else takes its core while it has work. Threads that it starts are scheduled as usual.
    It must leave the core idle from time to time, or the kernel holds it up for 50 ms each second. Needs root."""
    os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(REALTIME_PRIORITY))


class Connection:
    """A connection that asks and waits for the answer."""

    def __init__(self, port, seconds_max=REPLY_SECONDS_MAX):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds_max)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.socket.makefile("rb", buffering=1 << 16)

    def ask(self, *words):
        """Sends one command; returns bytes, int, None, list, or an Exception for an error reply."""
        self.socket.sendall(encode(*words))
        return self.read()

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ValueError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.read() for _ in range(int(rest))]
        raise ValueError(f"a reply begins with {line[:20]!r}")

    def send_all_ok(self, requests, count):
        """Sends `count` requests at once, each of which is answered with +OK."""
        self.socket.sendall(requests)
        answer = self.file.read(5 * count)
        if answer != b"+OK\r\n" * count:
            raise ValueError(f"not all were answered with OK: {answer[:100]!r}")

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def encode(*words):
    """A request as RESP."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def key(number):
    """A key as redis-benchmark names it: 16 bytes."""
    return b"key:%012d" % number


def member(number):
    """A member of a set."""
    return b"member:%d" % number


def load(port, keys, request, per_turn=1000):
    """Runs `request(number)`, which is answered with +OK, for all numbers below `keys`, pipelined. Returns seconds."""
    started = time.monotonic()
    with Connection(port) as connection:
        for first in range(0, keys, per_turn):
            numbers = range(first, min(first + per_turn, keys))
            connection.send_all_ok(b"".join(map(request, numbers)), len(numbers))
    return time.monotonic() - started


class Server:
    """A program to measure: ours or another one that takes Redis's flags."""

    def __init__(self, program, name=None):
        self.program = os.path.abspath(shutil.which(program) or program)
        self.name = name or self.version_name()
        self.realtime = False
        self.process = None
        self.port = 0
        self.directory = None

    def version_name(self):
        try:
            run = subprocess.run([self.program, "--version"], capture_output=True, text=True, timeout=10, check=False)
        except OSError as error:
            sys.exit(f"{self.program}: {error}")
        found = re.search(r"(\w+)[- ]server v=(\S+)", run.stdout)
        return f"{found[1]} {found[2]}" if found else os.path.basename(self.program)

    def start(self, *flags):
        self.port = free_port()
        self.directory = tempfile.mkdtemp(prefix="bench-")
        return self.run(*flags)

    def restart(self, *flags):
        """Starts the program again on the files it has. Returns when it accepts: it may still be loading."""
        self.end()
        return self.run(*flags)

    def run(self, *flags):
        command = [self.program, "--port", str(self.port), "--save", "", "--appendonly", "no", "--dir", self.directory]
        self.process = subprocess.Popen([*command, *flags], cwd=self.directory, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, preexec_fn=self.settle_in)
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                Connection(self.port, 1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.stop()
                    sys.exit(f"{self.name} does not answer on port {self.port}: {' '.join(command)}")
                time.sleep(0.02)

    def settle_in(self):
        pin(SERVER_CORE)
        if self.realtime:
            before_others()

    def stop(self):
        self.end()
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)
            self.directory = None

    def end(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

    def __enter__(self):
        return self if self.process else self.start()

    def __exit__(self, *_):
        self.stop()

    def cpu_ns(self):
        """CPU time of all threads so far."""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total

    def resident_bytes(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))

    def settled_resident_bytes(self, seconds_max=5):
        """Resident memory when it has not changed for a moment."""
        before, deadline = -1, time.monotonic() + seconds_max
        now = self.resident_bytes()
        while now != before and time.monotonic() < deadline:
            time.sleep(0.5)
            before, now = now, self.resident_bytes()
        return now


def wait_for(port, condition, seconds_max=600):
    """Asks again and again until `condition(connection)` holds."""
    deadline = time.monotonic() + seconds_max
    while time.monotonic() < deadline:
        try:
            with Connection(port) as connection:
                while time.monotonic() < deadline:
                    if condition(connection):
                        return
                    time.sleep(0.005)
        except (OSError, ConnectionError):
            time.sleep(0.005)
    sys.exit(f"the server on port {port} is not ready after {seconds_max} seconds")


def is_loaded(connection):
    """Whether the server has loaded its files."""
    return isinstance(connection.ask("DBSIZE"), int)


def rewrite_is_over(connection):
    """Whether no rewrite of the log is running."""
    return info_field(connection, "persistence", "aof_rewrite_in_progress") == 0


def free_port():
    """A port on which nobody listens now."""
    for port in range(FIRST_PORT + os.getpid() % 5000, 32000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    sys.exit("no free port below 32000")


def peers(given):
    """The servers to compare with: those given first, then what is on PATH; one of each version."""
    found = [os.path.abspath(path) for path in given]
    found += [path for path in map(shutil.which, ("valkey-server", "redis-server")) if path]
    servers = {}
    for path in found:
        server = Server(path)
        servers.setdefault(server.name, server)
    return list(servers.values())


def info_text(connection, section, name):
    """A field of INFO, or None if it is not there."""
    text = connection.ask("INFO", section)
    if not isinstance(text, bytes):
        return None
    found = re.search(rb"^%s:(.*)\r$" % name.encode(), text, re.MULTILINE)
    return found[1].decode() if found else None


def info_field(connection, section, name):
    """A number from INFO, or None if it is not there."""
    found = re.match(r"\d+", info_text(connection, section, name) or "")
    return int(found[0]) if found else None


def raise_open_files():
    """As many open files as this user may have; returns the number."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def end_on_signals():
    """So that servers are stopped when the script is told to end."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))


def stolen_seconds():
    """Seconds of CPU time that the host of this machine has given to others; a process that waits for them is charged."""
    with open("/proc/stat", encoding="ascii") as file:
        return int(file.readline().split()[8]) / os.sysconf("SC_CLK_TCK")


def machine():
    """Processor, cores, memory, kernel: a line each for a report."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    kernel = os.uname()
    return [("Processor", f"{model}, {len(CORES)} cores used: server on {SERVER_CORE}, load on {LOAD_CORE}"),
            ("Memory", f"{gib:.0f} GiB"), ("Kernel", f"{kernel.sysname} {kernel.release} {kernel.machine}")]
