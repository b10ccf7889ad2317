"""Counts the instructions of fixed sets of commands under callgrind and compares them with benches/instructions.txt.

usage: instructions.py [--accept] [--twice] [--case NAME]... PROGRAM
  --accept   write the counts as the new baseline, after counting twice: counts that differ are no baseline
  --twice    count twice and fail if the counts differ
  --case     only this one
Status: 0 as the baseline or better, 1 more instructions or a case that no longer runs, 77 cannot be compared here.
"""

import argparse
import concurrent.futures
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

BASELINE = Path("benches/instructions.txt")
ACCEPT = "scripts/instructions.sh --accept"
# A change of this share is one that somebody should know of.
TOLERANCE = 0.03
SECONDS_PER_CASE_MAX = 120
# Only what is set here can make a difference: no variable of the caller's, and an allocator that does not look at the
# clock to decide when it gives memory back.
ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "MIMALLOC_PURGE_DELAY": "-1"}


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def toolchain():
    """What the counts depend on besides our source."""
    cpu = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    avx2 = "avx2" if re.search(r"^flags.*\bavx2\b", cpu, re.MULTILINE) else "no avx2"
    rustc = " ".join(output_of("rustc", "--version").split()[:2])
    libc = " ".join(platform.libc_ver())
    return ", ".join([rustc, platform.machine(), libc, output_of("valgrind", "--version"), avx2])


def count(program, case):
    """Instructions per command, or the reason why the case does not run."""
    command = ["valgrind", "--tool=callgrind", "--toggle-collect=*instructions*measured*", "--callgrind-out-file=/dev/null",
               program, case]
    try:
        run = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS_PER_CASE_MAX,
                             check=False)
    except subprocess.TimeoutExpired:
        return f"took more than {SECONDS_PER_CASE_MAX} s"
    collected = re.search(r"Collected : (\d+)", run.stderr)
    if run.returncode != 0 or not collected:
        own = [line for line in run.stderr.splitlines() if not line.startswith("==")]
        return " ".join(own) or f"ended with status {run.returncode}"
    if int(collected[1]) == 0:
        return "callgrind has not found the measured function"
    return int(collected[1]) / int(run.stdout)


def count_all(program, cases):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(cases, pool.map(lambda case: count(program, case), cases)))


def read_baseline():
    """The toolchain of the baseline, and its counts by case."""
    if not BASELINE.exists():
        return None, {}
    lines = BASELINE.read_text(encoding="utf-8").splitlines()
    tools = next((line.removeprefix("# taken with: ") for line in lines if line.startswith("# taken with: ")), None)
    rows = [line.split() for line in lines if line and not line.startswith("#")]
    return tools, {name: float(instructions) for name, instructions in rows}


def write_baseline(tools, counts):
    head = ["# Instructions per command. Do not edit: `" + ACCEPT + "` writes it.", f"# taken with: {tools}"]
    rows = [f"{name:24} {instructions:12.1f}" for name, instructions in counts.items()]
    BASELINE.write_text("\n".join(head + rows) + "\n", encoding="utf-8")


def unequal(first, second):
    """Cases whose two counts are not the same."""
    return [f"{case}: counted {first[case]}, then {second[case]}" for case in first if first[case] != second[case]]


def compare(counts, baseline):
    """Prints a line per case; returns what is worse and what is better than the baseline."""
    worse, better = [], []
    for case, now in counts.items():
        before = baseline.get(case)
        if isinstance(now, str):
            print(f"{case:24} not counted: {now}")
            if before is not None:
                worse.append(f"{case}: {before:.1f} instructions before, does not run now: {now}")
            continue
        if before is None:
            print(f"{case:24} {now:12.1f}  new")
            continue
        print(f"{case:24} {now:12.1f} {before:12.1f}  {now / before - 1:+7.2%}")
        if now > before * (1 + TOLERANCE):
            worse.append(f"{case}: {before:.1f} instructions before, {now:.1f} now ({now / before - 1:+.1%})")
        elif now < before * (1 - TOLERANCE):
            better.append(f"{case}: {before:.1f} instructions before, {now:.1f} now ({now / before - 1:+.1%})")
    return worse, better


def accept(tools, counts):
    counted = {case: now for case, now in counts.items() if not isinstance(now, str)}
    for case, reason in counts.items():
        if case not in counted:
            print(f"LEFT OUT {case}: {reason}")
    write_baseline(tools, counted)
    print(f"instructions: {len(counted)} of {len(counts)} cases written to {BASELINE}")


def judge(tools, counts, cases):
    tools_before, baseline = read_baseline()
    if not baseline:
        print(f"SKIPPED instructions: no baseline; {ACCEPT} writes one")
        return 77
    worse, better = compare(counts, baseline)
    if tools != tools_before:
        print(f"baseline: {tools_before}; here: {tools}")
        print("SKIPPED instructions: the baseline was taken with other tools")
        return 77
    worse += [f"{case}: in the baseline and no longer a case" for case in baseline if case not in cases]
    for line in better:
        print(f"BETTER {line}")
    for line in worse:
        print(f"WORSE {line}")
    if better or worse:
        print(f"to make the counts of now the baseline: {ACCEPT}")
    left_out = sum(isinstance(now, str) for now in counts.values())
    print(f"instructions: {len(counts) - left_out} of {len(counts)} cases counted, {len(worse)} worse, {len(better)} better than the baseline by {TOLERANCE:.0%}")
    return 1 if worse else 0


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--accept", action="store_true")
    arguments.add_argument("--twice", action="store_true")
    arguments.add_argument("--case", action="append", default=[])
    arguments.add_argument("program")
    options = arguments.parse_args()
    if options.accept and options.case:
        sys.exit("--accept takes all cases")
    program = os.path.abspath(options.program)
    all_cases = output_of(program, "--list").split()
    counts = count_all(program, options.case or all_cases)
    if options.twice or options.accept:
        different = unequal(counts, count_all(program, options.case or all_cases))
        for line in different:
            print(f"NOT REPEATABLE {line}")
        if different:
            sys.exit(1)
    if options.accept:
        accept(toolchain(), counts)
    else:
        sys.exit(judge(toolchain(), counts, all_cases))


if __name__ == "__main__":
    main()
