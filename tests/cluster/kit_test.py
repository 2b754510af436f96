#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
# long
"""What the tests of the cluster stand on does what they take for granted: ZooKeeper elects, Mesos
fails over, tasks outlive their agent, slaves' NICs get events, and nothing is left behind."""

import contextlib
import http.client
import json
import os
import signal
import time

import daemons
import kafka
import mesos
import rig
import slaves
import zookeeper
from rig import expect, expect_equal, wait_until


class Framework:
    """The least that launches a task: one stream of events, read when somebody waits for one."""

    def __init__(self, masters, auth=None, tls=False):
        self.masters, self.leader = masters, masters.wait_leader()
        self.auth, self.tls = auth, masters.tls if tls else None
        self.id = self.stream = None
        self.statuses, self.data = {}, b""

    def subscribe(self, **info):
        framework = {"user": "root", "name": "kit", "roles": ["*"], "checkpoint": True,
                     "failover_timeout": 60, "capabilities": [{"type": "MULTI_ROLE"},
                                                              {"type": "PARTITION_AWARE"}], **info}
        self.connection, self.reply = self.post(
            {"type": "SUBSCRIBE", "subscribe": {"framework_info": framework}})
        if self.reply.status == 200:
            self.stream = self.reply.getheader("Mesos-Stream-Id")
            self.id = self.event("SUBSCRIBED")["framework_id"]
        return self.reply.status

    def post(self, call):
        headers = dict(mesos.JSON, **({"Mesos-Stream-Id": self.stream} if self.stream else {}),
                       **(mesos.basic(*self.auth) if self.auth else {}))
        with daemons.within(self.masters.netns):
            connection = mesos.connection(self.masters.address, self.masters.ports[self.leader],
                                          20, self.tls)
            connection.request("POST", "/api/v1/scheduler", json.dumps(call), headers)
            return connection, connection.getresponse()

    def call(self, kind, **body):
        connection, reply = self.post({"type": kind, "framework_id": self.id, **body})
        with contextlib.closing(connection):
            expect_equal(reply.status, 202, f"answer to {kind} ({reply.read()[:200]})")

    def event(self, kind):
        """The next event of that kind; statuses that pass are acknowledged and noted."""
        end = time.monotonic() + 10 * rig.PATIENCE
        while True:
            event = self.next()  # at least a heartbeat in 15 s
            expect(time.monotonic() < end, f"no event {kind}; statuses {self.statuses}")
            if event["type"] == "UPDATE":
                self.updated(event["update"]["status"])
            if event["type"] == kind:
                return event[kind.lower()]

    def next(self):
        while True:
            length, newline, rest = self.data.partition(b"\n")
            if newline and len(rest) >= int(length):
                self.data = rest[int(length):]
                return json.loads(rest[:int(length)])
            more = self.reply.read1(65536)
            expect(more, "the master ended the stream")
            self.data += more

    def updated(self, status):
        self.statuses[status["task_id"]["value"]] = status["state"]
        if "uuid" in status:
            self.call("ACKNOWLEDGE", acknowledge={key: status[key]
                                                  for key in ("agent_id", "task_id", "uuid")})

    def launch(self, task_id, command):
        offer = self.event("OFFERS")["offers"][0]
        task = {"name": task_id, "task_id": {"value": task_id}, "agent_id": offer["agent_id"],
                "command": {"value": command},
                "resources": [{"name": name, "type": "SCALAR", "scalar": {"value": value}}
                              for name, value in (("cpus", 0.1), ("mem", 32))]}
        self.call("ACCEPT", accept={"offer_ids": [offer["id"]], "operations": [
            {"type": "LAUNCH", "launch": {"task_infos": [task]}}]})
        self.wait(task_id, "TASK_RUNNING")
        return offer

    def wait(self, task_id, state):
        while self.statuses.get(task_id) != state:
            self.event("UPDATE")


def ensemble_elects(r):
    with zookeeper.Ensemble(r.home / "zk", 3) as ensemble:
        client = ensemble.client()
        client.create("/a/b", "before", parents=True)
        mine = client.create("/a/n-", flags=zookeeper.EPHEMERAL | zookeeper.SEQUENTIAL)
        leader = ensemble.leader()
        ensemble.kill(leader)
        wait_until(lambda: ensemble.leader() not in (None, leader), "another server led", 5)
        expect_equal(client.tree("/a"), {"/a": b"", "/a/b": b"before", mine: b""}, "the tree")
        client.set("/a/b", "after")
        ensemble.restart(leader)
        ensemble.wait_ready()
        alone = zookeeper.Client([("127.0.0.1", ensemble.ports[leader])])
        wait_until(lambda: alone.data("/a/b") == b"after", "the server that was dead knew the news")
        access_is_controlled(ensemble)
        # No quorum: nobody leads; one that is stopped answers no question.
        for n in ensemble.followers():
            ensemble.pause(n)
        wait_until(lambda: ensemble.leader() is None, "nobody led", 10)
        ensemble.restore()
        expect_equal(client.data("/a/b"), b"after", "what was written")


def access_is_controlled(ensemble):
    acl = [(zookeeper.ALL, "digest", zookeeper.digest("me:secret"))]
    with ensemble.client("me:secret") as me, ensemble.client("other:secret") as other:
        me.create("/mine", "x", acl=acl)
        expect_equal(me.acl("/mine"), acl, "access list")
        expect_equal(me.data("/mine"), b"x", "what its owner reads")
        expect_equal(ensemble.client().data("/mine"), b"x", "what the tests read")
        try:
            expect(other.data("/mine") is None, "somebody else read it")
        except zookeeper.Error as failed:
            expect_equal(failed.code, -102, "error")
        me.delete("/mine")
        expect(me.exists("/mine") is None, "it is there after its deletion")


def cluster_fails_over(r):
    with contextlib.ExitStack() as stack:
        net = stack.enter_context(slaves.Slaves(1))
        ensemble = stack.enter_context(
            zookeeper.Ensemble(r.home / "zk", 1, net.core, slaves.CORE))
        masters = stack.enter_context(
            mesos.Masters(r.home / "masters", ensemble, 2, net.core, slaves.CORE))
        agent = stack.enter_context(mesos.Agent(
            r.home / "agent", masters, "slave1", net[1].netns, net[1].address,
            resources=";lcores:[2-3];nics:{rx0}", attributes={"rack": "a"}))
        masters.wait_agents("slave1")
        task_outlives_agent(masters, agent)
        leader = masters.leader()
        masters.kill(leader)
        masters.wait_leader(other_than=leader)
        masters.wait_agents("slave1")
        expect_equal(masters.task_state("one"), "TASK_RUNNING", "the task under the new leader")
        masters.restart()
        agent_is_missed(masters, net, agent)
        everything_ends(agent)
        stranger = r.popen(net[1].command("sleep", 1000))
    expect_equal(stranger.wait(5), -signal.SIGKILL, "how something else in the namespace ended")
    there = os.listdir("/run/netns")
    expect_equal([name for name in net.namespaces() if name in there], [], "namespaces")


def task_outlives_agent(masters, agent):
    framework = Framework(masters)
    expect_equal(framework.subscribe(), 200, "answer to SUBSCRIBE")
    offer = framework.launch("one", "echo $GREETING from $PWD; exec sleep 1000")
    found = {each["name"]: each for each in offer["resources"]}
    expect_equal(found["nics"]["set"], {"item": ["rx0"]}, "NICs offered")
    expect_equal(found["lcores"]["ranges"], {"range": [{"begin": 2, "end": 3}]}, "lcores offered")
    wait_until(lambda: "from " in agent.said("one"), "the task spoke")
    before = agent.processes()
    agent.kill()
    left = agent.processes()
    expect(len(left) == len(before) - 1, f"only the agent died: {before}, {left}")
    agent.start()
    wait_until(lambda: "slave1" in masters.agents() and left < agent.processes(), "it was back")
    wait_until(lambda: masters.tasks()["one"]["state"] == "TASK_RUNNING", "its task was there")
    framework.connection.close()


def agent_is_missed(masters, net, agent):
    """Stopped, and cut off: the master notices in seconds, and takes it back."""
    for away, back in ((agent.pause, agent.resume),
                       (lambda: net.uplink(net[1], False), lambda: net.uplink(net[1], True))):
        away()
        wait_until(lambda: masters.task_state("one") == "TASK_UNREACHABLE", "it was missed", 20)
        back()
        masters.wait_agents("slave1")
        wait_until(lambda: masters.task_state("one") == "TASK_RUNNING", "its task was back")


def everything_ends(agent):
    left = agent.processes()
    expect(len(left) >= 3, f"agent, executor and task ran until the end: {left}")
    agent.end()
    expect_equal(agent.processes(), set(), "what carries the agent's tag")
    expect_equal(left & set(daemons.processes()), set(), "what the agent had started")


def masters_ask_who_it_is(r):
    """One master, credentials and TLS; an agent that goes for good, a framework that is torn down."""
    with mesos.Masters(r.home / "masters", credentials={"millrace": "secret"}, tls=True) as masters, \
            mesos.Agent(r.home / "agent", masters, "here") as agent:
        masters.wait_agents("here")
        for auth, tls, wanted in ((None, True, 401), (("millrace", "wrong"), True, 401),
                                  (("millrace", "secret"), True, 200)):
            framework = Framework(masters, auth, tls)
            expect_equal(framework.subscribe(principal="millrace"), wanted, f"answer to {auth}")
        framework.launch("two", "exec sleep 1000")
        expect(agent.sandbox("two").is_dir(), "it has a sandbox")
        framework.call("KILL", kill={"task_id": {"value": "two"}})
        framework.wait("two", "TASK_KILLED")
        framework.launch("three", "exec sleep 1000")
        masters.mark_agent_gone(masters.agent_ids()["here"])
        framework.wait("three", "TASK_GONE_BY_OPERATOR")
        masters.teardown(framework.id["value"])
        expect_equal(masters.frameworks(), {}, "frameworks")
        expect(framework.id["value"] in masters.completed_frameworks(), "it is completed")


class Side:
    """As rig.Net, for a rig.Receiver in a slave's namespace."""

    def __init__(self, slave):
        self.slave = slave

    def command(self, _, *words):
        return self.slave.command(*words)


def nics_get_events(r):
    with slaves.Slaves() as net:
        for slave in net:
            receiver = r.receiver(Side(slave), slave.name, ports=[
                {"name": "wire", "device": f"af_xdp:{slaves.NIC}",
                 "addresses": [f"{slave.receiver}/24"]}],
                listeners=[{"name": "sure", "port": rig.PORT, "kind": "reliable"}]).start()
            done = net.in_tx(rig.MILLRACE, "--json", "send", "--reliable",
                             f"{slave.receiver}:{rig.PORT}", "--count", 1000, "--size", 600)
            expect_equal(json.loads(done.stdout)["data"]["acknowledged"], 1000, "acknowledged")
            expect(receiver.durable() >= 1000, "they are in the log")
            expect_equal(receiver.drops(), {}, "drops")
            net.in_core("ping", "-c", 1, "-W", 2, slave.address)
            receiver.stop()


def brokers_are_reached(r):
    import confluent_kafka.admin

    def listed(seconds):
        with rig.in_namespace(net[2].netns):
            client = confluent_kafka.admin.AdminClient(
                {"bootstrap.servers": cluster.bootstrap(), "log_level": 0})
        try:
            return len(client.list_topics(timeout=seconds).brokers) == 1
        except confluent_kafka.KafkaException:
            return False

    with kafka.Cluster() as cluster, slaves.Slaves() as net:
        net.join_kafka(cluster)
        wait_until(lambda: listed(5), "the broker was reached")
        cluster.wire(False)
        expect(not listed(1), "the broker was reached without a wire")
        cluster.wire(True)
        net.uplink(net[2], False)
        expect(not listed(1), "the broker was reached without an uplink")
        net.uplink(net[2], True)
        wait_until(lambda: listed(5), "the broker was reached again")


def tagged_processes_are_found(r):
    """What left its parents, its session and its folder is found by its environment."""
    tag = f"kit-{os.getpid()}"
    daemon = daemons.Daemon(["sh", "-c", "setsid -f sh -c 'cd /; sleep 1000 & env -i sleep 1000'; "
                             "sleep 1000 & exec sleep 1000"], r.home / "log", env={daemons.TAG: tag})
    r.stack.callback(daemons.kill_tagged, tag)
    daemon.start()
    wait_until(lambda: len(daemons.tagged(tag)) == 5, "there were five of them")
    daemon.kill()
    expect_equal(len(daemons.tagged(tag)), 3, "those of another session")
    daemons.kill_tagged(tag)
    expect_equal(daemons.tagged(tag), set(), "what is left")
    expect_equal(daemon.process.returncode, -signal.SIGKILL, "how it ended")


def main():
    if os.getuid() == 0:
        mesos.fetch()
    rig.run(tagged_processes_are_found, ensemble_elects, cluster_fails_over, masters_ask_who_it_is,
            nics_get_events, brokers_are_reached)


if __name__ == "__main__":
    main()
