#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A receiver with a log of 10 GiB, killed: how long until an event that was given no sooner is
acknowledged. millraced is killed, which its supervisor restarts, three times in a row, as often as
it would within a minute; then the supervisor, which Mesos ends the task for and the control process
launches anew, with a fresh count.
"""

import math
import os
import pathlib
import random
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import clusters  # noqa: E402
from capacity import MBUFS, POOL, make_capture, pcap_port  # noqa: E402
from harness import BenchError, Millraced, cpus, main, say, seconds  # noqa: E402
from rig import wait_until  # noqa: E402

KILLS = 20
IN_A_ROW = 3  # control/supervisor/restarts.h
LOG_BYTES = 10 << 30
FILL_RATE = 1_000_000  # events/s
RATE = 20_000
SEGMENT = "1GiB"  # the default
GOAL = 2.0  # s, of 95 %
HEALTHY = 5  # s after which an end is none in a row: the control process puts off no launch
PAUSE = (2.0, 6.0)  # s between the acknowledgement and the next kill, by chance


def fill(case, log_bytes, home):
    """A log of that size as it would be after days, stopped well; in the directory 'home'."""
    receiver = Millraced(case, pcap_port(make_capture(case, clusters.SIZE)), cpus()[0],
                         log={"segment_size": SEGMENT, "queue_depth": 16},
                         memory={"mbufs": MBUFS, "hugepages": False}, program=POOL,
                         env={"MILLRACE_BENCH_RATE": str(FILL_RATE)})
    wait_until(lambda: receiver.counters()["partition.written_bytes"] >= log_bytes,
               "the log was filled", 600)
    receiver.stop()
    home.parent.mkdir(parents=True, exist_ok=True)
    receiver.data.rename(home)
    held = sum(path.stat().st_blocks * 512 for path in home.rglob("*.arrows"))
    say(f"  {len(list(home.rglob('*.arrows')))} segments, {held / 2**30:.1f} GiB on the disk")
    return held


def gone(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"


def kill(c, acks, program):
    """Seconds from the kill to the first acknowledgement of an event that was given when the
    receiver had ended; what it had acknowledged on its way doesn't count."""
    victim, receiver = c.pid_of("r1", program), c.pid_of("r1", "millraced")
    moment = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: gone(receiver), "the receiver ended")
    ended = time.monotonic()
    took = wait_until(lambda: acks.first_given_after(ended), "it acknowledged again", 60)
    took += ended - moment
    say(f"  {program} killed: {took:.3f} s, {ended - moment:.3f} s of it until the receiver had ended")
    return took


def at(times, share):
    """The smallest that so large a share of them doesn't exceed."""
    return sorted(times)[math.ceil(share * len(times)) - 1]


def rows(case, name, times, goal):
    case.row(f"{name}_p50", at(times, 0.5), "s")
    case.row(f"{name}_p95", at(times, 0.95), "s", goal)
    case.row(f"{name}_max", max(times), "s")


def series(case, c, acks, chance):
    """The times of millraced's kills and of its supervisor's."""
    own, supervisor = [], []
    while len(own) < KILLS:
        for _ in range(min(IN_A_ROW, KILLS - len(own))):
            time.sleep(chance.uniform(*PAUSE))
            own.append(kill(c, acks, "millraced"))
        time.sleep(HEALTHY + 1)
        c.wait_running(1)
        supervisor.append(kill(c, acks, "millrace-supervisor"))
    say(f"  load {os.getloadavg()[0]:.2f}")
    return own, supervisor


def run(case):
    log_bytes = LOG_BYTES if seconds(0) == 0 else int(seconds(0) * (1 << 30))
    clusters.whole_machine()
    with clusters.Cluster(case, slaves_count=1) as c:
        held = fill(case, log_bytes, c.home / "slave1/log/r1")
        if held < 0.9 * log_bytes:
            raise BenchError(f"the log has {held} bytes only")
        case.row("log", held / 2**30, "GiB")
        c.apply(count=1, healthy_after=f"{HEALTHY}s",
                receiver={**clusters.RECEIVER, "log": {"segment_size": SEGMENT}})
        c.wait_running(1)
        with c.acks(c.slaves[1], RATE, 3600) as acks:
            wait_until(lambda: acks.read().durable and acks.durable[-1], "the first was acknowledged")
            own, supervisor = series(case, c, acks, random.Random(1))
            acks.process.send_signal(signal.SIGTERM)
            acks.wait()
            case.row("acknowledged", acks.durable[-1], "events", acks.given[-1])
    rows(case, "restarted_by_supervisor", own, GOAL)
    rows(case, "relaunched_by_mesos", supervisor, None)


sys.exit(main("relaunch", run))
