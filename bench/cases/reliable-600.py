#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Events of 600 bytes by AF_XDP over a veth pair: acknowledged when durable, beside plain UDP without loss."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import CpuMeter, Millraced, cpus, ip, main, seconds  # noqa: E402

SIZE = 600
RECEIVER = "10.9.0.1"
PLAIN, SURE = Millraced.PORT, Millraced.PORT + 1
GOAL = 0.8  # of the plain rate
STEPS = 6   # of the search for the rate without loss


def plain(case, receiver, tx, sender_cpu, rate, duration):
    """A run of plain UDP at a rate: its account, and whether all of it is in the log."""
    before = receiver.durable()
    account = case.send([f"{RECEIVER}:{PLAIN}", "--rate", str(int(rate)), "--size", str(SIZE),
                         "--duration", f"{duration:g}s"], duration + 60, netns=tx, cpu=sender_cpu)
    time.sleep(0.5)
    return account, account["refused"] == 0 and receiver.durable() - before == account["sent"]


def loss_free(case, receiver, tx, sender_cpu, duration):
    """The highest rate of a search by halves at which nothing is lost, or not in a second try; as
    it really was, for a sender by the kernel's sockets has an end of its own."""
    low, high, best = 0, 1_000_000, 0
    for _ in range(STEPS):
        rate = (low + high) / 2
        account, whole = plain(case, receiver, tx, sender_cpu, rate, duration)
        if not whole:
            account, whole = plain(case, receiver, tx, sender_cpu, rate, duration)
        if whole:
            low, best = rate, max(best, account["rate_per_second"])
        else:
            high = rate
    return best


def sure(case, tx, sender_cpu, rate, duration):
    return case.send(["--reliable", f"{RECEIVER}:{SURE}", "--rate", str(rate), "--size", str(SIZE),
                      "--duration", f"{duration:g}s"], duration + 60, netns=tx, cpu=sender_cpu)


def run(case):
    duration = seconds(4)
    receiver_cpu, sender_cpu = cpus()
    tx, rx, _ = case.namespaces()
    ip("-n", tx, "addr", "add", "10.9.0.2/24", "dev", "tx0")
    receiver = Millraced(case, "af_xdp:rx0", receiver_cpu, netns=rx,
                         port={"addresses": f"[{RECEIVER}/24]"},
                         listeners=[{"name": "plain", "port": PLAIN},
                                    {"name": "sure", "port": SURE, "kind": "reliable"}])
    rate = loss_free(case, receiver, tx, sender_cpu, duration)
    case.row("plain_loss_free", rate, "events/s")
    meter = CpuMeter(millraced=receiver.pid)
    account, _ = plain(case, receiver, tx, sender_cpu, rate, duration)
    case.cpu_rows(meter.read(), account["sent"], "plain_")
    before = receiver.counters()
    meter = CpuMeter(millraced=receiver.pid)
    account = sure(case, tx, sender_cpu, "max", duration)
    cpu = meter.read()
    acks = receiver.counters()["lcore.acks"] - before["lcore.acks"]
    most = account["events_per_second"]
    case.row("acknowledged", most, "events/s", rate * GOAL)
    case.row("acknowledged_share", account["acknowledged"] / max(account["sent"], 1), "", 1)
    case.row("sent_again", account["retransmitted"] / max(account["sent"], 1), "")
    case.row("acks_per_event", acks / max(account["sent"], 1), "")
    case.cpu_rows(cpu, account["sent"], "reliable_")
    for percent in (1, 50, 90):
        latency = sure(case, tx, sender_cpu, int(most * percent / 100), duration)["ack_latency_ns"]
        for name in ("p50", "p99"):
            case.row(f"ack_{name}_at_{percent}", latency[name] / 1e6, "ms")
    receiver.stop()


sys.exit(main("reliable-600", run))
