#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""From receive to durable at 1, 50 and 90 % of what the disk and the lcore take, of 600-byte events,
against a write and a flush of the disk by themselves.

The time is that of a block's first event, which waits longest. Blocks are written 2 ms after it at
latest, which is how long a sender would wait for its ack.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import commit_rows, fio, make_capture, measure, paced, pcap_port, quantile  # noqa: E402
from harness import cpus, main, seconds  # noqa: E402

SIZE = 600
BLOCK = "256KiB"  # a quarter of the default: how long a block fills is part of the time
LOG = {"commit_interval": "2ms", "block_size": BLOCK}
LOADS = (1, 50, 90)
QUANTILES = ("50.000000", "99.000000", "99.900000")
GOAL = 4.0  # times the disk's own p99, at 50 %


def disk_latency(case, duration):
    """{quantile: ms} of one write of a block and the flush after it, one at a time."""
    job, _ = fio(case, duration, "--fdatasync=1", depth=1, block=BLOCK.removesuffix("iB"))
    write, sync = job["write"]["clat_ns"]["percentile"], job["sync"]["lat_ns"]["percentile"]
    return {q: (write[q] + sync[q]) / 1e6 for q in QUANTILES}


def run(case):
    duration = seconds(15)
    receiver_cpu, _ = cpus()
    port = pcap_port(make_capture(case, SIZE))
    disk = disk_latency(case, duration / 3)
    most = measure(case, port, receiver_cpu, duration / 3, log=LOG).per_second
    case.row("capacity_per_second", most, "events/s")
    for q in QUANTILES:
        case.row(f"disk_write_and_flush_p{float(q):g}".replace(".", "_"), disk[q], "ms")
    for load in LOADS:
        prefix = f"load_{load}_percent_"
        # On the log that the first run left, which has come round.
        window = paced(case, port, receiver_cpu, most * load / 100, duration, prefix, LOG, 3,
                       keep=True)
        commit_rows(case, window, prefix, (0.5, 0.999))
        p99 = quantile(window.commit, 0.99) / 1e6
        goal = GOAL * disk["99.000000"] if load == 50 else None
        case.row(f"{prefix}commit_p99", p99, "ms", goal)
        case.row(f"{prefix}cpu_millraced", 100 * window.cpu["millraced"] / window.elapsed, "%")


sys.exit(main("latency", run))
