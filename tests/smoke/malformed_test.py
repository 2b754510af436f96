#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""Malformed packets are named drops, and stop nothing."""

import random

import logging

import rig
from rig import PORT, RECEIVER4, RECEIVER6, SENDER4, SENDER6, expect, expect_equal

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.all import (ARP, Dot1Q, Ether, ICMP, IP, IPv6, IPv6ExtHdrFragment,  # noqa: E402
                       IPv6ExtHdrDestOpt, Raw, UDP, ICMPv6EchoRequest)


# Not AF_PACKET: DPDK's driver has the kernel put IPv4 fragments together before it hands them over.
DEVICE = "af_xdp:rx0"


def cases(mac):
    """(drop reason, frame)"""
    eth = Ether(src="02:00:00:00:00:01", dst=mac)
    ip4 = IP(src=SENDER4, dst=RECEIVER4)
    ip6 = IPv6(src=SENDER6, dst=RECEIVER6)
    udp = UDP(sport=1000, dport=PORT)
    good4 = bytes(eth / ip4 / udp / Raw(b"a payload to be cut"))
    yield "eth_other_type", bytes(eth)[:12] + b"\x88\xcc" + bytes(46)
    yield "eth_other_host", bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:99") / ip4 / udp
                                  / Raw(b"x" * 30))
    yield "vlan_depth", bytes(eth / Dot1Q(vlan=1) / Dot1Q(vlan=2) / Dot1Q(vlan=3) / ip4 / udp
                              / Raw(b"x" * 30))
    yield "arp_bad", bytes(eth / ARP(op=1, hwlen=8, psrc=SENDER4, pdst=RECEIVER4))
    yield "arp_other", bytes(eth / ARP(op=1, psrc=SENDER4, pdst="10.77.0.99"))
    yield "ip4_truncated", good4[:30]
    yield "ip4_truncated", bytes(eth / IP(src=SENDER4, dst=RECEIVER4, len=500) / udp / Raw(b"x" * 30))
    yield "ip4_bad_header", bytes(eth / IP(src=SENDER4, dst=RECEIVER4, ihl=4) / udp / Raw(b"x" * 30))
    yield "ip4_bad_header", bytes(eth / IP(src=SENDER4, dst=RECEIVER4, version=5) / udp
                                  / Raw(b"x" * 30))
    yield "ip4_bad_checksum", bytes(eth / IP(src=SENDER4, dst=RECEIVER4, chksum=0x1234) / udp
                                    / Raw(b"x" * 30))
    yield "ip4_fragment", bytes(eth / IP(src=SENDER4, dst=RECEIVER4, flags="MF") / udp
                                / Raw(b"x" * 32))
    yield "ip4_fragment", bytes(eth / IP(src=SENDER4, dst=RECEIVER4, frag=7, proto=17)
                                / Raw(b"x" * 40))
    yield "ip6_truncated", bytes(eth / IPv6(src=SENDER6, dst=RECEIVER6, plen=900) / udp
                                 / Raw(b"x" * 30))
    yield "ip6_bad_header", bytes(eth / IPv6(src=SENDER6, dst=RECEIVER6, version=4) / udp
                                  / Raw(b"x" * 30))
    yield "ip6_fragment", bytes(eth / ip6 / IPv6ExtHdrFragment(m=1) / udp / Raw(b"x" * 32))
    chain = ip6
    for _ in range(40):
        chain = chain / IPv6ExtHdrDestOpt()
    yield "ip6_ext_depth", bytes(eth / chain / udp / Raw(b"x"))
    yield "ip_other_host", bytes(eth / IP(src=SENDER4, dst="10.77.0.99") / udp / Raw(b"x" * 30))
    yield "ip_other_proto", bytes(eth / IP(src=SENDER4, dst=RECEIVER4, proto=6) / Raw(b"x" * 40))
    yield "icmp_bad", bytes(eth / ip4 / ICMP(chksum=0x1111) / Raw(b"x" * 30))
    yield "icmp_bad", bytes(eth / ip6 / ICMPv6EchoRequest(cksum=0x1111) / Raw(b"x" * 30))
    yield "icmp_other", bytes(eth / ip4 / ICMP(type=13) / Raw(b"x" * 30))
    yield "udp_truncated", bytes(eth / ip4 / UDP(sport=1, dport=PORT, len=300) / Raw(b"x" * 30))
    yield "udp_bad_length", bytes(eth / ip4 / UDP(sport=1, dport=PORT, len=7) / Raw(b"x" * 30))
    yield "udp_bad_checksum", bytes(eth / ip4 / UDP(sport=1, dport=PORT, chksum=0x1234)
                                    / Raw(b"x" * 30))
    yield "udp_zero_checksum6", bytes(eth / ip6 / UDP(sport=1, dport=PORT, chksum=0)
                                      / Raw(b"x" * 30))
    yield "udp_no_listener", bytes(eth / ip4 / UDP(sport=1, dport=PORT + 1000) / Raw(b"x" * 30))
    yield "udp_empty", bytes(eth / ip4 / udp)


def packets_counted(receiver, want):
    def counted():
        return receiver.get("/api/v1/drops")["packets"]["in"] >= want
    rig.wait_until(counted, f"{want} packets were counted")


def each_malformed_packet_is_its_own_drop(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net, device=DEVICE, fragments={"flows": 0}).start()
    wire = net.frame_socket()
    sent = 0
    for reason, frame in cases(net.mac("rx", "rx0")):
        before = receiver.drops().get(reason, 0)
        wire.send(frame)
        sent += 1
        packets_counted(receiver, sent)
        drops = receiver.drops()
        expect_equal(drops.get(reason, 0), before + 1, f"{reason} for {frame.hex()}; {drops}")
    drops = receiver.at_rest()
    expect_equal(drops["packets"]["dropped"], sent, "dropped packets")
    receiver.stop()


def a_zero_checksum_is_valid_on_ipv4(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net, device=DEVICE).start()
    frame = (Ether(src="02:00:00:00:00:01", dst=net.mac("rx", "rx0")) / IP(src=SENDER4, dst=RECEIVER4)
             / UDP(sport=1, dport=PORT, chksum=0) / Raw(b"no checksum, no error"))
    net.frame_socket().send(bytes(frame))
    receiver.wait_durable(1)
    receiver.stop()


def random_damage_never_stops_a_partition(r):
    """Good frames of every kind with bytes flipped, cut off and put in; then a good event."""
    net = r.net(quiet=True)
    receiver = r.receiver(net, device=DEVICE).start()
    wire = net.frame_socket()
    seed = random.randrange(1 << 32)
    dice = random.Random(seed)
    frames = [frame for _, frame in cases(net.mac("rx", "rx0"))]
    for count in range(3000):
        frame = bytearray(dice.choice(frames))
        for _ in range(dice.randrange(1, 6)):
            frame[dice.randrange(12, len(frame))] = dice.randrange(256)
        frame = frame[:dice.randrange(14, len(frame) + 1)]
        wire.send(bytes(frame))
        if count % 200 == 199:
            packets_counted(receiver, count + 1)
    rest = receiver.at_rest()
    expect_equal(rest["packets"]["in"], 3000, f"packets that came in (seed {seed})")
    before = receiver.durable()
    account = net.send_events("--rate", 1000, "--count", 10)
    receiver.wait_durable(before + account["sent"])
    status, _ = receiver.get_text("/healthz")
    expect_equal(status, 200, "health")
    expect(receiver.running(), "millraced is gone")
    receiver.stop()


rig.run(each_malformed_packet_is_its_own_drop, a_zero_checksum_is_valid_on_ipv4,
        random_damage_never_stops_a_partition)
