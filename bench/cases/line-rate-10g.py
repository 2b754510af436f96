#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Ten gigabits' smallest frames, paced, to durable, on one lcore.

No process can send so many to another on this machine. The frames come from the receiver's own
packet buffers, but at the pace of the wire, whether they are taken or not, into a queue of as many
descriptors as a NIC's may have; what finds it full is lost and counted (bench/pool_pace.c). They
are parsed, summed, steered and counted like any other.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import NULL_PORT, commit_rows, paced, quantile, stage_rows  # noqa: E402
from harness import cpus, main, seconds  # noqa: E402

RATE = 14880952  # 1e10 / ((64 + 20) * 8)
WARM_UP = 12     # s: the log comes round at 1.1 GB/s in less than 3
GOAL_MS = 2.0


def run(case):
    duration = seconds(20)
    receiver_cpu, _ = cpus()
    for name in ("flush", "dsync"):
        prefix = f"{name}_"
        window = paced(case, NULL_PORT, receiver_cpu, RATE, duration, prefix,
                       {"durability": name}, WARM_UP)
        commit_rows(case, window, prefix, (0.5, 0.999))
        case.row(f"{prefix}commit_p99", quantile(window.commit, 0.99) / 1e6, "ms", GOAL_MS)
        case.row(f"{prefix}disk_written", window.megabytes, "MB/s")
        stage_rows(case, window, prefix)
        case.cpu_rows(window.cpu, window.events, prefix)


sys.exit(main("line-rate-10g", run))
