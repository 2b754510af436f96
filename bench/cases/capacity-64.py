#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Frames of 64 bytes to durable, in both modes, and what each stage of an event costs."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import (commit_rows, disk_rate, make_capture, measure, pcap_port,  # noqa: E402
                      spread_port, stage_rows, two_cpus)
from harness import RXONLY, cpus, main, seconds  # noqa: E402

SIZE = 18  # of an event; with all headers and the FCS a frame of 64 bytes
TARGET = 25e6


def run(case):
    duration = seconds(20)
    receiver_cpu, _ = cpus()
    one = pcap_port(make_capture(case, SIZE))
    two, more = spread_port(case, SIZE, 2)
    alone = case.run_json([RXONLY, "--cpu", str(receiver_cpu), one, f"{duration / 4:g}"],
                          duration + 60)
    disk, memory = disk_rate(case, duration / 4)
    windows = {
        "run_to_completion_one_lcore": measure(case, one, receiver_cpu, duration),
        "run_to_completion_two_lcores": measure(case, two, two_cpus(), duration, **more),
        "pipeline": measure(case, one, two_cpus(), duration, mode="pipeline"),
    }
    case.row(f"disk_fio_{memory}", disk, "MB/s")
    for name, window in windows.items():
        case.row(f"{name}_durable_per_second", window.per_second, "events/s", TARGET)
        case.row(f"{name}_disk_written", window.megabytes, "MB/s", disk)
        commit_rows(case, window, f"{name}_")
        stage_rows(case, window, f"{name}_")
        case.cpu_rows(window.cpu, window.events, f"{name}_")
    case.row("source_alone_per_second", alone["packets_per_second"], "packets/s")
    case.row("source_alone_cycles", alone["cycles_per_packet"], "cycles/packet")


sys.exit(main("capacity-64", run))
