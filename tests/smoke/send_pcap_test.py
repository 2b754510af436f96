#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 180
"""millrace send --reliable --pcap and millraced: the UDP payloads of captures of every kind of link
are in the log in their order, and the account names what was skipped."""

import json
import time

import jsonschema
import logread
import rig
import scapy.all as scapy
from rig import MILLRACE, PORT, RECEIVER4, TREE, expect, expect_equal
from scapy.layers.l2 import CookedLinux, CookedLinuxV2

LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"}]
SCHEMA = json.loads((TREE / "docs/schema/send-reliable.1.json").read_text())
LINKS = {"ethernet": 1, "raw": 101, "cooked": 113, "ipv4": 228, "ipv6": 229, "cooked2": 276}
SKIPPED = {"not_ip": 0, "not_udp": 0, "fragment": 0, "cut": 0, "malformed": 0}

V4 = scapy.IP(src="192.0.2.1", dst="192.0.2.2")
V6 = scapy.IPv6(src="2001:db8::1", dst="2001:db8::2")
FRAME = scapy.Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")


def datagram(text):
    return scapy.UDP(sport=40000, dport=514) / text.encode()


def send(net, path, *words, code=0, to=f"{RECEIVER4}:{PORT}"):
    done = net.sh("tx", MILLRACE, "--json", "send", "--reliable", to, "--pcap", path, *words,
                  check=False)
    expect_equal(done.returncode, code, f"exit code of millrace send ({done.stderr})")
    if not done.stdout:
        return None, done.stderr
    envelope = json.loads(done.stdout)
    jsonschema.validate(envelope, SCHEMA)
    return envelope, done.stderr


def write(r, name, link, packets):
    path = r.home / name
    writer = scapy.RawPcapWriter(str(path), linktype=LINKS[link])
    writer.write_header(None)
    for packet in packets:
        packet, length = packet if isinstance(packet, tuple) else (packet, None)
        writer.write_packet(bytes(packet), wirelen=length)
    writer.close()
    return path


def receiver_of(r, net):
    return r.receiver(net, device="af_xdp:rx0", listeners=LISTENERS).start()


# Captures of packets that all have a payload: their number.
WHOLE = {
    "ethernet": [
        FRAME / V4 / datagram("plain 0"),
        FRAME / scapy.Dot1Q(vlan=7) / V4 / datagram("plain 1"),
        FRAME / scapy.Dot1AD(vlan=9) / scapy.Dot1Q(vlan=7) / V6 / datagram("plain 2"),
        FRAME / scapy.IP(src="192.0.2.1", dst="192.0.2.2", options=[scapy.IPOption_NOP()] * 4)
        / datagram("plain 3"),
        FRAME / V6 / scapy.IPv6ExtHdrHopByHop() / scapy.IPv6ExtHdrRouting()
        / scapy.IPv6ExtHdrDestOpt() / datagram("plain 4"),
        FRAME / V4 / datagram("plain 5") / scapy.Padding(b"\0" * 9),
        FRAME / V4 / datagram("plain 6 " + "x" * 1400),
    ],
    "raw": [V4 / datagram("plain 0"), V6 / datagram("plain 1")],
    "ipv4": [V4 / datagram("plain 0")],
    "ipv6": [V6 / datagram("plain 0")],
    "cooked": [CookedLinux(proto=0x800) / V4 / datagram("plain 0"),
               CookedLinux(proto=0x86dd) / V6 / datagram("plain 1")],
    "cooked2": [CookedLinuxV2(proto=0x800) / V4 / datagram("plain 0"),
                CookedLinuxV2(proto=0x86dd) / V6 / datagram("plain 1")],
}


def payloads_of_every_link_are_in_the_log(r):
    net = r.net()
    receiver = receiver_of(r, net)
    wanted = []
    for link, packets in WHOLE.items():
        path = write(r, link, link, packets)
        envelope, _ = send(net, path)
        data = envelope["data"]
        expect_equal(data["acknowledged"], len(packets), f"acknowledged of {link}")
        expect_equal(data["capture"], {"packets": len(packets), "skipped": SKIPPED}, link)
        expect_equal((data["id"], data["follow"]), (None, None), "what it has not")
        wanted += [packet[scapy.Raw].load for packet in packets]
    # pcapng, which libpcap reads when all its packets are of one link.
    path = r.home / "new.pcapng"
    with scapy.PcapNgWriter(str(path)) as writer:
        writer.write([FRAME / V4 / datagram("by pcapng"), FRAME / V6 / datagram("")])
    envelope, _ = send(net, path)
    expect_equal(envelope["data"]["acknowledged"], 2, "acknowledged of pcapng")
    receiver.at_rest()
    receiver.stop()
    expect_equal(logread.read_events(receiver.data), wanted + [b"by pcapng", b""], "events")


def what_is_no_datagram_is_counted_by_its_name(r):
    net = r.net()
    receiver = receiver_of(r, net)
    whole = FRAME / V4 / datagram("z" * 3000)
    parts = [FRAME / part for part in scapy.fragment(V4 / datagram("z" * 3000), fragsize=1400)]
    parts6 = [FRAME / part for part in scapy.fragment6(
        V6 / scapy.IPv6ExtHdrFragment() / datagram("z" * 3000), 1400)]
    expect(len(parts) >= 3 and len(parts6) >= 3, "there are fragments")
    longer = bytearray(bytes(FRAME / V4 / datagram("too short")))
    longer[14 + 20 + 5] += 1  # the datagram's length
    packets = [
        FRAME / V4 / datagram("first"),
        FRAME / scapy.ARP(),
        scapy.Dot3(src="02:00:00:00:00:01", dst="01:80:c2:00:00:00") / scapy.LLC() / scapy.STP(),
        FRAME / V4 / scapy.TCP(),
        FRAME / V4 / scapy.ICMP(),
        FRAME / V6 / scapy.ICMPv6EchoRequest(),
        *parts, *parts6,
        (bytes(whole)[:96], len(whole)),
        (bytes(whole)[:20], len(whole)),
        bytes(longer),
        FRAME / V4 / datagram("last"),
    ]
    path = write(r, "mixed", "ethernet", packets)
    envelope, _ = send(net, path)
    skipped = {"not_ip": 2, "not_udp": 3, "fragment": len(parts) + len(parts6), "cut": 2,
               "malformed": 1}
    expect_equal(envelope["data"]["capture"], {"packets": len(packets), "skipped": skipped},
                 "account")
    done = net.sh("tx", MILLRACE, "send", "--reliable", f"{RECEIVER4}:{PORT}", "--pcap", path)
    for text in (f"{len(packets)} packets in the capture", "skipped: 2 not_ip (not IP)",
                 "skipped: 2 cut (cut by the capture's snaplen)"):
        expect(text in done.stderr, f"{text}: {done.stderr}")
    receiver.at_rest()
    receiver.stop()
    expect_equal(logread.read_events(receiver.data), [b"first", b"last"] * 2, "events in the log")


def a_torn_capture_is_an_error_with_the_packets_number(r):
    net = r.net()
    receiver = receiver_of(r, net)
    path = write(r, "torn", "raw", [V4 / datagram(f"number {i}") for i in range(3)])
    path.write_bytes(path.read_bytes()[:-5])
    envelope, _ = send(net, path, code=1)
    expect_equal(envelope["data"]["acknowledged"], 2, "acknowledged")
    expect_equal([w["code"] for w in envelope["warnings"]], ["input"], "warnings")
    expect(f"{path}, packet 3: truncated" in envelope["warnings"][0]["text"], envelope["warnings"])
    for content, text in ((b"no capture at all, but some text", "is no capture that can be read"),
                          (b"", "is no capture that can be read"), (None, "No such file")):
        path = r.home / "other"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
        _, err = send(net, path, code=2)
        expect(text in err, err)
    LINKS["wireless"] = 105
    _, err = send(net, write(r, "wireless", "wireless", [b"x"]), code=2)
    expect("Ethernet, raw IP and Linux cooked are read" in err, err)
    receiver.at_rest()
    receiver.stop()
    expect_equal(logread.read_events(receiver.data), [b"number 0", b"number 1"], "events")


def a_rate_paces_them(r):
    net = r.net()
    receiver = receiver_of(r, net)
    path = write(r, "many", "raw", [V4 / datagram(f"number {i}") for i in range(200)])
    begin = time.monotonic()
    send(net, path, "--rate", 100)
    expect(time.monotonic() - begin > 1.9, "200 events at 100/s took less than two seconds")
    send(net, path, "--count", 50)
    receiver.at_rest()
    receiver.stop()
    expect_equal(len(logread.read_events(receiver.data)), 250, "events in the log")


rig.run(payloads_of_every_link_are_in_the_log, what_is_no_datagram_is_counted_by_its_name,
        a_torn_capture_is_an_error_with_the_packets_number, a_rate_paces_them)
