#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Events of 600 bytes, acknowledged when durable, beside plain UDP without loss: by AF_XDP over a
veth pair, and over memif.

Over memif both senders are programs of their own on DPDK. What finds the ring full the plain one
counts as refused and never offers again; the reliable one (bench/reliable_port) keeps it.
"""

import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import BUILD, CpuMeter, Millraced, cpus, ip, main, say, seconds  # noqa: E402

SIZE = 600
RECEIVER = "10.9.0.1"
PLAIN, SURE = Millraced.PORT, Millraced.PORT + 1
LISTENERS = [{"name": "plain", "port": PLAIN}, {"name": "sure", "port": SURE, "kind": "reliable"}]
RUN_ID = "00000600"
GOAL = 0.8  # of the plain rate
STEPS = 6   # of the search for the rate without loss


def plain(case, receiver, tx, sender_cpu, rate, duration):
    """A run of plain UDP at a rate: its account, and whether all of it is in the log."""
    before = receiver.durable()
    account = case.send([f"{RECEIVER}:{PLAIN}", "--rate", str(int(rate)), "--size", str(SIZE),
                         "--duration", f"{duration:g}s"], duration + 60, netns=tx, cpu=sender_cpu)
    time.sleep(0.5)
    return account, account["refused"] == 0 and receiver.durable() - before == account["sent"]


def loss_free(attempt, high):
    """The highest rate of a search by halves at which nothing is lost, or not in a second try; as
    it really was, for a sender by the kernel's sockets has an end of its own."""
    low, best = 0, 1
    for _ in range(STEPS):
        rate = (low + high) / 2
        account, whole = attempt(rate)
        if not whole:
            account, whole = attempt(rate)
        if whole:
            low, best = rate, max(best, account["rate_per_second"])
        else:
            high = rate
    return best


def sure(case, tx, sender_cpu, rate, duration, *words):
    return case.send(["--reliable", f"{RECEIVER}:{SURE}", "--rate", str(rate), "--size", str(SIZE),
                      "--duration", f"{duration:g}s", *words], duration + 60, netns=tx,
                     cpu=sender_cpu)


def account_rows(case, account, acks, rate, prefix=""):
    sent = max(account["sent"], 1)
    case.row(f"{prefix}acknowledged", account["events_per_second"], "events/s", rate * GOAL)
    case.row(f"{prefix}share_of_plain", 100 * account["events_per_second"] / max(rate, 1), "%")
    case.row(f"{prefix}acknowledged_share", account["acknowledged"] / sent, "", 1)
    case.row(f"{prefix}sent_again", account["retransmitted"] / sent, "")
    case.row(f"{prefix}acks_per_event", acks / sent, "")


def latency_rows(case, percent, latency, prefix=""):
    for name in ("p50", "p99"):
        case.row(f"{prefix}ack_{name}_at_{percent}", latency[name] / 1e6, "ms")


def by_af_xdp(case, duration):
    receiver_cpu, sender_cpu = cpus()
    tx, rx, _ = case.namespaces()
    ip("-n", tx, "addr", "add", "10.9.0.2/24", "dev", "tx0")
    receiver = Millraced(case, "af_xdp:rx0", receiver_cpu, netns=rx,
                         port={"addresses": f"[{RECEIVER}/24]"}, listeners=LISTENERS)
    rate = loss_free(lambda rate: plain(case, receiver, tx, sender_cpu, rate, duration), 1_000_000)
    case.row("plain_loss_free", rate, "events/s")
    meter = CpuMeter(millraced=receiver.pid)
    account, _ = plain(case, receiver, tx, sender_cpu, rate, duration)
    case.cpu_rows(meter.read(), account["sent"], "plain_")
    before = receiver.counters()
    meter = CpuMeter(millraced=receiver.pid)
    account = sure(case, tx, sender_cpu, "max", duration)
    cpu = meter.read()
    most = account["events_per_second"]
    account_rows(case, account, receiver.counters()["lcore.acks"] - before["lcore.acks"], rate)
    case.cpu_rows(cpu, account["sent"], "reliable_")
    for percent in (1, 50, 90):
        latency_rows(case, percent, sure(case, tx, sender_cpu, int(most * percent / 100),
                                         duration)["ack_latency_ns"])
    account = sure(case, tx, sender_cpu, "max", duration, "--spool", str(case.dir / "spool"))
    case.row("spool_acknowledged", account["events_per_second"], "events/s", most)
    account = sure(case, tx, sender_cpu, int(most / 100), duration, "--spool",
                   str(case.dir / "spool"))
    latency_rows(case, 1, account["ack_latency_ns"], "spool_")
    receiver.stop()


def memif(case, role):
    return f"net_memif0,role={role},id=0,socket={case.dir}/memif.sock,socket-abstract=no,rsize=14"


def plain_memif(case, receiver, sender_cpu, rate, duration):
    """A run of plain UDP over memif: its account, and whether all that the ring took is in the log."""
    before = receiver.durable()
    account = case.send(["--port", memif(case, "client"), "--to", f"{RECEIVER}:{PLAIN}", "--rate",
                         str(rate), "--size", str(SIZE), "--duration", f"{duration:g}s"],
                        duration + 60, cpu=sender_cpu)
    return account, receiver.wait_durable(before + account["sent"], 20) - before == account["sent"]


def plain_memif_rate(case, receiver, sender_cpu, duration):
    """The better one of two without loss: the highest rate at which the ring has always room, and
    what it takes from a sender that never waits and leaves nothing of its CPU to the disk's work."""
    def attempt(rate):
        account, whole = plain_memif(case, receiver, sender_cpu, int(rate), duration)
        return account, whole and account["refused"] == 0

    steady = loss_free(attempt, 4_000_000)
    case.row("memif_plain_loss_free", steady, "events/s")
    account, whole = plain_memif(case, receiver, sender_cpu, "max", duration)
    pushed = account["rate_per_second"]
    case.row("memif_plain_pushed_back", pushed, "events/s")
    if not whole:
        say("  memif: pushed back, events were lost all the same")
    return max(steady, pushed if whole else 0)


def sure_memif(case, sender_cpu, duration, rate=None):
    return case.run_json([os.fspath(BUILD / "bench/reliable_port"), "--cpu", str(sender_cpu),
                          *(["--rate", str(rate)] if rate else []), "--size", str(SIZE), "--id",
                          RUN_ID, memif(case, "client"), f"{RECEIVER}:{SURE}", f"{duration:g}"],
                         duration + 60, cpu=sender_cpu, codes=(0, 1))


def by_memif(case, duration):
    """A new receiver for each: what the last one left to be written is not the next one's."""
    receiver_cpu, sender_cpu = cpus()
    port = {"addresses": f"[{RECEIVER}/24]"}
    receiver = Millraced(case, memif(case, "server"), receiver_cpu, port=port, listeners=LISTENERS)
    rate = plain_memif_rate(case, receiver, sender_cpu, duration)
    meter = CpuMeter(millraced=receiver.pid)
    account, _ = plain_memif(case, receiver, sender_cpu, int(rate), duration)
    case.cpu_rows(meter.read(), account["sent"], "memif_plain_")
    receiver.stop()
    receiver = Millraced(case, memif(case, "server"), receiver_cpu, port=port, listeners=LISTENERS)
    meter = CpuMeter(millraced=receiver.pid)
    account = sure_memif(case, sender_cpu, duration)
    cpu = meter.read()
    account_rows(case, account, receiver.counters()["lcore.acks"], rate, "memif_")
    case.cpu_rows(cpu, account["sent"], "memif_reliable_")
    receiver.stop()
    check = case.seqcheck(["--id", RUN_ID, "--count", str(account["sent"]), "--size", str(SIZE),
                           str(receiver.data)])
    for name in ("missing", "twice", "damaged"):
        case.row(f"memif_{name}", check[name], "events")
    receiver = Millraced(case, memif(case, "server"), receiver_cpu, port=port, listeners=LISTENERS)
    for percent in (1, 50, 90):
        latency_rows(case, percent, sure_memif(
            case, sender_cpu, duration,
            int(account["events_per_second"] * percent / 100))["ack_latency_ns"], "memif_")
    receiver.stop()


def run(case):
    duration = seconds(4)
    by_af_xdp(case, duration)
    by_memif(case, duration)


sys.exit(main("reliable-600", run))
