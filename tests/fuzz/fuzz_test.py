#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: fuzz
# timeout: 600
# beside
"""Every fuzz target over its kept corpus, then for a fixed number of runs; ten minutes with --all.

An input that crashes stays in BUILD/fuzz-crashes, and the command that replays it is printed.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys
import tempfile
import time

TREE = pathlib.Path(os.environ["MILLRACE_TREE"])
BUILD = pathlib.Path(os.environ["MILLRACE_BUILD"])
RUN_ALL = bool(os.environ.get("MILLRACE_ALL"))
CRASHES = BUILD / "fuzz-crashes"
SECONDS_ALL = 600
AT_ONCE = 2
TAIL = 25

# Runs beyond the corpus, and the longest input worth trying.
TARGETS = {
    "api": (5000, 1024),
    "config": (20000, 2048),
    "datagram": (50000, 2048),
    "framing": (50000, 2048),
    "groups": (20000, 1024),
    "packet": (20000, 2048),
    "payload": (50000, 512),
    "recordio": (50000, 1024),
    "segment": (1500, 256),
    "spec": (20000, 2048),
}

SANITIZERS = {
    # Little is kept of what was freed: a segment's buffers are large and had anew all the time.
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:quarantine_size_mb=2",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "LSAN_OPTIONS": f"suppressions={TREE}/tests/lsan.supp:print_suppressions=0",
}


def program(target):
    return BUILD / "tests/fuzz" / f"{target}_fuzz"


def command(target, grown):
    runs, longest = TARGETS[target]
    corpus = TREE / "tests/fuzz/corpus" / target
    words = TREE / "tests/fuzz" / f"{target}.dict"
    kept = sum(1 for _ in corpus.iterdir())
    yield from (program(target), "-seed=1", f"-max_len={longest}", "-len_control=0", "-timeout=20",
                "-entropic=0", f"-artifact_prefix={CRASHES}/{target}-")
    yield f"-max_total_time={SECONDS_ALL}" if RUN_ALL else f"-runs={kept + runs}"
    if words.exists():
        yield f"-dict={words}"
    yield from (grown, corpus)


def replay(target):
    """The commands for what this target has left behind."""
    for path in sorted(CRASHES.glob(f"{target}-*")):
        yield f"{target}: kept {path}\n  {program(target)} {path}"


def fuzz(target):
    begin = time.monotonic()
    for stale in CRASHES.glob(f"{target}-*"):
        stale.unlink()
    with tempfile.TemporaryDirectory() as grown:
        done = subprocess.run(
            [str(word) for word in command(target, grown)], env=dict(os.environ, **SANITIZERS),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    lines = done.stderr.splitlines()
    if done.returncode == 0:
        return f"ok   {target} ({time.monotonic() - begin:.0f} s): {lines[-1]}", True
    return "\n".join([*lines[-TAIL:], f"FAIL {target}", *replay(target)]), False


def main():
    CRASHES.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or TARGETS
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(fuzz, wanted))
    for text, _ in results:
        print(text)
    return 0 if all(good for _, good in results) else 1


sys.exit(main())
