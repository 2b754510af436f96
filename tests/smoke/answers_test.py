#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""ARP, neighbour discovery and echo are answered for addresses that millraced alone has."""

import logread
import rig
from rig import PORT, RECEIVER4, RECEIVER6, expect, expect_equal


def nobody_answers_before_millraced_is_there(r):
    net = r.net()
    done = net.sh("tx", "ping", "-c", "1", "-W", "1", RECEIVER4, check=False)
    expect(done.returncode != 0, f"somebody answers without millraced: {done.stdout}")


def arp_ping_and_nd(device):
    def answered(r):
        net = r.net()
        receiver = r.receiver(net, device=device).start()
        mac = receiver.get("/api/v1/ports")[0]["mac"]
        expect_equal(mac.lower(), net.mac("rx", "rx0"), "MAC of the port")
        arping = net.sh("tx", "arping", "-c", "2", "-w", "5", "-I", "src0", RECEIVER4).stdout
        expect(mac.lower() in arping.lower(), f"arping: {arping}")
        for size in (0, 56, 1400):
            net.sh("tx", "ping", "-c", "3", "-i", "0.01", "-W", "5", "-s", size, RECEIVER4)
            net.sh("tx", "ping", "-6", "-c", "3", "-i", "0.01", "-W", "5", "-s", size, RECEIVER6)
        neighbour = net.sh("tx", "ip", "-6", "neigh", "show", RECEIVER6).stdout
        expect(mac.lower() in neighbour, f"neighbour discovery: {neighbour}")
        found = net.sh("tx", "ndisc6", "-1", "-q", RECEIVER6, "src0").stdout
        expect_equal(found.strip().lower(), mac.lower(), "ndisc6")
        done = net.sh("tx", "ping", "-c", "1", "-W", "1", "10.77.0.3", check=False)
        expect(done.returncode != 0, "an address that nobody has was answered")
        receiver.at_rest()
        receiver.stop()
    answered.__name__ = f"arp_ping_and_nd_are_answered_by_{device.split(':')[0]}"
    return answered


def udp_over_ipv6_arrives(r):
    net = r.net()
    receiver = r.receiver(net).start()
    net.sh("tx", "nc", "-6", "-u", "-q", "0", RECEIVER6, PORT, input="over IPv6")
    receiver.wait_durable(1)
    receiver.stop()
    expect_equal(logread.read_all(receiver.data), [b"over IPv6"], "log")


rig.run(nobody_answers_before_millraced_is_there, arp_ping_and_nd("af_packet:rx0"),
        arp_ping_and_nd("af_xdp:rx0"), udp_over_ipv6_arrives)
