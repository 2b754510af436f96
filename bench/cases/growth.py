#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What grows and what doesn't: events/s with partitions, start time with the log, memory with batches."""

import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import LOG, MBUFS, NULL_PORT, POOL, measure, spread_port  # noqa: E402
from harness import BUILD, USABLE, Millraced, cpus, main, say, seconds  # noqa: E402

SIZE = 600
STARTS = 5
GIB = {"1_gib": ("1", "1024"), "50_gib": ("50", "1024")}  # segments, MiB of each
LAST_MIB = "64"  # of blocks in the newest, which a start reads
FACTOR = 1.5


def by_partitions(case, duration):
    base = None
    for partitions in (1, 2, 4):
        if partitions > len(USABLE):
            say(f"  {partitions} partitions need as many CPUs: not measured here")
            continue
        port, more = spread_port(case, SIZE, partitions)
        window = measure(case, port, ",".join(map(str, USABLE[:partitions])), duration,
                         log={"segment_size": "256MiB", "retain_size": "1GiB"}, **more)
        base = base or window.per_second
        case.row(f"partitions_{partitions}_durable_per_second", window.per_second, "events/s", base)


def start_seconds(case, cpu):
    """From the process's begin until it answers; the page cache is cold."""
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3", encoding="ascii")
    begin = time.monotonic()
    receiver = Millraced(case, NULL_PORT, cpu, log={"segment_size": "1GiB"}, program=POOL,
                         env={"MILLRACE_BENCH_RATE": "1"}, keep=True, memory={"mbufs": MBUFS})
    took = time.monotonic() - begin
    receiver.stop()
    return took


def by_log_size(case):
    cpu, _ = cpus()
    medians = {}
    for name, (segments, mebibytes) in GIB.items():
        took = []
        for _ in range(STARTS):
            shutil.rmtree(case.dir / "data", ignore_errors=True)
            (case.dir / "data").mkdir()
            case.run([str(BUILD / "bench/make_log"), str(case.dir / "data/0"), segments, mebibytes,
                      LAST_MIB, "open"], 120)
            took.append(start_seconds(case, cpu))
        medians[name] = sorted(took)[STARTS // 2]
    for name, value in medians.items():
        case.row(f"start_{name}", value, "s", FACTOR * medians["1_gib"])


def resident_mib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return 0.0


def by_batches(case):
    cpu, _ = cpus()
    receiver = Millraced(case, NULL_PORT, cpu, program=POOL, env={"MILLRACE_BENCH_RATE": "20000"},
                         memory={"mbufs": MBUFS},
                         log={**LOG, "commit_interval": "100us", "seal_interval": "1ms"})
    marks = (1000, 10000)
    for mark in marks:
        while receiver.counters()["partition.batches_sealed"] < mark:
            time.sleep(0.1)
        case.row(f"memory_after_{mark}_batches", resident_mib(receiver.pid), "MiB resident")
    receiver.stop()


def run(case):
    by_partitions(case, seconds(10))
    by_log_size(case)
    by_batches(case)


sys.exit(main("growth", run))
