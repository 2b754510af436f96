#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""VLAN and QinQ: events behind tags arrive, inquiries behind tags are answered behind them."""

import logging
import select
import struct
import time

import logread
import rig
from rig import PORT, RECEIVER4, SENDER4, expect, expect_equal

logging.getLogger("scapy.runtime").setLevel(logging.ERROR)

from scapy.all import ARP, Dot1AD, Dot1Q, Ether, ICMP, IP, Raw, UDP  # noqa: E402

TAGS = {"vlan": lambda: Dot1Q(vlan=5), "qinq": lambda: Dot1AD(vlan=100) / Dot1Q(vlan=5)}


SOL_PACKET, PACKET_AUXDATA = 263, 8  # linux/if_packet.h


def receive(wire):
    """A frame and its tags, the outermost first. That one the kernel takes out and tells beside."""
    data, beside, _, _ = wire.recvmsg(2048, 256)
    frame, tags = Ether(data), []
    for level, kind, body in beside:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, _ = struct.unpack("IIIHHHH", body)
            tags += [tci & 0xfff] if status & 0x10 else []  # TP_STATUS_VLAN_VALID
    tags += [layer.vlan for layer in (frame.getlayer(Dot1AD), frame.getlayer(Dot1Q)) if layer]
    return frame, tags


def answer(wire, wanted, seconds=5.0):
    """The next frame on the wire for which wanted() holds, and its tags."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([wire], [], [], 0.1)[0]:
            frame, tags = receive(wire)
            if wanted(frame):
                return frame, tags
    raise AssertionError("no answer came")


def tagged(r, device, tags):
    """The kernel here has no VLAN devices, so whole frames are put on the wire and taken off it."""
    net = r.net(quiet=True)
    receiver = r.receiver(net, device=device).start()
    wire = net.frame_socket(everything=True)
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    mac, mine = net.mac("rx", "rx0"), net.mac("tx", "src0")
    to_us = Ether(src=mine, dst=mac)
    wire.send(bytes(Ether(src=mine, dst="ff:ff:ff:ff:ff:ff") / TAGS[tags]()
                    / ARP(op=1, hwsrc=mine, psrc=SENDER4, pdst=RECEIVER4)))
    reply, reply_tags = answer(wire, lambda f: ARP in f and f[ARP].op == 2)
    expect_equal(reply[ARP].hwsrc, mac, "MAC in the ARP reply")
    wire.send(bytes(to_us / TAGS[tags]() / IP(src=SENDER4, dst=RECEIVER4) / ICMP(id=7, seq=9)
                    / Raw(b"echo behind a tag")))
    echo, echo_tags = answer(wire, lambda f: ICMP in f and f[ICMP].type == 0)
    expect_equal((echo[ICMP].id, echo[ICMP].seq), (7, 9), "id and seq of the echo reply")
    for found, what in ((reply_tags, "ARP reply"), (echo_tags, "echo reply")):
        expect_equal(found, {"vlan": [5], "qinq": [100, 5]}[tags], f"tags of the {what}")
    wire.send(bytes(to_us / TAGS[tags]() / IP(src=SENDER4, dst=RECEIVER4)
                    / UDP(sport=1000, dport=PORT) / Raw(b"behind a tag")))
    receiver.wait_durable(1)
    receiver.at_rest()
    receiver.stop()
    expect_equal(logread.read_all(receiver.data), [b"behind a tag"], "log")
    expect(receiver.running() is False, "millraced goes on")


def vlan_by_af_packet(r):
    tagged(r, "af_packet:rx0", "vlan")


def vlan_by_af_xdp(r):
    tagged(r, "af_xdp:rx0", "vlan")


def qinq_by_af_xdp(r):
    tagged(r, "af_xdp:rx0", "qinq")


rig.run(vlan_by_af_packet, vlan_by_af_xdp, qinq_by_af_xdp)
