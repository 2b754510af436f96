#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Real Kafka brokers (KRaft), one or three, in a network namespace of their own or in a given one.

kafka.py fetch: brings the jars, once for a checkout; whoever starts a broker does so, too.

Each broker has three listeners. CLIENT is what the product uses, by the wire that Cluster.connect()
makes and that a test may cut. INSIDE and CONTROLLER are on the loopback: what the brokers say to each
other and what a test asks them does not depend on that wire.
"""

import contextlib
import fcntl
import functools
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import rig

POM = pathlib.Path(__file__).with_name("kafka.xml")
JARS = rig.TREE / ".venv/kafka"
BROKER_ADDRESS, SINK_ADDRESS = "10.78.0.2", "10.78.0.1"
PORT = 9092  # of broker 1; each next one has the next port
INSIDE, CONTROLLER = 100, 200  # what their ports are above that
CLUSTER_ID = "AAAAAAAAAAAAAAAAAAAAAQ"

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners}
advertised.listeners={advertised}
listener.security.protocol.map=CLIENT:{protocol},INSIDE:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=INSIDE
log.dirs={directory}/log
num.partitions=1
default.replication.factor={replicas}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={in_sync}
log.cleaner.dedupe.buffer.size=10485760
group.initial.rebalance.delay.ms=0
"""
# For tests: few internal partitions, and a dead broker or transaction is noticed in seconds.
QUICK = """\
offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
transaction.abort.timed.out.transaction.cleanup.interval.ms=250
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
replica.lag.time.max.ms=3000
auto.leader.rebalance.enable=false
"""
SMALL = ["-Xms256m", "-Xmx256m", "-XX:+UseSerialGC"]


class KafkaError(Exception):
    pass


def fetch():
    """The jars' directory; mvn copies them when they are not there, or of another pom."""
    pom = POM.read_bytes()
    JARS.parent.mkdir(exist_ok=True)
    with open(JARS.with_suffix(".lock"), "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (JARS / POM.name).exists() or (JARS / POM.name).read_bytes() != pom:
            shutil.rmtree(JARS, ignore_errors=True)
            done = subprocess.run(
                ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies",
                 f"-DoutputDirectory={JARS}"], capture_output=True, text=True, timeout=600, check=False)
            if done.returncode != 0:
                raise KafkaError(f"mvn: {done.stdout[-1000:]}{done.stderr[-1000:]}")
            (JARS / POM.name).write_bytes(pom)
    return JARS


def java(options, main, *words):
    return ["java", *options, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp",
            f"{fetch()}/*", main, *map(str, words)]


def properties(directory, node=1, nodes=1, address=BROKER_ADDRESS, protocol="PLAINTEXT", more=""):
    """What a broker is configured with."""
    port = PORT + node - 1
    inside, controller = (f"127.0.0.1:{port + above}" for above in (INSIDE, CONTROLLER))
    voters = ",".join(f"{n}@127.0.0.1:{PORT + n - 1 + CONTROLLER}" for n in range(1, nodes + 1))
    advertised = f"CLIENT://{address}:{port},INSIDE://{inside}"
    return PROPERTIES.format(
        node=node, voters=voters, directory=directory, protocol=protocol, advertised=advertised,
        listeners=f"{advertised},CONTROLLER://{controller}", replicas=min(nodes, 3),
        in_sync=2 if nodes >= 3 else 1) + more


class Broker:
    def __init__(self, cluster, node):
        self.cluster, self.node = cluster, node
        self.dir = cluster.home / f"broker{node}"
        self.config = self.dir / "server.properties"
        self.log = self.dir / "broker.log"
        self.process = None

    def format(self, nodes):
        self.dir.mkdir()
        self.config.write_text(properties(self.dir, self.node, nodes, protocol=self.cluster.protocol,
                                          more=QUICK + self.cluster.more))
        return subprocess.Popen(
            java([*SMALL, "-XX:TieredStopAtLevel=1"], "kafka.tools.StorageTool", "format", "-t",
                 CLUSTER_ID, "-c", self.config), stdout=subprocess.DEVNULL)

    def start(self):
        # Its memory is the heap alone, and threads for this machine's few CPUs.
        with open(self.log, "ab") as out:
            self.process = subprocess.Popen(
                self.cluster.inside(*java(SMALL, "kafka.Kafka", self.config)), stdout=out,
                stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.running():
            self.process.kill()
        self.process.wait()

    def stop(self):
        """Gives its leaderships away first."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def said(self, lines=20):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


class Cluster:
    """Brokers 1 to n in a namespace of their own. A context: what it started ends with it."""

    def __init__(self, brokers=1, protocol="PLAINTEXT", more=""):
        self.netns = f"millrace-{os.getpid()}-kafka"
        self.protocol, self.more = protocol, more
        self.stack = contextlib.ExitStack()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="millrace-kafka-", dir="/var/tmp"))
        self.brokers = [Broker(self, node) for node in range(1, brokers + 1)]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            if not os.environ.get("MILLRACE_KEEP"):
                stack.callback(shutil.rmtree, self.home, ignore_errors=True)
            rig.sh("ip", "netns", "add", self.netns)
            stack.callback(rig.sh, "ip", "netns", "del", self.netns, check=False)
            # A name of its own for the address that clients use, whatever wires there are.
            for words in (("link", "set", "lo", "up"),
                          ("address", "add", f"{BROKER_ADDRESS}/32", "dev", "lo")):
                rig.sh("ip", "-n", self.netns, *words)
            stack.callback(self.end)
            self.start()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def inside(self, *words):
        return ["ip", "netns", "exec", self.netns, *map(str, words)]

    def start(self):
        for process in [broker.format(len(self.brokers)) for broker in self.brokers]:
            if process.wait(60) != 0:
                raise KafkaError("the storage is not formatted")
        for broker in self.brokers:
            broker.start()
        self.wait_ready()

    def end(self):
        for broker in self.brokers:
            if broker.running():
                broker.kill()

    def restore(self):
        """After a test that may have ended in the middle of a fault."""
        for broker in self.brokers:
            if broker.running():
                broker.resume()
            else:
                broker.start()
        self.wait_ready()

    def wait_ready(self, seconds=120):
        """All brokers are there, and each topic partition has its leader and all its replicas."""
        end = time.monotonic() + seconds * rig.PATIENCE
        while not (problem := self.problem()) is None:
            if time.monotonic() > end:
                words = "\n".join(broker.said() for broker in self.brokers)
                raise KafkaError(f"Kafka is not ready: {problem}\n{words}")
            time.sleep(0.1)

    def problem(self):
        import confluent_kafka
        for broker in self.brokers:
            if not broker.running():
                return f"broker {broker.node} ended"
        try:
            found = self.admin.list_topics(timeout=5)
        except confluent_kafka.KafkaException as failed:
            return str(failed)
        if len(found.brokers) < len(self.brokers):
            return f"brokers {sorted(found.brokers)}"
        for topic in found.topics.values():
            for number, partition in topic.partitions.items():
                if partition.leader < 0 or len(partition.isrs) < len(partition.replicas):
                    return f"{topic.topic}/{number}: leader {partition.leader}, {partition.isrs} in sync"
        return None

    # Addresses of the product's own clients, and of this test's.

    def bootstrap(self):
        return ",".join(f"{BROKER_ADDRESS}:{PORT + b.node - 1}" for b in self.brokers)

    def bootstrap_inside(self):
        return ",".join(f"127.0.0.1:{PORT + b.node - 1 + INSIDE}" for b in self.brokers)

    def client(self, kind, **config):
        """A client of confluent_kafka; its threads live in the namespace."""
        with rig.in_namespace(self.netns):
            return kind({"bootstrap.servers": self.bootstrap_inside(), "log_level": 2, **config})

    @functools.cached_property
    def admin(self):
        from confluent_kafka.admin import AdminClient
        return self.client(AdminClient)

    def connect(self, net):
        """A wire between the brokers and a test's receiver; it goes with the receiver's namespace."""
        near, far = "sink0", "broker0"
        rig.sh("ip", "-n", self.netns, "link", "del", far, check=False)
        net.sh("rx", "ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", self.netns)
        net.sh("rx", "ip", "address", "add", f"{SINK_ADDRESS}/24", "dev", near)
        rig.sh("ip", "-n", self.netns, "address", "add", "10.78.0.3/24", "dev", far)
        for device in (near, "lo"):
            net.sh("rx", "ip", "link", "set", device, "up")
        rig.sh("ip", "-n", self.netns, "link", "set", far, "up")

    def cut(self):
        """Connections of clients are reset at both ends; new ones may be made."""
        for node in self.brokers:
            rig.sh(*self.inside("ss", "-K", "-Htn", "sport", "=", f":{PORT + node.node - 1}"))

    def wire(self, up):
        """Takes the wire away, or gives it back: connections hang."""
        rig.sh("ip", "-n", self.netns, "link", "set", "broker0", "up" if up else "down")

    # Topics.

    def create_topic(self, name, partitions=1, **config):
        from confluent_kafka.admin import NewTopic
        replicas = min(3, len(self.brokers))
        topic = NewTopic(name, partitions, replicas, config={k.replace("_", "."): str(v)
                                                             for k, v in config.items()})
        self.admin.create_topics([topic])[name].result(30)
        rig.wait_until(lambda: self.leader(name, partitions - 1), f"topic {name} had a leader")
        return name

    def leader(self, topic, partition=0):
        """The broker that leads it; None while there is none."""
        found = self.admin.list_topics(timeout=10).topics
        node = found[topic].partitions[partition].leader if topic in found else -1
        return self.brokers[node - 1] if node > 0 else None

    def elect_preferred(self):
        """Partitions go back to their first replicas; the number of those that moved."""
        import confluent_kafka
        done = self.admin.elect_leaders(confluent_kafka.ElectionType.PREFERRED, None).result(30)
        # Whose preferred leader leads already says so by an error.
        return sum(error is None or error.code() != confluent_kafka.KafkaError.ELECTION_NOT_NEEDED
                   for error in done.values())

    def move_leader(self, topic, partition=0):
        """Its leader goes down in good order, comes back and is not leader; the one that is now."""
        broker = self.leader(topic, partition)
        broker.stop()
        broker.start()
        return self.leader(topic, partition)

    def delete_group(self, group):
        self.admin.delete_consumer_groups([group])[group].result(30)


def main():
    if sys.argv[1:] != ["fetch"]:
        sys.exit(__doc__)
    try:
        fetch()
    except (KafkaError, OSError, subprocess.SubprocessError) as failed:
        sys.exit(f"kafka.py: {failed}")


if __name__ == "__main__":
    main()
