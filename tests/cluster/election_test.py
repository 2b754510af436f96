#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""millrace-control's election by a real ensemble of three: who leads when leaders die, are stopped or cut
off; that a leader which is none any more changes nothing; that receivers go on whatever happens."""

import json
import os
import signal
import time

import cluster
import rig
import zookeeper
from cluster import SESSION
from rig import RUN_ALL, expect, expect_equal, wait_until

OUTAGE = 600 if RUN_ALL else 12  # seconds without an ensemble: several sessions


def tasks_of(c):
    return {row["task_id"] for row in c.running().values()}


def state(c):
    """What the leaders have stored, but for how it is watched over."""
    with c.zookeeper.client() as client:
        return {path: client.data(path) for path in
                (f"{c.root}/desired", f"{c.root}/framework", f"{c.root}/history")}


def history(c):
    return json.loads(state(c)[f"{c.root}/history"])["events"]


def leaders(c):
    return [control.name for control in c.controls.values() if control.leads()]


def one_leads_and_the_next_goes_on(c):
    """Killed in turn; each next one takes over the framework and its tasks, and nothing is launched
    again."""
    c.apply(count=2)
    c.wait_running(2)
    before, framework = tasks_of(c), c.get("status")["mesos"]["framework_id"]
    for _ in range(3):
        expect_equal(len(leaders(c)), 1, "leaders")
        killed = c.wait_leader()
        killed.daemon.kill()
        c.wait_leader(other_than=killed, seconds=4 * SESSION)
        killed.start()
        wait_until(lambda: c.get("status")["mesos"]["state"] == "subscribed", "Mesos was subscribed to")
        c.wait_running(2)
        expect_equal(tasks_of(c), before, "tasks after a leader was killed")
        expect_equal(c.get("status")["mesos"]["framework_id"], framework, "framework")
    followers = [control for control in c.controls.values() if not control.leads()]
    for follower in followers:
        wait_until(lambda f=follower: f.get("leader") and
                   f.get("leader")["leader"] == c.leader().name, "a follower knew the leader")
        status, _ = follower.request("GET", "/api/v1/cluster/receivers")
        expect_equal(status, 503, "a follower's answer, where the leader serves a Unix socket only")


def a_leader_ends_in_good_order(c):
    """SIGTERM: its session ends with it, and the next one need not wait for a timeout. Nor does it stop
    at a receiver that never had a slave: a third finds none."""
    before, ended = tasks_of(c), c.wait_leader()
    ended.post("scale", {"count": 3})
    wait_until(lambda: c.receivers(state="waiting"), "a third one waited")
    began = time.monotonic()
    ended.daemon.process.send_signal(signal.SIGTERM)
    expect_equal(ended.daemon.process.wait(20), 0, "exit code")
    c.wait_leader(other_than=ended)
    expect(time.monotonic() - began < SESSION * rig.PATIENCE, "the next one waited for the session's end")
    c.wait_running(2)
    expect_equal(tasks_of(c), before, "tasks")
    expect_equal(len(c.receivers(state="waiting")), 1, "receivers that wait")
    c.post("scale", {"count": 2})
    ended.start()


def a_stopped_leader_does_no_harm(c):
    """SIGSTOP beyond its session; meanwhile another leads and changes things; then it goes on."""
    stopped = c.wait_leader()
    stopped.daemon.pause()
    other = c.wait_leader(other_than=stopped, seconds=4 * SESSION)
    other.post("scale", {"count": 1})
    c.wait_running(1)
    before = state(c)
    stopped.daemon.resume()
    wait_until(lambda: "leads no more" in stopped.said(200), "the stopped one gave up", 4 * SESSION)
    expect_equal(leaders(c), [other.name], "leaders")
    expect_equal(state(c), before, "what is stored")
    ids = [event["id"] for event in history(c)]
    expect_equal(ids, list(range(ids[0], ids[0] + len(ids))), "ids of decisions")
    expect("Framework failed over" not in other.said(200), "the two fought for the stream")
    expect_equal(other.get("status")["mesos"]["state"], "subscribed", "Mesos")
    other.post("scale", {"count": 2})
    c.wait_running(2)


def commands_survive_the_loss_of_servers(c):
    """One of three servers killed after the other: the session moves, the leadership with it."""
    leader = c.wait_leader()
    for n in (1, 2, 3):
        c.zookeeper.kill(n)
        wait_until(lambda: leader.leads() or c.leader(), "somebody led", 6 * SESSION)
        c.post("restart", {"receiver": "nobody"}, status=404)
        c.post("scale", {"count": 2})
        c.zookeeper.restart(n)
        c.zookeeper.wait_ready()
    c.wait_running(2)


def without_an_ensemble_all_but_placement_goes_on(c):
    """Long after every session is over: events are received and acknowledged as before, and everything
    resumes. Mesos' masters end without their ensemble; who starts them again is not ours."""
    before, leader = c.running(), c.wait_leader()
    pids = {name: c.pid_of(name, "millraced") for name in before}
    senders = [c.send(slave, OUTAGE * 500, "500") for slave in c.slaves]
    c.zookeeper.kill()
    wait_until(lambda: not leaders(c), "the leader gave up", 2 * SESSION)
    for sender in senders:
        account = c.account(sender, OUTAGE + 60)
        expect_equal(account["acknowledged"], OUTAGE * 500, "events acknowledged meanwhile")
    expect_equal(leader.request("GET", "/healthz")[0], 503, "health without ZooKeeper")
    for name, pid in pids.items():
        expect(os.path.exists(f"/proc/{pid}"), f"{name} ended")
    c.zookeeper.start()
    c.masters.start()
    c.wait_leader(seconds=6 * SESSION + 30)
    found = c.wait_running(2)
    expect_equal({name: row["task_id"] for name, row in found.items()},
                 {name: row["task_id"] for name, row in before.items()}, "tasks when it was back")
    expect_equal({name: c.pid_of(name, "millraced") for name in found}, pids, "processes")


def strangers_read_and_write_nothing(c):
    """Digest: nodes are the cluster's own."""
    with c.zookeeper.client(auth=None) as stranger:
        for path in ("desired", "framework", "history", "receivers", "election"):
            try:
                stranger.children(f"{c.root}/{path}")
                stranger.get(f"{c.root}/{path}")
            except zookeeper.Error as refused:
                expect("NoAuth" in type(refused).__name__ or refused.code == -102, f"{path}: {refused}")
            else:
                raise AssertionError(f"a stranger read {path}")
    wrong = cluster.Control(c, 9, zookeeper={
        "servers": c.zookeeper.connect_string(), "session_timeout": f"{SESSION}s",
        "auth": c.secret("wrong.auth", "millrace:wrong")})
    try:
        wrong.start()
        wait_until(lambda: "ermission" in wrong.said(100), "the stranger was refused")
        expect(not wrong.leads(), "a stranger leads")
        expect_equal(len(leaders(c)), 1, "leaders")
    finally:
        wrong.daemon.kill()


def main():
    with cluster.Cluster(controls=3, servers=3, slaves_count=2, zookeeper_auth="millrace:right") as c:
        cluster.run(c, one_leads_and_the_next_goes_on, a_leader_ends_in_good_order,
                    a_stopped_leader_does_no_harm, commands_survive_the_loss_of_servers,
                    strangers_read_and_write_nothing, without_an_ensemble_all_but_placement_goes_on)


if __name__ == "__main__":
    main()
