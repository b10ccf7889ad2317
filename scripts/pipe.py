"""Sends the same commands with `client --pipe` and `redis-cli --pipe`, in turn, and compares the times."""

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from servers import LOAD_CORE, Connection, Server, encode, end_on_signals, key, machine, pin

# Wall times of two runs differ by as much as this on a quiet machine.
NOISE = 1.05


def write_commands(file, count):
    """SET of keys and values as redis-benchmark has them."""
    for first in range(0, count, 10_000):
        numbers = range(first, min(first + 10_000, count))
        file.write(b"".join(encode(b"SET", key(number), b"xxx") for number in numbers))
    file.flush()


def run(command, path, count):
    """Runs a client with the file as input. Returns wall and CPU seconds."""
    with open(path, "rb") as commands:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdin=commands, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                   preexec_fn=lambda: pin(LOAD_CORE))
        output = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0 or not re.search(rf"errors: 0, replies: {count}\b", output):
        sys.exit(f"{' '.join(command)} ended with {process.returncode}: {output[-500:]}")
    return wall, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--commands", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    end_on_signals()
    times = {"client": [], "redis-cli": []}
    with tempfile.NamedTemporaryFile(prefix="pipe-") as file, Server(arguments.server) as server:
        write_commands(file, arguments.commands)
        commands = {"client": [os.path.abspath(arguments.client), f"127.0.0.1:{server.port}", "--pipe"],
                    "redis-cli": [shutil.which("redis-cli"), "-p", str(server.port), "--pipe"]}
        run(commands["redis-cli"], file.name, arguments.commands)  # the keys are there for all that count
        for _ in range(arguments.rounds):
            for name, command in commands.items():
                times[name].append(run(command, file.name, arguments.commands))
        with Connection(server.port) as connection:
            keys = connection.ask("DBSIZE")
        if keys != arguments.commands:
            sys.exit(f"{keys} keys instead of {arguments.commands}")
        report(times, server.name, arguments)


def report(times, server_name, arguments):
    for name, value in machine():
        print(f"{name}: {value}")
    print(f"\n{arguments.commands} SET commands into {server_name}, medians of {arguments.rounds} rounds\n")
    print("| program | wall s | CPU s | commands/s |\n|---|---|---|---|")
    medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in times.items()}
    for name, (wall, cpu) in medians.items():
        print(f"| {name} --pipe | {wall:.2f} | {cpu:.2f} | {arguments.commands / wall:,.0f} |")
    wall, cpu = [ours / theirs for ours, theirs in zip(medians["client"], medians["redis-cli"])]
    print(f"\nratio: wall {wall:.2f}, CPU {cpu:.2f}")
    if wall > NOISE:
        sys.exit("client --pipe takes longer than redis-cli --pipe")


if __name__ == "__main__":
    main()
