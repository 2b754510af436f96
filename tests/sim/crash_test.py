#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 900
# beside
"""The log and file_replace() survive crashes: tests/sim/crash, each seed another story of them.

10,000 seeds, 1,000,000 with --all, on every CPU; under sanitizers 1,000 and 10,000.
"""

import os
import pathlib
import subprocess
import sys

BUILD = pathlib.Path(os.environ["MILLRACE_BUILD"])
SEEDS = 1_000_000 if os.environ.get("MILLRACE_ALL") else 10_000


def main():
    seeds = min(SEEDS // 10, 10_000) if BUILD.name == "build-asan" else SEEDS
    workers = os.cpu_count() or 1
    share = -(-seeds // workers)
    # A simulated process that is killed leaves nothing for LeakSanitizer that the simulation does
    # not know itself.
    env = dict(os.environ, LSAN_OPTIONS="detect_leaks=0")
    running = [subprocess.Popen([str(BUILD / "tests/sim/crash"), "--from", str(i * share),
                                 "--seeds", str(share)], env=env)
               for i in range(workers)]
    return 1 if any([process.wait() != 0 for process in running]) else 0


sys.exit(main())
