#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""Multicast listeners, before a switch that hands groups only to who has joined them: a Linux bridge
that snoops IGMP and MLD and asks for groups itself."""

import json
import socket

import rig
from rig import PORT, RECEIVER4, RECEIVER6, expect, expect_equal, wait_until

GROUP4, GROUP6 = "239.77.1.2", "ff15::77"


class Switch:
    """A bridge in the senders' namespace, with the receiver's veth as one of its ports."""

    def __init__(self, net, igmp=3, mld=2):
        self.net = net
        net.sh("tx", "ip", "link", "add", "br0", "type", "bridge", "mcast_snooping", 1,
               "mcast_querier", 1, "mcast_igmp_version", igmp, "mcast_mld_version", mld,
               "mcast_query_interval", 200, "mcast_query_response_interval", 100,
               "mcast_startup_query_interval", 100, "mcast_membership_interval", 700,
               "mcast_last_member_interval", 20)
        net.sh("tx", "ip", "addr", "flush", "dev", "src0")
        net.sh("tx", "ip", "link", "set", "src0", "master", "br0")
        net.sh("tx", "ip", "addr", "add", f"{rig.SENDER4}/24", "dev", "br0")
        net.sh("tx", "sysctl", "-qw", "net.ipv6.conf.br0.accept_dad=0")
        net.sh("tx", "ip", "link", "set", "br0", "up")
        net.sh("tx", "ip", "addr", "add", f"{rig.SENDER6}/64", "dev", "br0", "nodad")

    def groups(self):
        text = self.net.sh("tx", "bridge", "-j", "mdb", "show", "dev", "br0").stdout
        return {entry["grp"] for part in json.loads(text) for entry in part.get("mdb", [])
                if entry["port"] == "src0"}

    def send(self, group, payload):
        family = socket.AF_INET6 if ":" in group else socket.AF_INET
        sock = self.net.udp_socket(family)
        if family == socket.AF_INET6:
            with self.net.inside("tx"):
                index = socket.if_nametoindex("br0")
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                            socket.inet_aton(rig.SENDER4))
        sock.sendto(payload, (group, PORT))


def receiver_of(r, net, device):
    config = {"ports": [{"device": device, "addresses": [f"{RECEIVER4}/24", f"{RECEIVER6}/64"]}],
              "listeners": [{"name": "four", "port": PORT, "address": GROUP4},
                            {"name": "six", "port": PORT, "address": GROUP6}]}
    return r.receiver(net, **config)


def groups_are_joined_and_left(device):
    def joined(r):
        net = r.net()
        switch = Switch(net)
        receiver = receiver_of(r, net, device).start()
        wait_until(lambda: {GROUP4, GROUP6} <= switch.groups(), "the switch knew both groups", 5)
        expect(any(g.startswith("ff02::1:ff") for g in switch.groups()),
               f"no solicited-node group is known: {switch.groups()}")
        switch.send(GROUP4, b"by IPv4")
        switch.send(GROUP6, b"by IPv6")
        receiver.wait_durable(2)
        # The switch forgets who doesn't answer its queries.
        answered = receiver.get("/api/v1/stats")
        wait_until(lambda: counter(receiver, "group_queries") > 6, "queries came", 20)
        expect({GROUP4, GROUP6} <= switch.groups(), f"forgotten: {switch.groups()} {answered}")
        switch.send("239.77.9.9", b"nobody joined this")
        receiver.at_rest()
        expect_equal(receiver.durable(), 2, "durable events")
        receiver.stop()
        wait_until(lambda: not {GROUP4, GROUP6} & switch.groups(), "both groups were left", 2)
    joined.__name__ = f"groups_are_joined_and_left_by_{device.split(':')[0]}"
    return joined


def a_witness_reads_the_reports(r):
    """tcpdump decodes the frames by itself."""
    net = r.net()
    Switch(net)
    receiver = receiver_of(r, net, "af_xdp:rx0")
    with net.witness("igmp or ip6") as text:
        receiver.start()
        for report in (f"igmp v3 report, 1 group record(s) [gaddr {GROUP4} to_ex, 0 source(s)]",
                       f"[gaddr {GROUP6} to_ex"):
            wait_until(lambda t=report: t in text(), f"tcpdump saw {report}", 5)
        wait_until(lambda: f"[gaddr {GROUP4} is_ex, 0 source(s)]" in text(), "an answer, too", 10)
        receiver.stop()
        for report in (f"[gaddr {GROUP4} to_in, 0 source(s)]", f"[gaddr {GROUP6} to_in"):
            wait_until(lambda t=report: t in text(), f"tcpdump saw {report}", 5)
        said = text()
    expect("bad" not in said and "wrong" not in said, f"tcpdump: {said}")


def counter(receiver, name):
    return next(row["value"] for row in receiver.get("/api/v1/stats")
                if (row["subsystem"], row["name"]) == ("host", name))


def older_queriers_are_answered(r):
    net = r.net()
    switch = Switch(net, igmp=2, mld=1)
    receiver = receiver_of(r, net, "af_xdp:rx0").start()
    wait_until(lambda: counter(receiver, "group_queries") > 4, "queries came", 20)
    wait_until(lambda: {GROUP4, GROUP6} <= switch.groups(), "the switch knew both groups", 5)
    receiver.stop()
    wait_until(lambda: not {GROUP4, GROUP6} & switch.groups(), "both groups were left", 5)


def who_is_killed_is_forgotten_later(r):
    net = r.net()
    switch = Switch(net)
    receiver = receiver_of(r, net, "af_xdp:rx0").start()
    wait_until(lambda: {GROUP4, GROUP6} <= switch.groups(), "the switch knew both groups", 5)
    receiver.kill()
    expect({GROUP4, GROUP6} <= switch.groups(), "nobody has left them")
    wait_until(lambda: not {GROUP4, GROUP6} & switch.groups(), "both groups timed out", 15)


rig.run(a_witness_reads_the_reports, groups_are_joined_and_left("af_xdp:rx0"), groups_are_joined_and_left("af_packet:rx0"),
        older_queriers_are_answered, who_is_killed_is_forgotten_later)
