#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Ten gigabits' smallest frames, paced, to durable, on one lcore.

No process can send so many to another on this machine. The frames come from the receiver's own
packet buffers, but at the pace of the wire, whether they are taken or not, into a queue of as many
descriptors as a NIC's may have; what finds it full is lost and counted (bench/pool_pace.c). They
are parsed, summed, steered and counted like any other.
"""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import (LOG, NULL_PORT, POOL, RECYCLED, Window, commit_rows,  # noqa: E402
                      stage_rows)
from harness import BenchError, Millraced, cpus, main, seconds  # noqa: E402

RATE = 14880952  # 1e10 / ((64 + 20) * 8)
QUEUE = 16384    # 1.1 ms: a virtual CPU is taken away for up to half of that
WARM_UP = 12     # s: the log comes round at 1.1 GB/s in less than 3
GOAL_MS = 2.0
VARIANTS = {
    "flush": {"durability": "flush"},
    "dsync": {"durability": "dsync"},
}


def pace(receiver):
    for line in receiver.said:
        found = re.match(r"pace: offered (\d+) lost (\d+) late_max_ns (\d+)", line)
        if found:
            return [int(number) for number in found.groups()]
    raise BenchError("the pacer said nothing")


def one(case, name, log, cpu, duration):
    env = {"MILLRACE_BENCH_RATE": str(RATE), "MILLRACE_BENCH_QUEUE": str(QUEUE),
           "MILLRACE_BENCH_WARM_UP": str(WARM_UP)}
    receiver = Millraced(case, NULL_PORT, cpu, log={**LOG, **log}, program=POOL, env=env)
    time.sleep(WARM_UP + 0.6)
    if receiver.counters()["partition.segments_recycled"] < RECYCLED:
        raise BenchError("the log did not come round during the warm-up")
    window = Window(receiver, duration)
    receiver.stop()
    offered, lost, late = pace(receiver)
    case.row(f"{name}_durable_per_second", window.per_second, "events/s", RATE)
    case.row(f"{name}_offered", offered, "packets")
    case.row(f"{name}_lost", lost, "packets")
    case.row(f"{name}_queued_max", late / 1e6, "ms")
    commit_rows(case, window, f"{name}_", (0.5, 0.99, 0.999))
    case.row(f"{name}_disk_written", window.megabytes, "MB/s")
    stage_rows(case, window, f"{name}_")
    case.cpu_rows(window.cpu, window.events, f"{name}_")
    return window


def run(case):
    duration = seconds(20)
    receiver_cpu, _ = cpus()
    for name, log in VARIANTS.items():
        one(case, name, log, receiver_cpu, duration)


sys.exit(main("line-rate-10g", run))
