#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""The Mesos scheduler against real masters and agents."""

import json

import mesos
import rig
import zookeeper
from probe import Probe, launch
from rig import expect, expect_equal, wait_until


def started(r, **more):
    """Masters, as mesos.Masters() has them; one that is alone, when nothing more is said."""
    return r.stack.enter_context(mesos.Masters(r.home / "masters", **more))


def agent_of(r, masters):
    return r.stack.enter_context(mesos.Agent(
        r.home / "agent", masters, "agent", resources=";lcores:[2-3];nics:{eth1,eth2}",
        attributes={"rack": "r1"}))


def cluster(r):
    """A master, its agent, and where the master is."""
    masters = started(r)
    return masters, agent_of(r, masters), masters.url()


def offered(probe):
    """The next offer: (its id, the agent's id, all of it)."""
    offer = probe.next("offers", 30)["offers"][0]
    return offer["id"]["value"], offer["agent_id"]["value"], offer


def run_task(probe, task_id):
    """Takes the next offer; the agent's id."""
    offer_id, agent_id, _ = offered(probe)
    probe.do("accept", offer_id, 1, launch(task_id, agent_id))
    while True:
        status = probe.next("update", 30)["status"]
        probe.ack(status)
        if status["state"] == "TASK_RUNNING":
            return agent_id


def reconcile_until(probe, state, task_id):
    """A master that has just begun knows of no tasks before their agents are back."""
    def told():
        probe.do("reconcile")
        return any(heard["status"]["state"] == state and heard["status"]["task_id"]["value"] == task_id
                   and heard["status"].get("reason") == "REASON_RECONCILIATION"
                   for heard in probe.all("update"))
    wait_until(told, f"{task_id} to be {state} by reconciliation", 60)


def test_life_of_a_task(r):
    masters, _, address = cluster(r)
    probe = Probe(r, address, backoff_max_ms=1000).start()
    framework_id = probe.next("subscribed")["framework_id"]
    offer_id, agent_id, offer = offered(probe)
    expect_equal({"cpus", "mem", "disk", "ports", "lcores", "nics"},
                 {resource["name"] for resource in offer["resources"]}, "resources")
    expect_equal((offer["hostname"], offer["attributes"][0]["text"]["value"]), ("agent", "r1"), "the slave")
    probe.do("decline", offer_id, 0.5)
    agent_id = run_task(probe, "t1")
    # An update that wasn't acknowledged would come again, and hold the next one back.
    expect_equal({name: task["state"] for name, task in masters.tasks().items()},
                 {"t1": "TASK_RUNNING"}, "tasks")
    framework = masters.frameworks()[framework_id]["framework_info"]
    expect(framework["checkpoint"] and framework["failover_timeout"] == 60, "what the master knows")
    expect_equal({each["type"] for each in framework["capabilities"]},
                 {"PARTITION_AWARE", "MULTI_ROLE"}, "capabilities")
    probe.do("kill", "t1", agent_id, 1)
    probe.ack(probe.next_update("TASK_KILLED", "t1", 20))
    probe.do("reconcile", json.dumps([{"task_id": {"value": "never"}, "agent_id": {"value": agent_id}}]))
    probe.next_update("TASK_GONE", "never", 20)
    probe.do("suppress")
    probe.do("revive")
    offered(probe)
    counters = probe.counters()
    expect_equal([counters[k] for k in ("calls_refused", "calls_failed", "records_malformed")],
                 [0, 0, 0], "counters")
    probe.do("accept", "no-such-offer", 1, launch("t2", agent_id))
    expect(probe.next("update", 20)["status"]["state"] in ("TASK_DROPPED", "TASK_LOST"), "t2 is told of")
    probe.quit()


def test_task_outlives_its_framework(r):
    _, agent, address = cluster(r)
    probe = Probe(r, address, label="first").start()
    framework_id = probe.next("subscribed")["framework_id"]
    agent_id = run_task(probe, "t1")
    probe.process.kill()
    second = Probe(r, address, label="second").start(framework_id)
    expect_equal(second.next("subscribed")["framework_id"], framework_id, "the id")
    reconcile_until(second, "TASK_RUNNING", "t1")
    # A third takes it from the second, which lets it go.
    third = Probe(r, address, label="third").start(framework_id)
    third.next("subscribed")
    heard = second.next("ended")
    expect_equal(heard["end"], "FAILED_OVER", heard["why"])
    second.quit()
    reconcile_until(third, "TASK_RUNNING", "t1")
    third.expect_not_heard("disconnected", "the third one stays")
    agent.kill()
    expect_equal(third.next("agent_lost", 30)["agent_id"], agent_id, "the agent")
    third.ack(third.next_update("TASK_UNREACHABLE", "t1", 30))
    third.quit()


def test_removed_framework(r):
    masters, _, address = cluster(r)
    probe = Probe(r, address).start()
    framework_id = probe.next("subscribed")["framework_id"]
    run_task(probe, "t1")
    masters.teardown(framework_id)
    heard = probe.next("ended", 20)
    expect_equal(heard["end"], "REMOVED", heard["why"])
    probe.start()
    expect(probe.next("subscribed", 20)["framework_id"] != framework_id, "it is another one")
    probe.quit()


def test_master_dies_and_comes_back(r):
    masters, _, address = cluster(r)
    probe = Probe(r, address, backoff_max_ms=1000).start()
    framework_id = probe.next("subscribed")["framework_id"]
    run_task(probe, "t1")
    masters.kill()
    probe.next("disconnected")
    masters.restart()
    heard = probe.next("subscribed", 60)
    expect_equal(heard["framework_id"], framework_id, "the id")
    reconcile_until(probe, "TASK_RUNNING", "t1")
    probe.quit()


def long_frozen_master(r):
    """Its connection stands, and nothing comes. A real one's heartbeats are 15 s apart: with --all; the
    double is silent for less in scheduler_test."""
    masters, _, address = cluster(r)
    probe = Probe(r, address, misses=1, answer_ms=1000, backoff_max_ms=1000).start()
    framework_id = probe.next("subscribed")["framework_id"]
    masters.pause(1)
    expect("no heartbeat" in probe.next("disconnected", 40)["why"], "why")
    probe.wait_log("did not answer")
    masters.resume(1)
    expect_equal(probe.next("subscribed", 30)["framework_id"], framework_id, "the id")
    expect_equal(probe.all("ended"), [], "ends")
    probe.quit()


def test_credentials(r):
    (r.home / "acls").write_text(json.dumps({"register_frameworks": [
        {"principals": {"values": ["millrace"]}, "roles": {"values": ["events"]}},
        {"principals": {"type": "ANY"}, "roles": {"type": "NONE"}}]}))
    masters = started(r, credentials={"millrace": "se-cret"}, flags={"acls": r.home / "acls"})
    address = masters.url()
    agent_of(r, masters)
    for label, more in (("none", {}), ("wrong", {"principal": "millrace", "secret": "x"}),
                        ("role", {"principal": "millrace", "secret": "se-cret", "role": "other"})):
        probe = Probe(r, address, label=label, **more).start()
        heard = probe.next("ended")
        expect_equal(heard["end"], "REFUSED", heard["why"])
        probe.quit()
    probe = Probe(r, address, principal="millrace", secret="se-cret", role="events").start()
    probe.next("subscribed")
    run_task(probe, "t1")
    probe.quit()


def test_two_masters(r):
    """The standby redirects; when the leader is killed the other one takes over, 503 at first."""
    ensemble = r.stack.enter_context(zookeeper.Ensemble(r.home / "zookeeper", servers=1))
    masters = started(r, zookeeper=ensemble, count=2)
    agent_of(r, masters)
    leader = masters.wait_leader()
    first, second = masters.hosts()
    leading, standby = (first, second) if leader == 1 else (second, first)
    # Only the standby is known: it redirects.
    probe = Probe(r, standby, backoff_max_ms=1000).start()
    heard = probe.next("subscribed", 30)
    expect_equal(heard["master"], leading, "the master")
    run_task(probe, "t1")
    probe.do("masters", f"{leading},{standby}")
    masters.kill(leader)
    probe.next("disconnected")
    again = probe.next("subscribed", 60)
    expect_equal((again["master"], again["framework_id"]), (standby, heard["framework_id"]),
                 "the other master")
    reconcile_until(probe, "TASK_RUNNING", "t1")
    print(f"     what it went through: {probe.log().count('will try again')} complaints")
    probe.quit()


if __name__ == "__main__":
    rig.run(*[test for name, test in list(globals().items())
              if name.startswith("test_") or name.startswith("long_") and rig.RUN_ALL])
