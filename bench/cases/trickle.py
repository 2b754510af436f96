#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A hundred events a second, and none: what is written for an event, and what an idle lcore uses."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import Window  # noqa: E402
from harness import MILLRACE, Millraced, cpus, ip, main, seconds  # noqa: E402

RATE = 100
SIZE = 600
GOAL_PERCENT = 2.0


def idle(case, name, receiver, duration):
    time.sleep(2)
    window = Window(receiver, duration)
    case.row(f"{name}_idle_cpu", 100 * window.cpu["millraced"] / window.elapsed, "% of a CPU",
             GOAL_PERCENT)
    case.row(f"{name}_idle_wakes", window.delta["lcore.sleeps"] / window.elapsed, "1/s")


def trickle(case, name, receiver, sender, duration, **where):
    process = case.start(sender, **where)
    time.sleep(1)
    window = Window(receiver, duration)
    process.wait()
    payload = max(window.delta["partition.payload_bytes"], 1)
    case.row(f"{name}_cpu", 100 * window.cpu["millraced"] / window.elapsed, "% of a CPU",
             GOAL_PERCENT)
    case.row(f"{name}_durable_per_second", window.per_second, "events/s", RATE)
    case.row(f"{name}_wakes", window.delta["lcore.sleeps"] / window.elapsed, "1/s")
    case.row(f"{name}_log_bytes_per_event",
             window.delta["partition.written_bytes"] / max(window.events, 1), "bytes")
    case.row(f"{name}_write_amplification", window.delta["partition.written_bytes"] / payload, "")


def sender(duration, *more):
    return [MILLRACE, "send", *more, "--rate", str(RATE), "--size", str(SIZE), "--duration",
            f"{duration + 2:g}s"]


def by_socket(case, duration, receiver_cpu, sender_cpu):
    tx, rx, _ = case.namespaces()
    ip("-n", tx, "addr", "add", "10.9.0.2/24", "dev", "tx0")
    receiver = Millraced(case, "net_af_packet0,iface=rx0,framecnt=16384", receiver_cpu, netns=rx,
                         port={"addresses": "[10.9.0.1/24]"})
    idle(case, "af_packet", receiver, duration)
    trickle(case, "af_packet", receiver, sender(duration, f"10.9.0.1:{Millraced.PORT}"), duration,
            netns=tx, cpu=sender_cpu)
    receiver.stop()


def by_memif(case, duration, receiver_cpu, sender_cpu):
    def device(role):
        return f"net_memif0,role={role},id=0,socket={case.dir}/memif.sock,socket-abstract=no"

    receiver = Millraced(case, device("server"), receiver_cpu)
    idle(case, "memif", receiver, duration)
    trickle(case, "memif", receiver,
            sender(duration, "--port", device("client"), "--to", f"10.9.0.1:{Millraced.PORT}"),
            duration, cpu=sender_cpu)
    receiver.stop()


def run(case):
    duration = seconds(10)
    by_socket(case, duration, *cpus())
    by_memif(case, duration, *cpus())


sys.exit(main("trickle", run))
