# SPDX-License-Identifier: BSD-3-Clause
"""A cluster's machines as network namespaces, brought up and down in a moment.

    core    10.90.0.1   the bridge: ZooKeeper, masters, control processes
    slaveN  10.90.0.1N  an agent and what it starts; rx0, with no address of the kernel's: the NIC of a
                        receiver that answers for 10.91.0.1N
    tx      10.90.0.2   senders; 10.91.0.1 is on the bridge whose ports are the other ends of all rx0
    Kafka   10.90.0.3   a kafka.Cluster that was joined: its brokers' address is beyond that

Every namespace but Kafka's goes, with all that runs in it, when the context ends.
"""

import contextlib
import os

import daemons
import kafka
import rig

CORE, TX, KAFKA = "10.90.0.1", "10.90.0.2", "10.90.0.3"
SENDER = "10.91.0.1"
NIC = "rx0"
BRIDGE, EVENTS, UPLINK = "cluster0", "events0", "up0"


def ip(netns, *lines):
    """Several lines of ip in a namespace, by one process."""
    rig.sh("ip", "-n", netns, "-batch", "-", input="\n".join(lines) + "\n")


class Slave:
    def __init__(self, number):
        self.number = number
        self.name = f"slave{number}"
        self.netns = f"millrace-{os.getpid()}-{self.name}"
        self.address = f"10.90.0.{10 + number}"
        self.receiver = f"10.91.0.{10 + number}"  # with /24, in a receiver's configuration

    def command(self, *words):
        return ["ip", "netns", "exec", self.netns, *map(str, words)]

    def sh(self, *words, **options):
        return rig.sh(*self.command(*words), **options)


class Slaves:
    """A context. slaves[1] is the first."""

    def __init__(self, count=3):
        self.core, self.tx = (f"millrace-{os.getpid()}-{name}" for name in ("core", "tx"))
        self.slaves = {number: Slave(number) for number in range(1, count + 1)}
        self.stack = contextlib.ExitStack()

    def __getitem__(self, number):
        return self.slaves[number]

    def __iter__(self):
        return iter(self.slaves.values())

    def namespaces(self):
        return [self.core, self.tx, *(slave.netns for slave in self)]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for netns in self.namespaces():
                rig.sh("ip", "netns", "add", netns)
                stack.callback(self.remove, netns)
                # No router solicitations, no made-up addresses.
                rig.sh("ip", "netns", "exec", netns, "sysctl", "-qw",
                       "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
                ip(netns, "link set dev lo up")
            self.build()
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def remove(self, netns):
        daemons.kill_all(lambda: {int(pid) for pid in
                                  rig.sh("ip", "netns", "pids", netns, check=False).stdout.split()})
        rig.sh("ip", "netns", "del", netns, check=False)

    def build(self):
        # A bridge that looks after groups sends reports of its own.
        for netns, bridge, address in ((self.core, BRIDGE, CORE), (self.tx, EVENTS, SENDER)):
            ip(netns, f"link add name {bridge} type bridge mcast_snooping 0",
               f"address add {address}/24 dev {bridge}", f"link set dev {bridge} up")
        self.uplink_of(self.tx, "tx", TX)
        for slave in self:
            self.uplink_of(slave.netns, slave.name, slave.address)
            ip(self.tx, f"link add name {slave.name} type veth peer name {NIC} netns {slave.netns}",
               f"link set dev {slave.name} master {EVENTS} up")
            ip(slave.netns, f"link set dev {NIC} up")
        # The kernel would leave the UDP checksum to a device that is none.
        for device in (EVENTS, *(slave.name for slave in self)):
            rig.sh("ip", "netns", "exec", self.tx, "ethtool", "-K", device, "tx", "off")

    def uplink_of(self, netns, name, address, device=UPLINK):
        ip(self.core, f"link add name {name} type veth peer name {device} netns {netns}",
           f"link set dev {name} master {BRIDGE} up")
        ip(netns, f"address add {address}/24 dev {device}", f"link set dev {device} up")

    def join_kafka(self, cluster):
        """From here the brokers of a kafka.Cluster are reached by their own address; cluster.wire()
        and cluster.cut() do what they say. It is as if the brokers' machine stood beside core."""
        rig.sh("ip", "-n", cluster.netns, "link", "del", "broker0", check=False)
        self.uplink_of(cluster.netns, "kafka", KAFKA, "broker0")
        for netns in self.namespaces():
            ip(netns, f"route add {kafka.BROKER_ADDRESS}/32 via {KAFKA}")

    # Wires. What is cut by taking a bridge's port down hangs; nobody is told.

    def uplink(self, slave, up):
        """Between a slave and the core: Mesos, ZooKeeper, Kafka."""
        ip(self.core, f"link set dev {slave.name} {'up' if up else 'down'}")

    def wire(self, slave, up):
        """Between senders and a slave's NIC."""
        ip(self.tx, f"link set dev {slave.name} {'up' if up else 'down'}")

    # What runs where.

    def command(self, netns, *words):
        return ["ip", "netns", "exec", netns, *map(str, words)]

    def in_core(self, *words, **options):
        return rig.sh(*self.command(self.core, *words), **options)

    def in_tx(self, *words, **options):
        return rig.sh(*self.command(self.tx, *words), **options)
