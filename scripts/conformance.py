#!/usr/bin/env python3
"""Runs files of the Redis test suite against a fresh server each and judges by the list of known failures.

Called by conformance.sh, which obtains the suite. A line of the list is `file | test name | reason`; a name
`* stopped early after NAME` stands for an error outside of any test, which ends its part of the file. The reason may
begin with
  skip:   the test is not run at all, because it would end the file or take what we do not have
  flaky:  the test may pass or fail
Anything else that fails must be listed, and what is listed must fail.
"""

import argparse
import os
import random
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = """
unit/type/string unit/type/incr
unit/type/hash
unit/type/list unit/type/list-2 unit/type/list-3
unit/type/set unit/sort
unit/type/zset
unit/quit unit/protocol unit/expire unit/scan unit/keyspace unit/slowlog
unit/latency-monitor unit/info-command unit/info unit/introspection unit/introspection-2 unit/other unit/auth
unit/querybuf unit/limits unit/networking unit/obuf-limits unit/lazyfree unit/memefficiency
unit/pubsub
unit/multi unit/tracking unit/pause
""".split()
# The suite asks for these two; nothing is saved, so that no file of one run is seen by the next.
SERVER_OPTIONS = ["--enable-debug-command", "yes", "--enable-protected-configs", "yes", "--save", ""]
TAGS = "-slow -needs:repl -cluster"
LIST = Path("tests/conformance.txt")
# Through the proxy: what is about keys and values.
PROXY_FILES = """
unit/type/string unit/type/incr unit/type/hash unit/type/list unit/type/list-2 unit/type/list-3 unit/type/set unit/type/zset
""".split()
PROXY_LIST = Path("tests/conformance-proxy.txt")
# What is about one server the proxy refuses, or answers for itself: the suite asks the node, as a user would.
ASK_THE_NODE = """
proc ::redis::is_for_the_node {id method} {
    if {![info exists ::env(CONFORMANCE_NODE)] || $::redis::deferred($id)} {return 0}
    if {[info exists ::the_node_id] && $id == $::the_node_id} {return 0}
    return [expr {[string tolower $method] in {config debug}}]
}
proc ::redis::ask_the_node {method arguments} {
    if {![info exists ::the_node_id]} {
        set ::the_node_id [expr {$::redis::id + 1}]
        set ::the_node [redis 127.0.0.1 $::env(CONFORMANCE_NODE)]
        $::the_node select 9
    }
    $::the_node $method {*}$arguments
}
"""


class Server:
    """A server process in an empty directory, or a proxy, which takes other options."""

    def __init__(self, command, options=SERVER_OPTIONS):
        self.directory = tempfile.mkdtemp(prefix="conformance-")
        self.port = free_port()
        self.log = open(os.path.join(self.directory, "server.log"), "w+")
        options = ["--port", str(self.port), "--bind", "127.0.0.1", *options]
        self.process = subprocess.Popen(
            command + options, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        deadline = time.monotonic() + 20
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                print(f"{self.text()}\nconformance: the server does not start: {shlex.join(command + options)}")
                sys.exit(1)
            time.sleep(0.01)

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) == b"+PONG"
        except OSError:
            return False

    def text(self):
        self.log.seek(0)
        return self.log.read()

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def free_port():
    """A port below the range from which the kernel takes ports for outgoing connections."""
    while True:
        port = random.randrange(22_000, 32_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def read_list(path):
    """The list as {(file, name): reason}."""
    listed = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        if line.strip() and not line.startswith("#"):
            file, rest = line.split(" | ", 1)
            name, reason = rest.rsplit(" | ", 1)
            listed[file.strip(), name.strip()] = reason.strip()
    return listed


def let_the_suite_ask_the_node(suite):
    """Adds the way to the node to the suite's client; without the environment variable it is the same as before."""
    path = Path(suite) / "tests/support/redis.tcl"
    text = path.read_text(encoding="latin-1")
    dispatch = "proc ::redis::__dispatch__ {id method args} {\n"
    if "ask_the_node" not in text:
        detour = "    if {[is_for_the_node $id $method]} {return [ask_the_node $method $args]}\n"
        path.write_text(text.replace(dispatch, ASK_THE_NODE + dispatch + detour), encoding="latin-1")


class Outcome:
    """What one file of the suite gave."""

    def __init__(self):
        self.passed, self.failed, self.details = [], [], {}

    def fail(self, name, detail):
        self.failed.append(name)
        self.details.setdefault(name, detail.strip())


def parse(output, timed_out):
    """Reads the suite's report: `[ok]: NAME (1 ms)`, `[err]: NAME in FILE` and details, `[exception]: ...`."""
    outcome = Outcome()
    last = "the start"
    parts = re.split(r"^\[(ok|err|exception)\]: ", re.sub(r"\x1b\[[0-9;]*m", "", output), flags=re.M)
    for kind, text in zip(parts[1::2], parts[2::2]):
        first, _, rest = text.partition("\n")
        failed = re.match(r"(.*) in tests/\S+\.tcl$", first)
        if kind == "ok":
            last = re.sub(r" \(\d+ ms\)$", "", first)
            outcome.passed.append(last)
        elif kind == "err" and failed:
            last = failed[1]
            outcome.fail(last, rest)
        else:
            outcome.fail(f"* stopped early after {last}", text)
    if timed_out:
        outcome.fail(f"* stopped early after {last}", "no end within the time limit")
    elif "The End" not in output and not outcome.failed:
        outcome.fail(f"* stopped early after {last}", output[-500:])
    return outcome


def run_file(suite, file, command, proxy, skipped, timeout):
    node = server = Server(command)
    environment = dict(os.environ)
    if proxy:
        environment["CONFORMANCE_NODE"] = str(node.port)
        server = Server(proxy, ["--nodes", f"127.0.0.1:{node.port}"])
    with tempfile.NamedTemporaryFile("w", prefix="conformance-skip-") as skip_file:
        skip_file.write("\n".join(skipped))
        skip_file.flush()
        suite_command = ["tclsh", "tests/test_helper.tcl", "--host", "127.0.0.1", "--port", str(server.port),
                         "--single", file, "--durable", "--ignore-encoding", "--ignore-digest", "--tags", TAGS,
                         "--baseport", "20100", "--skipfile", skip_file.name]
        run = subprocess.Popen(suite_command, cwd=suite, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                               errors="replace", start_new_session=True, env=environment)
        timed_out = False
        try:
            output = run.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)  # the suite and the processes it started, a session of their own
            output = run.communicate()[0]
            timed_out = True
    outcome = parse(output, timed_out)
    if server.process.poll() is not None:
        outcome.fail("* the server ended", server.text()[-2000:])
    server.stop()
    if proxy:
        node.stop()
    return outcome


def judge(file, outcome, listed):
    """Sentences about all that is not as listed."""
    complaints = []
    expected = {name: reason for (of, name), reason in listed.items() if of == file}
    failed = set(outcome.failed)
    for name in sorted(failed - set(expected)):
        complaints.append(f"{name}\n        {outcome.details[name][:600]}")
    for name, reason in expected.items():
        if name not in failed and not reason.startswith(("skip:", "flaky:")):
            seen = "passes now" if name in outcome.passed else "did not run"
            complaints.append(f"{name}\n        is listed but {seen}: take it off the list ({reason})")
    return complaints


def program(line):
    """The words of a command, its program with its path."""
    words = shlex.split(line)
    found = shutil.which(words[0])
    if found is None:
        sys.exit(f"{words[0]} is no program")
    return [os.path.abspath(found), *words[1:]]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--suite", required=True)
    arguments.add_argument("--server", required=True, help="command of the server; the options are appended")
    arguments.add_argument("--files", help="comma-separated, instead of all")
    arguments.add_argument("--list", type=Path, help="of what fails, instead of the one in tests/")
    arguments.add_argument("--proxy", help="command of a proxy to run the suite through, in front of the server")
    arguments.add_argument("--print", action="store_true", help="print the failures as list lines and do not judge")
    arguments.add_argument("--timeout", type=int, default=120, help="seconds per file")
    options = arguments.parse_args()
    command = program(options.server)
    proxy = program(options.proxy) if options.proxy else None

    options.list = options.list or (PROXY_LIST if proxy else LIST)
    listed = read_list(options.list)
    if proxy:
        let_the_suite_ask_the_node(options.suite)
    files = options.files.split(",") if options.files else PROXY_FILES if proxy else FILES
    passed = failed = 0
    complaints = {}
    for file in files:
        started = time.monotonic()
        skipped = [name for (of, name), reason in listed.items() if of == file and reason.startswith("skip:")]
        outcome = run_file(options.suite, file, command, proxy, skipped, options.timeout)
        passed += len(outcome.passed)
        failed += len(outcome.failed)
        complaints[file] = judge(file, outcome, listed)
        seconds = time.monotonic() - started
        mark = "" if options.print or not complaints[file] else f"  {len(complaints[file])} NOT AS LISTED"
        print(f"{file:24} passed {len(outcome.passed):4}  failed {len(outcome.failed):3}  {seconds:5.1f} s{mark}",
              flush=True)
        if options.print:
            for name in dict.fromkeys(outcome.failed):
                print(f"{file} | {name} | {outcome.details[name].partition(chr(10))[0][:100]}")
    for file in files if not options.print else []:
        for complaint in complaints[file]:
            print(f"{file}: {complaint}")
    unlisted = sum(map(len, complaints.values()))
    verdict = "" if options.print else f", {unlisted} not as listed in {options.list}"
    print(f"conformance: {passed} passed, {failed} failed{verdict}")
    sys.exit(1 if unlisted and not options.print else 0)


if __name__ == "__main__":
    main()
