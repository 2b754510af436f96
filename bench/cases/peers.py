#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same events on the same veth pair into millraced (AF_PACKET and AF_XDP), into the receiver
one would write by hand, and into rsyslog: what of each offered rate is kept, the highest rate
without loss, and the CPU it takes.

Kept is what lies whole in the file or log after the receiver has ended. The peers need not make
anything durable in time: rsyslog writes without fsync, udp_writer a megabyte at a time.
"""

import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import (UDP_WRITER, BenchError, CpuMeter, Millraced, cpus, ip, main, say,  # noqa: E402
                     seconds, stop)

SIZE = 600
RUN_ID = "0000beef"
ADDRESS = "10.77.0.2"
PORT = Millraced.PORT
RATES = [int(r) for r in os.environ.get("MILLRACE_BENCH_RATES",
                                        "50000 100000 200000 400000 800000").split()]
BISECTIONS = int(os.environ.get("MILLRACE_BENCH_BISECTIONS", "3"))
ON_SCHEDULE = 0.98  # of the rate asked for: below, the sender was the limit

RSYSLOG_CONF = """\
global(workDirectory="{dir}" maxMessageSize="8k")
main_queue(queue.type="FixedArray" queue.size="1000000" queue.dequeueBatchSize="4096"
           queue.timeoutShutdown="20000")
module(load="imudp" batchSize="128")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imudp" address="{address}" port="{port}" rcvbufSize="64m")
action(type="omfile" file="{file}" template="raw" asyncWriting="on" ioBufferSize="1m"
       flushOnTXEnd="off")
"""


class Peer:
    """A receiver between its start and its end. kept(): what seqcheck is to look at."""

    def __init__(self, case, rx):
        self.case, self.rx = case, rx

    def address(self, present):
        """The kernel's peers need the address on the interface; millraced must not have it there,
        or the kernel would answer the sender that nobody listens."""
        ip("-n", self.rx, "address", "flush", "dev", "rx0")
        if present:
            ip("-n", self.rx, "address", "add", f"{ADDRESS}/24", "dev", "rx0")


class ByHand(Peer):
    name = "udp_writer"

    def start(self):
        self.address(True)
        self.file = self.case.dir / "by-hand.log"
        self.process = self.case.start([UDP_WRITER, ADDRESS, str(PORT), str(self.file)],
                                       netns=self.rx)
        time.sleep(0.5)
        return self.process.pid

    def end(self):
        if stop(self.process, 60) != 0:
            raise BenchError(f"{self.name} failed")

    def kept(self):
        return ["--lines", str(self.file)]


class Rsyslog(Peer):
    name = "rsyslog"

    def start(self):
        self.address(True)
        self.file = self.case.dir / "rsyslog.log"
        self.file.unlink(missing_ok=True)
        conf = self.case.dir / "rsyslog.conf"
        conf.write_text(RSYSLOG_CONF.format(dir=self.case.dir, address=ADDRESS, port=PORT,
                                            file=self.file), encoding="utf-8")
        self.process = self.case.start(["rsyslogd", "-n", "-f", str(conf), "-i", "NONE"],
                                       netns=self.rx)
        time.sleep(1)
        if self.process.poll() is not None:
            raise BenchError("rsyslogd does not start")
        return self.process.pid

    def end(self):
        stop(self.process, 60)
        self.file.touch()

    kept = ByHand.kept


class Ours(Peer):
    port = {}

    def start(self):
        self.address(False)
        self.receiver = Millraced(self.case, self.device, cpus()[0], netns=self.rx, port=self.port)
        return self.receiver.pid

    def end(self):
        self.receiver.stop()

    def kept(self):
        return [str(self.receiver.data)]


class AfPacket(Ours):
    name = "millraced_af_packet"
    # 32 MiB of ring, half of what the peers' sockets may hold; the driver's default is 1 MiB.
    device = "net_af_packet0,iface=rx0,framecnt=16384"


class AfXdp(Ours):
    name = "millraced_af_xdp"
    device = "net_af_xdp0,iface=rx0"
    port = {"rx_descriptors": 4096}  # all the buffers that the driver has


def settle(pid):
    """Until the receiver has done with what it was sent: it uses hardly any CPU, or 10 s."""
    for _ in range(20):
        meter = CpuMeter(receiver=pid)
        time.sleep(0.5)
        if meter.read()["receiver"] < 0.1:
            return


def one_run(case, peer, tx, rate, duration):
    """One rate into one fresh receiver: offered, kept, whether the sender kept its schedule."""
    pid = peer.start()
    meter = CpuMeter(receiver=pid)
    sent = case.send([f"{ADDRESS}:{PORT}", "--rate", str(rate), "--size", str(SIZE), "--duration",
                      f"{duration:g}s", "--id", RUN_ID], duration * 10 + 60, netns=tx,
                     cpu=cpus()[1])
    settle(pid)
    cpu = meter.read()
    peer.end()
    offered = sent["sent"] + sent["refused"]
    check = case.seqcheck(["--id", RUN_ID, "--count", str(offered), "--size", str(SIZE),
                           *peer.kept()])
    return {"rate": rate, "offered": offered, "kept": check["found"], "cpu": cpu, "sent": sent,
            "on_schedule": offered / (sent["elapsed_ns"] / 1e9) >= ON_SCHEDULE * rate}


def report_run(case, peer, result):
    at = f"{peer.name}@{result['rate']}"
    case.row(f"{at}_kept", result["kept"], "events", result["offered"])
    if not result["on_schedule"]:
        case.row(f"{at}_sender_reached", result["sent"]["rate_per_second"], "events/s",
                 result["rate"])
    for who in ("receiver", "machine"):
        if result["kept"]:
            case.row(f"{at}_cpu_{who}_per_million",
                     round(result["cpu"][who] * 1e6 / result["kept"], 3), "CPU s/M events")


def loss_free(result):
    return result["on_schedule"] and result["kept"] == result["offered"]


def ladder(case, peer, tx, duration):
    """All fixed rates, then bisection between the highest without loss and the next."""
    low, high = 0, None
    for rate in RATES:
        result = one_run(case, peer, tx, rate, duration)
        report_run(case, peer, result)
        if high is None and loss_free(result):
            low = rate
        elif high is None:
            high = rate
    if low == 0:
        low = 1000
    for _ in range(BISECTIONS if high is not None else 0):
        middle = (low + high) // 2
        result = one_run(case, peer, tx, middle, duration)
        report_run(case, peer, result)
        if loss_free(result):
            low = middle
        else:
            high = middle
    return low


def run(case):
    duration = seconds(5)
    tx, rx, mac = case.namespaces()
    ip("-n", tx, "address", "add", "10.77.0.1/24", "dev", "tx0")
    ip("-n", tx, "neigh", "replace", ADDRESS, "lladdr", mac, "dev", "tx0", "nud", "permanent")
    by_hand = None
    for kind in (ByHand, Rsyslog, AfPacket, AfXdp):
        if kind is Rsyslog and shutil.which("rsyslogd") is None:
            say("  rsyslog is not installed: left out")
            continue
        peer = kind(case, rx)
        best = ladder(case, peer, tx, duration)
        by_hand = by_hand or best
        case.row(f"{peer.name}_loss_free", best, "events/s", by_hand)


sys.exit(main("peers", run))
