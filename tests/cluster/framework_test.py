#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 420
"""millrace-control as a framework of real Mesos: masters and agents that die, tasks that end, slaves that
are unreachable, come back or are gone for good, a framework that was removed."""

import json
import os
import pathlib
import signal
import time

import checker
import cluster
import jsonschema
import rig
import sinks
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from cluster import SESSION
from rig import MILLRACE, TREE, expect, expect_equal, wait_until

QUICK = {"agent_ping_timeout": "1secs", "max_agent_ping_timeouts": "2",  # an agent is lost after 2 s
         "zk_session_timeout": "6secs"}  # a master outlives a pause of ZooKeeper of half that


def tasks_of(c):
    return {name: row["task_id"] for name, row in c.running().items()}


def log_ids(row):
    return [partition["log_id"] for partition in row["live"]["partitions"]]


def fill(c):
    """Events for each: an empty log has nothing that it could be known by."""
    for row in c.running().values():
        account = c.account(c.send(c.slave_of(row), 2000, "max"))
        expect_equal(account["acknowledged"], 2000, f"events acknowledged by {row['name']}")


def by_name(c, name):
    return c.receivers().get(name)


def slave_of(c, name):
    return c.agents[by_name(c, name)["slave"]]


def pinned_to(pid):
    """The CPUs of each thread, as /proc has them."""
    return [line.split()[1] for path in pathlib.Path(f"/proc/{pid}/task").glob("*/status")
            for line in path.read_text().splitlines() if line.startswith("Cpus_allowed_list:")]


def placed_by_the_file(c):
    """As `millrace cluster apply` says; a dry run says the same and changes nothing."""
    shown = c.cli("apply", "--dry-run", c.spec(count=2))
    expect_equal({row["key"]: row["to"] for row in json.loads(shown.stdout)["data"]["changes"]}["count"],
                 2, "what the dry run shows")
    expect_equal(c.get("spec")["spec"], None, "what is stored after a dry run")
    c.apply(count=2)
    found = c.wait_running(2)
    expect_equal(len({row["slave"] for row in found.values()}), 2, "slaves of two receivers")
    for row in found.values():
        expect(row["log_path"].startswith(str(c.home / row["slave"] / "log")), row["log_path"])
        expect_equal(row["nics"], ["rx0"], "NICs")
        expect_equal(row["lcores"], "0", "lcores")
        expect("0" in pinned_to(c.pid_of(row["name"], "millraced")), "no thread is pinned to its lcore")
    fill(c)
    info = next(iter(c.masters.frameworks().values()))["framework_info"]
    expect_equal(info["failover_timeout"], 3600.0, "failover_timeout")
    expect(info["checkpoint"], "tasks outlive their agent")
    expect("PARTITION_AWARE" in {each["type"] for each in info["capabilities"]}, info["capabilities"])


def ended_tasks_come_back_to_their_log(c):
    """A supervisor killed: Mesos says so, and the receiver is launched where its log is."""
    for _ in range(2):
        before = by_name(c, "r1")
        durable = before["live"]["partitions"][0]["durable_seq"]
        os.kill(c.pid_of("r1", "millrace-supervisor"), signal.SIGKILL)
        c.wait_running(2, but=[before["task_id"]])
        after = by_name(c, "r1")
        expect_equal(after["slave"], before["slave"], "slave")
        expect_equal(log_ids(after), log_ids(before), "log_id")
        expect(int(after["live"]["partitions"][0]["durable_seq"]) >= int(durable), "events were lost")
    wait_until(lambda: c.events("damp"), "the second end was damped")


def an_executor_that_dies_takes_its_receiver_along(c):
    """Mesos knows no task any more, and launches another: the old one must leave the log to it."""
    before = by_name(c, "r2")
    supervisor = c.pid_of("r2", "millrace-supervisor")
    executor = int(pathlib.Path(f"/proc/{supervisor}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(executor, signal.SIGKILL)
    wait_until(lambda: not pathlib.Path(f"/proc/{supervisor}").exists(), "the supervisor noticed", 20)
    c.wait_running(2, but=[before["task_id"]])
    expect_equal(log_ids(by_name(c, "r2")), log_ids(before), "log_id")


def nothing_is_launched_that_is_not_stored(c):
    """ZooKeeper hangs when a task ends: no other one begins before it is stored that it shall."""
    before = by_name(c, "r1")
    c.zookeeper.pause(1)
    os.kill(c.pid_of("r1", "millrace-supervisor"), signal.SIGKILL)
    wait_until(lambda: c.masters.task_state(before["task_id"]) == "TASK_FAILED", "Mesos said that it ended")
    end = time.monotonic() + SESSION
    while time.monotonic() < end:
        begun = [task for task in c.masters.tasks() if task.startswith("r1.") and task != before["task_id"]]
        expect_equal(begun, [], "tasks of which nothing is stored")
        time.sleep(0.1)
    c.zookeeper.resume(1)
    c.wait_running(2, but=[before["task_id"]])
    expect_equal(by_name(c, "r1")["slave"], before["slave"], "slave")


def masters_change(c):
    """The leading one killed twice: the framework stays the same, nothing is launched."""
    before, framework = tasks_of(c), c.get("status")["mesos"]["framework_id"]
    for _ in range(2):
        leader = c.masters.leader()
        c.masters.kill(leader)
        wait_until(lambda: c.get("status")["mesos"]["state"] == "connecting", "the stream was lost")
        c.masters.wait_leader(other_than=leader)
        wait_until(lambda: c.get("status")["mesos"]["state"] == "subscribed", "it was subscribed again", 30)
        c.masters.restart(leader)
    c.masters.wait_agents(*c.agents)
    expect_equal(c.get("status")["mesos"]["framework_id"], framework, "framework")
    c.wait_running(2)
    expect_equal(tasks_of(c), before, "tasks")


def an_agent_is_started_again(c):
    """Tasks are checkpointed: the receiver doesn't notice."""
    before = tasks_of(c)
    agent = slave_of(c, "r1")
    agent.restart()
    c.masters.wait_agents(*c.agents)
    c.wait_running(2)
    expect_equal(tasks_of(c), before, "tasks")


def an_unreachable_slave_is_waited_for(c):
    """Not long enough: nothing is placed elsewhere."""
    before = tasks_of(c)
    agent = slave_of(c, "r2")
    agent.pause()
    wait_until(lambda: by_name(c, "r2")["state"] == "unreachable", "Mesos lost the agent", 30)
    expect_equal({alarm["code"] for alarm in c.get("status")["alarms"]}, {"receiver_unreachable"}, "alarms")
    agent.resume()
    wait_until(lambda: by_name(c, "r2")["state"] == "running", "it was back", 30)
    c.wait_running(2)
    expect_equal(tasks_of(c), before, "tasks")
    expect_equal(set(c.receivers()), {"r1", "r2"}, "receivers")


def one_unreachable_for_long_is_replaced(c):
    """Another runs in its place; when it comes back its log is given away and it is no more."""
    c.apply(count=2, unreachable_after="3s")
    agent = slave_of(c, "r2")
    agent.pause()
    wait_until(lambda: "r3" in c.running(), "another took its place", 60)
    expect(by_name(c, "r2")["retiring"], "the old one doesn't retire")
    agent.resume()
    wait_until(lambda: "r2" not in c.receivers(), "it gave its log away and ended", 60)
    expect_equal(set(c.wait_running(2)), {"r1", "r3"}, "receivers")
    c.apply(count=2)


def logs_are_given_away(c):
    """To real sinks: that of a slave which dies for so long that another takes its place, with events that
    no sink has; and that of a receiver which is one too many."""
    archive = c.home / "archive"
    archive.mkdir()
    receiver = {"sinks": [sinks.files_sink(str(archive), roll_interval="4s")]}
    changed = c.apply(count=2, unreachable_after="3s", receiver=receiver)
    wait_until(lambda: [row["version"] for row in c.running().values()] == 2 * [changed["version"]],
               "both had the sink", 60)
    name, row = next(iter(c.running().items()))
    sent = c.account(c.send(c.slave_of(row), 2000, "max"))
    slave_of(c, name).end()
    wait_until(lambda: len(set(c.running()) - {name}) == 2, "another took its place", 60)
    expect_equal(given(archive, sent), [], "events that the sink had before")
    slave_of(c, name).start()
    wait_until(lambda: name not in c.receivers(), "it gave its log away and ended", 60)
    expect_equal(given(archive, sent), list(range(2000)), "events that the sink has")
    accounts = {name: c.account(c.send(c.slave_of(row), 500, "max"))
                for name, row in c.wait_running(2).items()}
    c.apply(count=1, receiver=receiver)
    name, = wait_until(lambda: accounts.keys() - c.receivers().keys(), "one gave its log away and ended", 60)
    expect_equal(given(archive, accounts[name]), list(range(500)), "events that the sink has of it")
    expect_equal([event["decision"] for event in c.events() if event["receiver"] == name][-5:],
                 ["retire", "end", "launch", "end", "remove"], f"what became of {name}")
    c.apply(count=2)
    c.wait_running(2)


def given(archive, account):
    """Which events of a sender are in the sink's files, each time that they are."""
    source, _, seq, _ = checker.read_files(archive).columns()
    return sorted(seq[source == int(account["source"])].tolist())


def drained_and_back(c):
    """--wait ends when nothing is there any more; --off lets it have receivers again."""
    slave = by_name(c, "r3")["slave"]
    c.cli("drain", slave, "--wait", "--for", "60s")
    expect(slave not in {row["slave"] for row in c.receivers().values()}, "something is left there")
    c.wait_running(2)
    expect_equal(c.get("spec")["draining"], [slave], "slaves that drain")
    c.cli("scale", "3")
    wait_until(lambda: any("drained" in row["why"] for row in c.receivers(state="waiting").values()),
               "the third waits, and says why")
    c.cli("drain", slave, "--off")
    c.wait_running(3)
    c.cli("scale", "2")
    wait_until(lambda: len(c.receivers()) == 2, "one went")


def restarted_in_turn(c):
    """Another receivers' file: one at a time, each on its log."""
    before = c.wait_running(2)
    fill(c)
    changed = c.apply(count=2, receiver={"log": {"segment_size": "32MiB"}})
    expect_equal(changed["restarts"], 2, "restarts that were announced")
    least = 2
    def all_new():
        nonlocal least
        found = c.receivers(state="running")
        least = min(least, len(found))
        return {name: row["task_id"] for name, row in c.running().items()}.keys() == before.keys() and \
            all(row["version"] == changed["version"] for row in c.running().values())
    wait_until(all_new, "both were as the new file says", 60)
    expect(least >= 1, "both were down at a time")
    for name, row in c.running().items():
        expect_equal((row["slave"], log_ids(row)), (before[name]["slave"], log_ids(before[name])), name)


def a_slave_gone_for_good(c):
    """The operator says so: its log is lost, another takes its place at once."""
    name = next(iter(c.running()))
    agent = slave_of(c, name)
    agent_id = c.masters.agent_ids()[agent.hostname]
    agent.end()
    c.masters.mark_agent_gone(agent_id)
    wait_until(lambda: name not in c.receivers(), "the receiver was given up", 30)
    found = c.wait_running(2)
    expect(agent.hostname not in {row["slave"] for row in found.values()}, "placed on a dead slave")
    agent.forget()
    agent.start()
    c.masters.wait_agents(agent.hostname)


def a_file_that_cannot_run_is_damped(c):
    """It passes the check, but its device is none: each further try comes later, and says why."""
    c.apply(count=2, nics=0, receiver={"ports": [{"name": "wire", "device": "af_packet:none"}]})
    wait_until(lambda: len(c.events("damp")) >= 4, "it was damped", 90)
    expect(len([row for row in c.receivers().values() if row["state"] == "running"]) >= 1,
           "the next was restarted although the first one isn't well")
    c.apply(count=2)
    c.wait_running(2, seconds=90)


def a_removed_framework_is_not_made_again_by_itself(c):
    """TEARDOWN by the operator: an alarm; only a reset registers a new one, which takes the logs over."""
    leader = c.wait_leader()
    refused = c.cli("reset", "--yes", check=False)
    expect(refused.returncode in (1, 5), f"a reset of a living framework: {refused}")
    before = c.wait_running(2)
    fill(c)
    framework = c.get("status")["mesos"]["framework_id"]
    c.masters.teardown(framework)
    wait_until(lambda: c.get("status")["mesos"]["state"] == "removed", "the removal was seen", 30)
    expect("framework_removed" in {alarm["code"] for alarm in c.get("status")["alarms"]}, "no alarm")
    expect_equal(leader.request("GET", "/healthz")[0], 503, "health")
    expect_equal(c.cli("reset", check=False).returncode, 5, "exit code of a reset without --yes")
    time.sleep(3)  # three tries' time: nobody may register
    expect_equal(c.masters.frameworks(), {}, "frameworks")
    c.cli("reset", "--yes")
    found = c.wait_running(2, seconds=90, but=[row["task_id"] for row in before.values()])
    expect(c.get("status")["mesos"]["framework_id"] != framework, "the framework's id")
    for name, row in found.items():
        expect_equal((row["slave"], log_ids(row)), (before[name]["slave"], log_ids(before[name])), name)


def wrong_credentials_are_said(c):
    """Another cluster's process with a wrong secret: an alarm, and no tries without end."""
    stranger = cluster.Control(c, 8, cluster=f"{c.name}x", mesos={
        "master": c.masters.url(), "principal": "millrace", "secret": c.secret("wrong", "wrong\n")})
    try:
        stranger.start()
        wait_until(lambda: stranger.leads() and stranger.get("status")["mesos"]["state"] == "refused",
                   "it was refused", 30)
        expect_equal({alarm["code"] for alarm in stranger.get("status")["alarms"]},
                     {"framework_refused"}, "alarms")
    finally:
        stranger.daemon.kill()


def metrics(c):
    _, text = c.wait_leader().text("/metrics")
    return {family.name if sample.name == family.name else sample.name: sample.value
            for family in text_string_to_metric_families(text) for sample in family.samples}


def what_is_shown_is_as_the_schemas_say(c):
    """Each view, out of all that the run has left in it."""
    fill(c)
    found = metrics(c)
    for name, value in (("leads", 1), ("mesos_subscribed", 1), ("receivers_wanted", 2),
                        ("receivers_registered", 2), ("placement_frozen", 0)):
        expect_equal(found[f"millrace_control_{name}"], value, f"metric {name}")
    expect(found["millrace_control_elections_won_total"] >= 1, "elections that are counted")
    expect(found["millrace_control_launches_total"] >= 2, "launches that are counted")
    expect_equal(found["millrace_control_decisions_total"], c.events()[-1]["id"], "decisions counted")
    for what in ("status", "receivers", "tasks", "spec", "events", "leader"):
        status, envelope = c.wait_leader().request("GET", f"/api/v1/cluster/{what}")
        expect_equal(status, 200, what)
        schema = json.loads((TREE / f"docs/schema/cluster-{what}.1.json").read_text())
        jsonschema.validate(envelope, schema)
        if what == "spec":
            continue  # for scripts
        shown = rig.sh("ip", "netns", "exec", c.core, MILLRACE, "cluster", what, "--control",
                       c.wait_leader().socket, check=False)
        expect(shown.returncode in (0, 1) and shown.stdout, f"{what}: {shown}")


def main():
    with cluster.Cluster(masters=2, master_flags=QUICK, mesos_credentials={"millrace": "secret"}) as c:
        c.masters.wait_agents(*c.agents)
        cluster.run(c, placed_by_the_file, wrong_credentials_are_said, ended_tasks_come_back_to_their_log,
                    an_executor_that_dies_takes_its_receiver_along,
                    nothing_is_launched_that_is_not_stored, masters_change, an_agent_is_started_again,
                    an_unreachable_slave_is_waited_for, one_unreachable_for_long_is_replaced,
                    drained_and_back, restarted_in_turn, logs_are_given_away, a_slave_gone_for_good,
                    a_file_that_cannot_run_is_damped, a_removed_framework_is_not_made_again_by_itself,
                    what_is_shown_is_as_the_schemas_say)


if __name__ == "__main__":
    main()
