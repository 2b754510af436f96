#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Does a receiver feel it when the control dies? The longest time without an acknowledgement at half
of what the receivers take, with the leading control process, the leading master or a ZooKeeper server
killed, beside runs in which nothing is, in turn.
"""

import os
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import clusters  # noqa: E402
from harness import BenchError, main, say, seconds  # noqa: E402
from rig import wait_until  # noqa: E402

PAIRS = 7
LOAD = 0.5
GOAL = 1.2  # times the gap of a run without a fault
SETTLE = 2  # s before the fault: the senders have found their pace
RECEIVERS = 2


def kill_leader(c):
    leader = c.wait_leader()
    leader.daemon.kill()
    return lambda: c.wait_leader(other_than=leader) and leader.start()


def kill_master(c):
    leader = c.masters.wait_leader()
    c.masters.kill(leader)
    return lambda: c.masters.wait_leader(other_than=leader) and c.masters.restart(leader)


def kill_zookeeper(c):
    """The one that leads: the others elect another meanwhile, and its sessions move."""
    leader = c.zookeeper.leader()
    c.zookeeper.kill(leader)
    return lambda: c.zookeeper.restart(leader)


def nothing(_c):
    return lambda: None


FAULTS = {"control_process": kill_leader, "master": kill_master, "zookeeper": kill_zookeeper}


def well(c):
    """As before any fault: who leads has all, and both receivers run."""
    c.zookeeper.wait_ready()
    c.masters.wait_leader()
    c.masters.wait_agents(*c.agents)
    c.wait_leader()
    wait_until(lambda: (c.get("status") or {"mesos": {"state": ""}})["mesos"]["state"] == "subscribed",
               "Mesos was subscribed to", 60)
    c.wait_running(RECEIVERS)


def longest_gap(c, fault, rates, duration):
    """Of all receivers' acknowledgements from the fault on; seconds."""
    well(c)
    time.sleep(1)  # what was started again has done its start's work
    senders = [c.acks(slave, rate, SETTLE + duration + 1)
               for slave, rate in zip(c.slaves, rates)]
    with senders[0] as first, senders[1] as second:
        time.sleep(SETTLE)
        moment = time.monotonic()
        mend = fault(c)
        time.sleep(duration)
        gap = max(acks.longest_gap(moment, moment + duration) for acks in (first, second))
        for acks in (first, second):
            acks.wait()
            if acks.durable[-1] != acks.given[-1]:
                raise BenchError("not all was acknowledged")
    mend()
    return gap


def compare(case, c, name, rates, duration):
    gaps = {"without": [], "with": []}
    for pair in range(PAIRS):
        # What drifts, drifts for both.
        order = ("without", "with") if pair % 2 == 0 else ("with", "without")
        for which in order:
            fault = FAULTS[name] if which == "with" else nothing
            gaps[which].append(longest_gap(c, fault, rates, duration))
        say(f"  {name} {pair + 1}: without {gaps['without'][-1] * 1e3:.1f} ms, "
            f"with {gaps['with'][-1] * 1e3:.1f} ms, load {os.getloadavg()[0]:.2f}")
    without = statistics.median(gaps["without"]) * 1e3
    case.row(f"{name}_gap_without", without, "ms")
    case.row(f"{name}_gap", statistics.median(gaps["with"]) * 1e3, "ms", GOAL * without)
    case.row(f"{name}_gap_max", max(gaps["with"]) * 1e3, "ms",
             GOAL * max(gaps["without"]) * 1e3)


def run(case):
    duration = seconds(10)
    clusters.whole_machine()
    with clusters.Cluster(case, controls=2, servers=3, masters=2, slaves_count=RECEIVERS) as c:
        c.wait_leader()
        c.masters.wait_agents(*c.agents)
        c.apply(count=RECEIVERS, receiver=clusters.RECEIVER)
        c.wait_running(RECEIVERS)
        most = clusters.most(c, max(3, duration / 2))
        rates = [LOAD * rate for rate in most]
        case.row("most", sum(most), "events/s")
        for name in FAULTS:
            compare(case, c, name, rates, duration)


sys.exit(main("controller-failover", run))
