#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A gigabit's smallest frames over memif, open loop, into the durable log, without loss."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import CpuMeter, Millraced, cpus, main, say, seconds  # noqa: E402

RATE = 1488095  # 1e9 / ((64 + 20) * 8) frames of 64 bytes each second
SIZE = 18       # of an event; with all headers and the FCS a frame of 64 bytes
RUN_ID = "00001488"


def memif(case, role):
    # Rings of 11 ms: as deep as the descriptors of a NIC's queue may be.
    return f"net_memif0,role={role},id=0,socket={case.dir}/memif.sock,socket-abstract=no,rsize=14"


def account(case, sent, check, receiver, durable):
    offered = sent["sent"] + sent["refused"]
    case.row("sent_per_second", sent["rate_per_second"], "events/s", RATE)
    case.row("offered", offered, "events")
    case.row("refused", sent["refused"], "events")
    case.row("late_max", sent["late_max_ns"] / 1e6, "ms")
    case.row("durable", durable, "events", offered)
    case.row("found_in_log", check["found"], "events", offered)
    for name in ("missing", "twice", "out_of_order", "damaged"):
        case.row(name, check[name], "events")
    for name, value in receiver.items():
        case.row(f"drop_{name}", value, "")


def run(case):
    duration = seconds(60)
    receiver_cpu, sender_cpu = cpus()
    receiver = Millraced(case, memif(case, "server"), receiver_cpu)
    cpu = CpuMeter(millraced=receiver.pid)
    sent = case.send(["--port", memif(case, "client"), "--to", f"10.9.0.1:{receiver.PORT}",
                      "--rate", str(RATE), "--size", str(SIZE), "--duration", f"{duration:g}s",
                      "--id", RUN_ID], duration + 60, cpu=sender_cpu)
    sender_seconds = case.run_cpu
    durable = receiver.wait_durable(sent["sent"], 10)
    used = {**cpu.read(), "sender": sender_seconds}
    counters, commit, drops = (receiver.counters(), receiver.histogram("commit_latency_ns"),
                               receiver.drops())
    receiver.stop()
    offered = sent["sent"] + sent["refused"]
    check = case.seqcheck(["--id", RUN_ID, "--count", str(offered), "--size", str(SIZE),
                           str(receiver.data)])
    account(case, sent, check, drops, durable)
    for name in ("p50", "p99", "max"):
        case.row(f"commit_{name}", commit[name] / 1e6, "ms")
    case.row("log_bytes_per_event", counters["partition.written_bytes"] / max(durable, 1), "bytes")
    case.cpu_rows(used, durable)
    if check["missing"] == 0 and sent["refused"] == 0:
        say("  lossless")


sys.exit(main("line-rate-1g", run))
