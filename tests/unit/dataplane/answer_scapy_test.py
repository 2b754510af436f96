#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Inquiries that scapy makes, the answers read by scapy, checksums included."""

import random
import struct
import subprocess
import sys

try:
    from scapy.layers.inet import ICMP, IP, IPOption_NOP, IPOption_RR, UDP
    from scapy.layers.inet6 import (
        ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptDstLLAddr,
        ICMPv6NDOptSrcLLAddr, IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting,
        RouterAlert)
    from scapy.layers.l2 import ARP, Dot1AD, Dot1Q, Ether
    from scapy.packet import Raw
except ImportError:
    print("scapy is not installed")
    sys.exit(77)

HOST_MAC, PEER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"
HOST4, PEER4 = "192.0.2.1", "192.0.2.9"
HOST6, PEER6 = "2001:db8::1", "2001:db8::9"
NODE6, NODE_MAC = "ff02::1:ff00:1", "33:33:ff:00:00:01"


def tags(rng):
    return rng.choice([None, Dot1Q(vlan=7, prio=3), Dot1AD(vlan=9) / Dot1Q(vlan=7)])


def frame(rng, dst, upper):
    tag = tags(rng)
    head = Ether(dst=dst, src=PEER_MAC)
    return head / upper if tag is None else head / tag / upper


def data(rng):
    return rng.randbytes(rng.choice([0, 1, 2, 17, 56, 999, 1400]))


def arp(rng):
    sender = rng.choice([PEER4, "0.0.0.0"])
    packet = frame(rng, "ff:ff:ff:ff:ff:ff", ARP(
        op=1, hwsrc=PEER_MAC, psrc=sender, hwdst="00:00:00:00:00:00", pdst=HOST4))

    def check(answer):
        got = answer[ARP]
        assert (got.op, got.hwsrc, got.psrc) == (2, HOST_MAC, HOST4)
        assert (got.hwdst, got.pdst, answer.dst) == (PEER_MAC, sender, PEER_MAC)
    return packet, check


def echo4(rng):
    options = rng.choice([[], [IPOption_NOP()] * 4, [IPOption_RR(routers=["0.0.0.0"] * 3)]])
    number, payload = rng.randrange(65536), data(rng)
    packet = frame(rng, HOST_MAC, IP(src=PEER4, dst=HOST4, id=5, tos=0x28, options=options) /
                   ICMP(type=8, id=number, seq=3) / Raw(payload))

    def check(answer):
        ip, icmp = answer[IP], answer[ICMP]
        assert (ip.src, ip.dst, ip.tos, ip.ihl) == (HOST4, PEER4, 0x28, 5)
        assert (icmp.type, icmp.code, icmp.id, icmp.seq) == (0, 0, number, 3)
        assert bytes(icmp.payload)[:len(payload)] == payload
        assert answer.dst == PEER_MAC
    return packet, check


def echo6(rng):
    number, payload = rng.randrange(65536), data(rng)
    upper = IPv6(src=PEER6, dst=HOST6)
    for header in rng.choice([
            [], [IPv6ExtHdrHopByHop(options=[RouterAlert()])],
            [IPv6ExtHdrDestOpt(), IPv6ExtHdrRouting(type=4, segleft=0)]]):
        upper = upper / header
    packet = frame(rng, HOST_MAC, upper / ICMPv6EchoRequest(id=number, seq=3, data=payload))

    def check(answer):
        assert (answer[IPv6].src, answer[IPv6].dst, answer[IPv6].nh) == (HOST6, PEER6, 58)
        got = answer[ICMPv6EchoReply]
        assert (got.id, got.seq, got.data) == (number, 3, payload)
    return packet, check


def solicit(rng):
    source = rng.choice([PEER6, "fe80::9", "::"])
    nd = ICMPv6ND_NS(tgt=HOST6)
    if source != "::" and rng.random() < 0.7:
        nd = nd / ICMPv6NDOptSrcLLAddr(lladdr=PEER_MAC)
    packet = frame(rng, NODE_MAC, IPv6(src=source, dst=NODE6, hlim=255) / nd)

    def check(answer):
        ip, got = answer[IPv6], answer[ICMPv6ND_NA]
        probe = source == "::"
        assert (ip.src, ip.hlim) == (HOST6, 255)
        assert ip.dst == ("ff02::1" if probe else source)
        assert answer.dst == ("33:33:00:00:00:01" if probe else PEER_MAC)
        assert (got.R, got.S, got.O, got.tgt) == (0, 0 if probe else 1, 1, HOST6)
        assert answer[ICMPv6NDOptDstLLAddr].lladdr == HOST_MAC
    return packet, check


def datagram(rng):
    return frame(rng, HOST_MAC, IP(src=PEER4, dst=HOST4) / UDP(dport=9) / Raw(b"x")), None


def resealed(answer):
    """The same bytes with lengths and checksums as scapy computes them."""
    copy = Ether(bytes(answer))
    for layer in (IP, ICMP, IPv6, ICMPv6EchoReply, ICMPv6ND_NA):
        if layer in copy:
            for field in ("len", "plen", "ihl", "chksum", "cksum"):
                if field in copy[layer].fields:
                    del copy[layer].fields[field]
    return bytes(copy)


def check_answer(inquiry, check, raw):
    if check is None:
        assert raw == b"", "answered"
        return
    assert 60 <= len(raw) <= max(60, len(inquiry)) + (8 if ICMPv6ND_NS in inquiry else 0)
    answer = Ether(raw)
    assert answer.src == HOST_MAC
    for layer in (Dot1AD, Dot1Q):
        assert (layer in inquiry) == (layer in answer)
        assert layer not in inquiry or inquiry[layer].vlan == answer[layer].vlan
    check(answer)
    assert resealed(answer) == raw, "lengths or checksums are not as scapy has them"


def ask(program, frames):
    text = b"".join(struct.pack(">H", len(f)) + f for f in frames)
    out = subprocess.run([program], input=text, capture_output=True, check=True).stdout
    while out:
        size = struct.unpack(">H", out[:2])[0]
        yield out[2:2 + size]
        out = out[2 + size:]


def main():
    rng = random.Random(4)
    cases = [make(rng) for _ in range(60) for make in (arp, echo4, echo6, solicit, datagram)]
    inquiries = [Ether(bytes(packet)) for packet, _ in cases]
    answers = list(ask(sys.argv[1], [bytes(packet) for packet in inquiries]))
    assert len(answers) == len(cases)
    for inquiry, (_, check), raw in zip(inquiries, cases, answers):
        try:
            check_answer(inquiry, check, raw)
        except Exception:
            print("inquiry:", inquiry.summary(), bytes(inquiry).hex())
            print("answer: ", raw.hex())
            raise
    print(f"{len(cases)} inquiries")


main()
