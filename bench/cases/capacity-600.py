#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many events of 600 bytes become durable each second, from a source that is never empty.

The pcap port copies every frame out of a preloaded file. What that costs by itself, and what fio
reaches on the same disk before and after, are measured in the same run.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import (FRAMES, commit_rows, disk_rate, make_capture, measure,  # noqa: E402
                      pcap_port, spread_port, stage_rows, two_cpus)
from harness import RXONLY, cpus, main, seconds  # noqa: E402

SIZE = 600
RUN_ID = "00000600"
TARGET = 1e6


def check_log(case):
    # Each frame comes again and again, so only what is wrong with an event can be told.
    check = case.seqcheck(["--id", RUN_ID, "--count", str(FRAMES), "--size", str(SIZE),
                           str(case.dir / "data")])
    case.row("distinct_in_log", check["found"], "events", FRAMES)
    case.row("damaged", check["damaged"] + check["foreign"] + check["beyond"], "events")


def rows(case, name, window, disk):
    case.row(f"{name}_durable_per_second", window.per_second, "events/s", TARGET)
    case.row(f"{name}_disk_written", window.megabytes, "MB/s", disk)
    commit_rows(case, window, f"{name}_")
    stage_rows(case, window, f"{name}_")
    case.cpu_rows(window.cpu, window.events, f"{name}_")


def run(case):
    duration = seconds(20)
    receiver_cpu, _ = cpus()
    capture = make_capture(case, SIZE, run_id=RUN_ID)
    alone = case.run_json([RXONLY, "--cpu", str(receiver_cpu), pcap_port(capture),
                           f"{duration / 4:g}"], duration + 60)
    before, memory = disk_rate(case, duration / 2)
    one = measure(case, pcap_port(capture), receiver_cpu, duration)
    check_log(case)
    between, _ = disk_rate(case, duration / 2)
    port, more = spread_port(case, SIZE, 2)
    two = measure(case, port, two_cpus(), duration, **more)
    after, _ = disk_rate(case, duration / 2)

    case.row(f"disk_fio_{memory}_min", min(before, between, after), "MB/s")
    case.row(f"disk_fio_{memory}_max", max(before, between, after), "MB/s")
    rows(case, "one_lcore", one, (before + between) / 2)
    rows(case, "two_lcores", two, (between + after) / 2)
    case.row("log_bytes_per_event",
             one.delta["partition.written_bytes"] / max(one.events, 1), "bytes")
    case.row("source_alone_per_second", alone["packets_per_second"], "packets/s")
    case.row("source_alone_cycles", alone["cycles_per_packet"], "cycles/packet")


sys.exit(main("capacity-600", run))
