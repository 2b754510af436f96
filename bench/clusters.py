# SPDX-License-Identifier: BSD-3-Clause
"""A whole cluster for the cases, as the tests have it, and senders that write down when each
acknowledgement came."""

import bisect
import contextlib
import os
import pathlib
import subprocess
import sys

from harness import BUILD, USABLE, BenchError, stop

LIBRARY = pathlib.Path(__file__).resolve().parent.parent / "tests/lib"
os.environ["MILLRACE_BUILD"] = str(BUILD)
sys.path.insert(0, str(LIBRARY))  # before the cases, of which some have the names of its modules
import cluster  # noqa: E402
import master_double  # noqa: E402,F401
import mesos  # noqa: E402
import rig  # noqa: E402
import slaves  # noqa: E402
import zookeeper  # noqa: E402

ACKS = BUILD / "bench/acks"
SIZE = 600
NS = 1e9
# A receiver as it is in use, but for hugepages, which this machine may not have.
RECEIVER = {**cluster.RECEIVER, "log": {"queue_depth": 16}}


def whole_machine():
    """What is started from here on may use all CPUs, as on machines of its own; main() has
    confined us to one."""
    os.sched_setaffinity(0, USABLE)


class Cluster(cluster.Cluster):
    """Each slave's receivers have a CPU of their own."""

    def __init__(self, case, **counts):
        super().__init__(directory=case.dir, **counts)
        self.case = case

    def agent_of(self, slave):
        agent = super().agent_of(slave)
        cpu = USABLE[(slave.number - 1) % len(USABLE)]
        agent.resources = f"{mesos.RESOURCES};lcores:[{cpu}-{cpu}];nics:{{rx0}}"
        return agent

    @contextlib.contextmanager
    def acks(self, slave, rate, duration):
        """A sender to the slave's receiver, and what it writes, for as long as the context lasts."""
        path = self.home / f"acks-{slave.name}.txt"
        with open(path, "wb") as out:
            process = subprocess.Popen(
                self.slaves.command(self.slaves.tx, ACKS, "--rate", int(rate), "--size", SIZE,
                                    f"{slave.receiver}:{cluster.PORT}", f"{duration:g}"),
                stdin=subprocess.DEVNULL, stdout=out, start_new_session=True)
        try:
            yield Acks(path, process)
        finally:
            stop(process, 5)


class Acks:
    """Acknowledgements by their times: seconds of the monotonic clock."""

    def __init__(self, path, process):
        self.path, self.process = path, process
        self.at = 0
        self.times, self.durable, self.given = [], [], []

    def read(self):
        """What has come since the last call."""
        with open(self.path, "rb") as f:
            f.seek(self.at)
            data = f.read()
        whole = data.rfind(b"\n") + 1
        self.at += whole
        for line in data[:whole].splitlines():
            time, durable, given = map(int, line.split())
            self.times.append(time / NS)
            self.durable.append(durable)
            self.given.append(given)
        return self

    def first_given_after(self, moment):
        """How long after the moment an event was durable that was given no sooner; None: not yet."""
        self.read()
        seen = bisect.bisect_left(self.times, moment)
        if seen == len(self.times):
            return None
        wanted = self.given[seen]
        at = bisect.bisect_right(self.durable, wanted)
        return self.times[at] - moment if at < len(self.times) else None

    def longest_gap(self, begin, end):
        """Between two advances of what is durable, the later one after 'begin' and the earlier one
        before 'end'."""
        self.read()
        advances = [time for i, time in enumerate(self.times)
                    if i == 0 or self.durable[i] != self.durable[i - 1]]
        gaps = [later - before for before, later in zip(advances, advances[1:])
                if later > begin and before < end]
        if not gaps:
            raise BenchError("nothing was acknowledged")
        return max(gaps)

    def wait(self, seconds=90):
        """Until it has ended and all is durable."""
        if self.process.wait(seconds) != 0:
            raise BenchError(f"the sender ended with {self.process.returncode}")
        return self.read()


def most(c, seconds):
    """Events/s that each receiver acknowledges when all have as many as they take."""
    senders = [subprocess.Popen(
        c.slaves.command(c.slaves.tx, rig.MILLRACE, "--json", "send", "--reliable",
                         f"{slave.receiver}:{cluster.PORT}", "--rate", "max", "--duration",
                         f"{seconds:g}s", "--size", SIZE),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for slave in c.slaves]
    return [c.account(sender)["events_per_second"] for sender in senders]
