#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""Logs on persistent volumes that real Mesos makes of reserved disk."""

import os
import signal
import time

import cluster
import mesos
from rig import expect, expect_equal, wait_until

ROLE = "millrace"
SIZE = "64MiB"
EVENTS = 2000
RESERVED = f";disk({ROLE}):2048;lcores:[0-1];nics:{{rx0}}"
RECEIVER = {"log": {"segment_size": "16MiB", "block_size": "256KiB", "queue_depth": 4}}


class Cluster(cluster.Cluster):
    """Two slaves that have reserved disk, and no attribute that says where logs are."""

    def __init__(self):
        super().__init__(slaves_count=2, mesos_credentials={"millrace": "secret"})
        self.mesos_options["role"] = ROLE

    def agent_of(self, slave):
        agent = super().agent_of(slave)
        del agent.attributes["millrace_log"]
        agent.resources = mesos.RESOURCES + RESERVED
        return agent


def volumes(agent):
    """Where Mesos has those of the role."""
    return sorted((agent.work / "agents/0/work/volumes/roles" / ROLE).glob("*"))


def log_ids(row):
    return [partition["log_id"] for partition in row["live"]["partitions"]]


def durable(row):
    return sum(int(partition["durable_seq"]) for partition in row["live"]["partitions"])


def fill(c, row):
    account = c.account(c.send(c.slave_of(row), EVENTS, "max"))
    expect_equal(account["acknowledged"], EVENTS, "events acknowledged")


def goes_on(c, before, after, events):
    """It is the same log, with all that it had."""
    expect_equal(after["slave"], before["slave"], "slave")
    expect_equal(log_ids(after), log_ids(before), "log_id")
    expect(durable(after) >= events, f"{durable(after)} events of {events}")


def made_at_the_first_launch(c):
    c.apply(count=1, log={"volume": SIZE}, receiver=RECEIVER)
    row = next(iter(c.wait_running(1).values()))
    expect_equal(row["log_path"], f"log/{row['name']}", "log_path")
    found = volumes(c.agents[row["slave"]])
    expect_equal(len(found), 1, "volumes")
    expect((found[0] / row["name"] / "0").is_dir(), f"no partition in {found[0]}")
    fill(c, row)


def outlives_its_task(c):
    """A supervisor that was killed: the next task has the same volume."""
    before = next(iter(c.wait_running(1).values()))
    os.kill(c.pid_of(before["name"], "millrace-supervisor"), signal.SIGKILL)
    after = next(iter(c.wait_running(1, but=[before["task_id"]]).values()))
    goes_on(c, before, after, EVENTS)
    fill(c, after)


def outlives_the_agent(c):
    """... and all its tasks, as when the slave is booted."""
    before = next(iter(c.wait_running(1).values()))
    agent = c.agents[before["slave"]]
    agent.end()
    agent.start()
    after = next(iter(c.wait_running(1, seconds=90, but=[before["task_id"]]).values()))
    goes_on(c, before, after, 2 * EVENTS)
    expect_equal(len(volumes(agent)), 1, "volumes")


def stays_when_its_receiver_goes(c):
    """Given away and retired: the files are the operator's to remove. The next receiver has its own."""
    before = next(iter(c.wait_running(1).values()))
    agent = c.agents[before["slave"]]
    kept = volumes(agent)
    c.cli("replace", before["slave"])
    wait_until(lambda: before["name"] not in c.receivers(), "the receiver was no more", 60)
    expect_equal(volumes(agent), kept, "volumes")
    expect(list(kept[0].glob("*/0/*.arrows")), f"no segments in {kept[0]}")
    after = next(iter(c.wait_running(1).values()))
    expect(log_ids(after) != log_ids(before), "the new receiver has the old log")
    fill(c, after)


def replaced_when_its_volume_is_gone(c):
    """The agent's directory was wiped: what comes back is another agent, without the log."""
    before = next(iter(c.wait_running(1).values()))
    agent = c.agents[before["slave"]]
    c.apply(count=1, log={"volume": SIZE}, receiver=RECEIVER, unreachable_after="5s")
    agent.end()
    agent.forget()
    agent.start()
    c.masters.wait_agents(agent.hostname)
    said = set()

    def replaced():
        row = c.receivers().get(before["name"])
        said.add(row["why"] if row else "")
        return [each for name, each in c.running().items() if name != before["name"]]
    found = wait_until(replaced, "another took its place", 60)[0]
    expect(any("is not in this offer" in why for why in said), f"it said {said}")
    expect(log_ids(found) != log_ids(before), "the new receiver has the old log")
    expect(c.receivers()[before["name"]]["retiring"], "the old one doesn't retire")


TESTS = (made_at_the_first_launch, outlives_its_task, outlives_the_agent,
         stays_when_its_receiver_goes, replaced_when_its_volume_is_gone)


def main():
    with Cluster() as c:
        c.wait_leader()
        c.masters.wait_agents(*c.agents)
        for test in TESTS:
            began = time.monotonic()
            try:
                test(c)
            except Exception:
                print(c.tell(), flush=True)
                raise
            print(f"ok   {test.__name__} {time.monotonic() - began:.1f} s", flush=True)


if __name__ == "__main__":
    os.environ.pop("SSL_CERT_FILE", None)
    main()
