"""Side-by-side figures of proxies: ours and twemproxy under the same load in one run, three Redis servers behind each.

What is measured is the proxy's CPU time per command (utime + stime of its process), which does not depend on how fast the nodes
are, and the 99th percentile of latency at pipeline 1, beside that of a node without a proxy. Prints a table in Markdown.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench import percentile
from servers import LOAD_CORE, SERVER_CORE, Connection, Server, end_on_signals, free_port, machine, pin

PIPELINES = (1, 16, 64)
CLIENTS = 50
NODES = 3
KEYS = 100_000
KEY = "key:__rand_int__"
COMMANDS = {"GET": ["GET", KEY], "SET": ["SET", KEY, "xxx"], "MSET (10 keys)": ["MSET", *[KEY, "xxx"] * 10]}
ROUND_SECONDS_MAX = 300
TICKS = os.sysconf("SC_CLK_TCK")


class Node(Server):
    """A server behind the proxies: it shares the load's core, so that a proxy has one for itself."""

    def start(self, *flags):
        super().start(*flags)
        os.sched_setaffinity(self.process.pid, {LOAD_CORE})
        return self


class Proxy:
    """A proxy process in front of the nodes."""

    def __init__(self, name, command):
        self.name, self.port, self.process = name, 0, None
        self.command, self.directory = command, None

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="proxy-bench-")
        self.port = free_port()
        words = self.command(self.port, Path(self.directory))
        self.process = subprocess.Popen(words, cwd=self.directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        preexec_fn=lambda: pin(SERVER_CORE))
        deadline = time.monotonic() + 20
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                sys.exit(f"{self.name} does not answer on port {self.port}: {' '.join(words)}")
            time.sleep(0.02)
        return self

    def answers(self):
        try:
            with Connection(self.port, 1) as connection:
                return connection.ask("SET", "ready", "1") == b"OK"
        except (OSError, ValueError):
            return False

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def cpu_seconds(self):
        """User and system time of the process so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def ours(program, nodes):
    addresses = ",".join(f"127.0.0.1:{node.port}" for node in nodes)
    return lambda port, _: [program, "--port", str(port), "--nodes", addresses]


def twemproxy(program, nodes):
    def command(port, directory):
        servers = "".join(f"    - 127.0.0.1:{node.port}:1\n" for node in nodes)
        (directory / "nutcracker.yml").write_text(
            f"bench:\n  listen: 127.0.0.1:{port}\n  redis: true\n  hash: fnv1a_64\n  distribution: ketama\n"
            f"  servers:\n{servers}", encoding="ascii")
        # Its port for statistics must be free, too.
        return [program, "-c", str(directory / "nutcracker.yml"), "-o", str(directory / "log"), "-s", str(port + 1)]
    return command


def run(generator, port, words, pipeline, requests):
    """One round of load; returns the milliseconds below which 99 % were answered."""
    command = [generator, "-p", str(port), "-n", str(requests), "-P", str(pipeline), "-c", str(CLIENTS), "-r", str(KEYS),
               *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=ROUND_SECONDS_MAX, check=False,
                            preexec_fn=lambda: pin(LOAD_CORE))
    if result.returncode != 0 or "throughput summary" not in result.stdout:
        sys.exit(f"{' '.join(command)} failed: {result.stderr.strip() or result.stdout[-300:]}")
    return percentile(result.stdout, 99)


def measure(proxies, generator, rounds, seconds):
    """CPU microseconds per command and the 99th percentile, by (command, pipeline, proxy): medians of the rounds."""
    figures = {}
    for name, words in COMMANDS.items():
        for pipeline in PIPELINES:
            requests = int(seconds * {1: 30_000, 16: 150_000, 64: 200_000}[pipeline] / (4 if "MSET" in name else 1))
            seen = {proxy.name: [] for proxy in proxies}
            for _ in range(rounds):
                for proxy in proxies:
                    before = proxy.cpu_seconds()
                    p99 = run(generator, proxy.port, words, pipeline, requests)
                    seen[proxy.name].append(((proxy.cpu_seconds() - before) / requests * 1e6, p99))
            for proxy, of_proxy in seen.items():
                figures[name, pipeline, proxy] = tuple(statistics.median(column) for column in zip(*of_proxy))
    return figures


def table(figures, names):
    lines = [f"| command | pipeline | {' | '.join(f'{name}, us CPU' for name in names)} | ratio |",
             "|---|---|" + "---|" * (len(names) + 1)]
    for command in COMMANDS:
        for pipeline in PIPELINES:
            cpu = [figures[command, pipeline, name][0] for name in names]
            ratio = f"{cpu[0] / cpu[1]:.2f}" if len(cpu) > 1 and cpu[1] else "-"
            lines.append(f"| {command} | {pipeline} | {' | '.join(f'{us:.2f}' for us in cpu)} | {ratio} |")
    return "\n".join(lines)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="one short round: a look, no figures to quote")
    arguments.add_argument("--rounds", type=int, help="rounds whose median counts")
    arguments.add_argument("--generator", default="redis-benchmark", help="the redis-benchmark to use")
    arguments.add_argument("--node", default="redis-server", help="the server behind the proxies")
    arguments.add_argument("proxy")
    options = arguments.parse_args()
    end_on_signals()
    for program in (options.generator, options.node):
        if not shutil.which(program):
            sys.exit(f"{program} is missing: install redis-server and redis-tools")
    nutcracker = shutil.which("nutcracker", path=os.environ.get("PATH", "") + ":/usr/sbin")
    rounds, seconds = (1, 1) if options.quick else (5, 4)
    rounds = options.rounds or rounds
    with ExitStack() as stack:
        nodes = [stack.enter_context(Node(options.node)) for _ in range(NODES)]
        proxies = [Proxy("ours", ours(os.path.abspath(options.proxy), nodes))]
        if nutcracker:
            proxies.append(Proxy("twemproxy", twemproxy(nutcracker, nodes)))
        for proxy in proxies:
            stack.enter_context(proxy)
        figures = measure(proxies, options.generator, rounds, seconds)
        direct = statistics.median(
            run(options.generator, nodes[0].port, COMMANDS["GET"], 1, int(seconds * 30_000)) for _ in range(rounds))
    names = [proxy.name for proxy in proxies]
    print(f"CPU time of a proxy per command, {NODES} nodes ({nodes[0].name}), {CLIENTS} clients, {KEYS} random keys:\n")
    print(table(figures, names))
    p99 = ", ".join(f"{name} {figures['GET', 1, name][1]:.3f} ms" for name in names)
    print(f"\n99th percentile of GET at pipeline 1: {p99}, a node without a proxy {direct:.3f} ms")
    for name, value in machine():
        print(f"{name}: {value}")
    if not nutcracker:
        print("twemproxy is missing (Debian's package nutcracker): figures without ratios")


if __name__ == "__main__":
    main()
