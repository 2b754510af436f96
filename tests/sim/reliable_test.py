#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 900
# beside
"""No event is lost or twice: tests/sim/reliable, each seed both ends, a network and logs with faults.

2,000 seeds, 100,000 with --all, on every CPU; under sanitizers 1,000 and 10,000. A seed that fails
is made smaller, as long as it breaks the same rule, and its trace is printed.
"""

import collections
import os
import pathlib
import re
import subprocess
import sys

BUILD = pathlib.Path(os.environ["MILLRACE_BUILD"])
PROGRAM = BUILD / "tests/sim/reliable/reliable"
RUN_ALL = bool(os.environ.get("MILLRACE_ALL"))
if BUILD.name == "build-asan":
    SEEDS = 10_000 if RUN_ALL else 1_000
else:
    SEEDS = 100_000 if RUN_ALL else 2_000
TRACE_LINES = 150
FAULTS = ["expiry", "rogue", "replay", "mtu", "move", "wipe", "fail", "crash", "full", "stall", "partition",
          "corrupt", "reorder", "dup", "loss"]
# Faults, and what they should bring about: without these a run of all seeds has shown nothing.
NEEDED = """rows blocks losses duplicates reordered corrupted partitions shrunk oversized overrun stalls
    refused_appends receiver_crashes landed rows_cut failures wipes sender_crashes spool_restarts
    moves failovers closes replays old_replays spoofed rogue_datagrams rogue_opened openings
    reopened overlap_rows new_epochs large_events empty_events sealed_runs sent_again
    lost_datagrams timeouts challenges acks resets refusals resumed known_twice beyond_window
    no_window wrong_epoch no_parts busy saves loads expired_sources came_back""".split()


def run(*args):
    process = subprocess.run([str(PROGRAM), *map(str, args)], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, errors="replace", check=False)
    return process.returncode, process.stdout


def broken(output):
    """The rule that a run broke, and its seed."""
    match = re.search(r"^BROKEN (\S+) seed (\d+)", output, re.MULTILINE)
    return (match[1], int(match[2])) if match else None


def shrink(rule, seed):
    """The fewest faults and events with which the seed breaks the same rule."""
    def fails(off, events):
        args = ["--seed", seed] + (["--no", ",".join(off)] if off else [])
        args += ["--events", events] if events else []
        _, output = run(*args)
        return broken(output) == (rule, seed), args

    off, events = [], 0
    for fault in FAULTS:
        if fails(off + [fault], events)[0]:
            off.append(fault)
    for fewer in (1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 130, 200, 400, 800, 2000, 5000):
        if fails(off, fewer)[0]:
            events = fewer
            break
    for fault in FAULTS:
        if fault not in off and fails(off + [fault], events)[0]:
            off.append(fault)
    return fails(off, events)[1]


def explain(output, seeds):
    """What a run of many said that failed; a sanitizer doesn't name the seed."""
    found = broken(output)
    if found is None:
        print(output[-4000:])
        seed = next((seed for seed in seeds if run("--seed", seed)[0] != 0), None)
        print("to see it: tests/sim/reliable/reliable --seed", seed)
        return
    args = shrink(*found)
    _, trace = run(*args, "--trace")
    print("\n".join(trace.splitlines()[-TRACE_LINES:]))
    print("to see it: tests/sim/reliable/reliable", *args, "--trace")


def main():
    workers = os.cpu_count() or 1
    share = -(-SEEDS // workers)
    running = [subprocess.Popen([str(PROGRAM), "--from", str(i * share), "--seeds", str(share)],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                errors="replace")
               for i in range(workers)]
    outputs = [(process.communicate()[0], process.returncode) for process in running]
    totals = collections.Counter()
    failed = False
    for i, (output, code) in enumerate(outputs):
        if code != 0:
            failed = True
            explain(output, range(i * share, (i + 1) * share))
            continue
        for name, number in re.findall(r"^(\w+) (\d+)$", output, re.MULTILINE):
            totals[name] += int(number)
    for name, number in totals.items():
        print(f"{name} {number}")
    missing = [name for name in NEEDED if not totals[name]]
    if missing and not failed:
        print("never happened:", " ".join(missing))
    return 1 if failed or missing else 0


sys.exit(main())
