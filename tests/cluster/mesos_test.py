#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""The Mesos scheduler against real masters and agents."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import urllib.parse
import urllib.request

import rig
from probe import Probe, launch
from rig import expect, expect_equal, sh, wait_until

PREFIX = pathlib.Path(os.environ.get("MESOS_PREFIX", "/tmp/mesos"))
ZOOKEEPER = ":".join(f"/usr/share/java/{jar}.jar"
                     for jar in ("zookeeper", "slf4j-log4j12", "log4j-1.2"))


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


class Daemon:
    """A program with a port and a log, that can be killed and started again."""

    def __init__(self, r, name, command):
        self.r, self.name, self.command, self.process = r, name, command, None

    def start(self):
        env = {key: text for key, text in os.environ.items() if key != "SSL_CERT_FILE"}
        with (self.r.home / f"{self.name}.log").open("ab") as log:
            self.process = self.r.popen(self.command, stdout=log, stderr=log, env=env)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Master(Daemon):
    def __init__(self, r, name="master", *options):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        super().__init__(r, name, [
            PREFIX / "bin/mesos-master", "--ip=127.0.0.1", f"--port={self.port}",
            "--hostname=127.0.0.1", f"--work_dir={r.home / name}",
            # Of which the agent hears, too: without ZooKeeper it looks for its master after these.
            "--agent_ping_timeout=1secs", "--max_agent_ping_timeouts=3", *options])

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=5) as answer:
            return json.load(answer)

    def wait_up(self):
        def up():
            try:
                return self.get("/health") or True
            except ValueError:
                return True  # an empty body
            except OSError:
                return False
        wait_until(up, f"{self.name}", 30)
        return self

    def teardown(self, framework_id):
        data = urllib.parse.urlencode({"frameworkId": framework_id}).encode()
        with urllib.request.urlopen(f"http://{self.address}/teardown", data, timeout=5) as answer:
            answer.read()


class Agent(Daemon):
    def __init__(self, r, master, name="agent", *options):
        home = r.home / name
        super().__init__(r, name, [
            PREFIX / "bin/mesos-agent", "--ip=127.0.0.1", f"--port={free_port()}",
            f"--hostname={name}", f"--master={master}", f"--work_dir={home / 'work'}",
            f"--runtime_dir={home / 'run'}", f"--fetcher_cache_dir={home / 'fetch'}",
            f"--launcher_dir={PREFIX / 'bin'}", "--launcher=posix", "--isolation=posix/cpu,posix/mem",
            "--systemd_enable_support=false", "--attributes=rack:r1",
            "--resources=cpus:4;mem:2048;disk:1024;ports:[31000-31100];lcores:[2-3];nics:{eth1,eth2}",
            *options])
        r.stack.callback(end_tasks, home)


def end_tasks(home):
    """Executors outlive their agent."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            env = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
            if f"{home}/".encode() in env and int(pid) != os.getpid():
                os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass


def cluster(r, *options):
    master = Master(r, "master", *options).start().wait_up()
    return master, Agent(r, master.address).start()


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
    master, _ = cluster(r)
    probe = Probe(r, master.address, backoff_max_ms=1000).start()
    framework_id = probe.next("subscribed")["framework_id"]
    offer_id, agent_id, offer = offered(probe)
    expect_equal({"cpus", "mem", "disk", "ports", "lcores", "nics"},
                 {resource["name"] for resource in offer["resources"]}, "resources")
    expect_equal((offer["hostname"], offer["attributes"][0]["text"]["value"]), ("agent", "r1"), "the slave")
    probe.do("decline", offer_id, 0.5)
    agent_id = run_task(probe, "t1")
    # An update that wasn't acknowledged would come again, and hold the next one back.
    framework = next(f for f in master.get("/frameworks")["frameworks"] if f["id"] == framework_id)
    expect_equal([(t["id"], t["state"]) for t in framework["tasks"]], [("t1", "TASK_RUNNING")], "tasks")
    expect(framework["checkpoint"] and framework["failover_timeout"] == 60, "what the master knows")
    expect({"PARTITION_AWARE", "MULTI_ROLE"} <= set(framework["capabilities"]), "capabilities")
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
    master, agent = cluster(r)
    probe = Probe(r, master.address, label="first").start()
    framework_id = probe.next("subscribed")["framework_id"]
    agent_id = run_task(probe, "t1")
    probe.process.kill()
    second = Probe(r, master.address, label="second").start(framework_id)
    expect_equal(second.next("subscribed")["framework_id"], framework_id, "the id")
    reconcile_until(second, "TASK_RUNNING", "t1")
    # A third takes it from the second, which lets it go.
    third = Probe(r, master.address, label="third").start(framework_id)
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
    master, _ = cluster(r)
    probe = Probe(r, master.address).start()
    framework_id = probe.next("subscribed")["framework_id"]
    run_task(probe, "t1")
    master.teardown(framework_id)
    heard = probe.next("ended", 20)
    expect_equal(heard["end"], "REMOVED", heard["why"])
    probe.start()
    expect(probe.next("subscribed", 20)["framework_id"] != framework_id, "it is another one")
    probe.quit()


def test_master_dies_and_comes_back(r):
    master, _ = cluster(r)
    probe = Probe(r, master.address, backoff_max_ms=1000).start()
    framework_id = probe.next("subscribed")["framework_id"]
    run_task(probe, "t1")
    master.kill()
    probe.next("disconnected")
    master.start()
    heard = probe.next("subscribed", 60)
    expect_equal(heard["framework_id"], framework_id, "the id")
    reconcile_until(probe, "TASK_RUNNING", "t1")
    probe.quit()


def test_frozen_master(r):
    """Its connection stands, and nothing comes."""
    master, _ = cluster(r)
    probe = Probe(r, master.address, misses=1, answer_ms=1000, backoff_max_ms=1000).start()
    framework_id = probe.next("subscribed")["framework_id"]
    master.signal(signal.SIGSTOP)
    expect("no heartbeat" in probe.next("disconnected", 40)["why"], "why")
    probe.wait_log("did not answer")
    master.signal(signal.SIGCONT)
    expect_equal(probe.next("subscribed", 30)["framework_id"], framework_id, "the id")
    expect_equal(probe.all("ended"), [], "ends")
    probe.quit()


def test_credentials(r):
    (r.home / "credentials").write_text(json.dumps(
        {"credentials": [{"principal": "millrace", "secret": "se-cret"}]}))
    (r.home / "acls").write_text(json.dumps({"register_frameworks": [
        {"principals": {"values": ["millrace"]}, "roles": {"values": ["events"]}},
        {"principals": {"type": "ANY"}, "roles": {"type": "NONE"}}]}))
    master = Master(r, "master", "--authenticate_http_frameworks", "--http_framework_authenticators=basic",
                    f"--credentials={r.home}/credentials", f"--acls={r.home}/acls").start().wait_up()
    Agent(r, master.address).start()
    for label, more in (("none", {}), ("wrong", {"principal": "millrace", "secret": "x"}),
                        ("role", {"principal": "millrace", "secret": "se-cret", "role": "other"})):
        probe = Probe(r, master.address, label=label, **more).start()
        heard = probe.next("ended")
        expect_equal(heard["end"], "REFUSED", heard["why"])
        probe.quit()
    probe = Probe(r, master.address, principal="millrace", secret="se-cret", role="events").start()
    probe.next("subscribed")
    run_task(probe, "t1")
    probe.quit()


def start_zookeeper(r):
    port = free_port()
    home = r.home / "zookeeper"
    home.mkdir()
    (home / "zoo.cfg").write_text(f"tickTime=500\ndataDir={home}\nclientPort={port}\n"
                                  "clientPortAddress=127.0.0.1\nadmin.enableServer=false\n")
    Daemon(r, "zookeeper-server", [
        "java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", f"{home}:{ZOOKEEPER}",
        "org.apache.zookeeper.server.quorum.QuorumPeerMain", home / "zoo.cfg"]).start()

    def up():
        try:
            return socket.create_connection(("127.0.0.1", port), 1).close() is None
        except OSError:
            return False
    wait_until(up, "ZooKeeper", 30)
    return f"zk://127.0.0.1:{port}/mesos"


def test_two_masters(r):
    """The standby redirects; when the leader is killed the other one takes over, 503 at first."""
    zk = start_zookeeper(r)
    options = (f"--zk={zk}", "--quorum=1", "--zk_session_timeout=2secs")
    first, second = (Master(r, name, *options).start().wait_up() for name in ("master1", "master2"))
    Agent(r, zk).start()
    leads = {first.address: first, second.address: second}

    def led_by():
        try:
            found = {m.get("/state").get("leader_info", {}).get("port") for m in (first, second)}
        except OSError:
            return None  # it waits for one, or recovers
        return found.pop() if len(found) == 1 else None
    port = wait_until(led_by, "a leader", 30)
    leader = leads.pop(f"127.0.0.1:{port}")
    (standby,) = leads.values()
    # Only the standby is known: it redirects.
    probe = Probe(r, standby.address, backoff_max_ms=1000).start()
    heard = probe.next("subscribed", 30)
    expect_equal(heard["master"], leader.address, "the master")
    run_task(probe, "t1")
    probe.do("masters", f"{leader.address},{standby.address}")
    leader.kill()
    probe.next("disconnected")
    again = probe.next("subscribed", 60)
    expect_equal((again["master"], again["framework_id"]), (standby.address, heard["framework_id"]),
                 "the other master")
    reconcile_until(probe, "TASK_RUNNING", "t1")
    print(f"     what it went through: {probe.log().count('will try again')} complaints")
    probe.quit()


if __name__ == "__main__":
    rig.run(*[test for name, test in list(globals().items()) if name.startswith("test_")])
