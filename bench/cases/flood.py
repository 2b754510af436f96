#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What a flood costs: the rate at which no event is lost, without a flood and with each kind of it,
a million frames a second, on the same lcore.

The frames come from a capture at the pace of a wire (bench/pool_pace.c); what finds the queue full
is lost, whichever it is. The rate is found by halving.
"""

import pathlib
import random
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import FRAMES, LOG, MBUFS, PACE_QUEUE, POOL, Window, pace, pcap_port  # noqa: E402
from harness import Millraced, cpus, main, seconds  # noqa: E402

FLOOD = 1_000_000  # frames/s
LOW, HIGH = 1_000_000, 12_000_000
STEPS = 5
WARM_UP = 2  # s
GOAL = 0.9

MAC = bytes.fromhex("027063617000")  # what net_pcap0 calls itself
PEER = bytes.fromhex("020000000002")
OURS, PEERS = socket.inet_aton("10.9.0.1"), socket.inet_aton("198.18.0.1")
OURS6, PEERS6 = (socket.inet_pton(socket.AF_INET6, a) for a in ("fd09::1", "fd09::2"))


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip4(proto, payload, fragment=0, ident=0, source=PEERS):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), ident, fragment, 64, proto, 0,
                       source, OURS)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return MAC + PEER + b"\x08\x00" + head + payload


def udp(port, payload):
    return struct.pack("!HHHH", 40000, port, 8 + len(payload), 0) + payload


def event(_):
    return ip4(17, udp(Millraced.PORT, b"x" * 100))


def arp(number):
    sender = socket.inet_aton("10.9.0.%d" % (2 + number % 250))
    return (b"\xff" * 6 + PEER + struct.pack("!HHHBBH", 0x806, 1, 0x800, 6, 4, 1) + PEER + sender
            + bytes(6) + OURS + bytes(18))


def solicit(_):
    message = bytearray(struct.pack("!BBHI", 135, 0, 0, 0) + OURS6 + b"\x01\x01" + PEER)
    pseudo = PEERS6 + OURS6 + struct.pack("!II", len(message), 58)
    message[2:4] = struct.pack("!H", checksum(pseudo + bytes(message)))
    head = struct.pack("!IHBB", 6 << 28, len(message), 58, 255)
    return MAC + PEER + b"\x86\xdd" + head + PEERS6 + OURS6 + bytes(message)


def fragment(number):
    """First halves of datagrams that never become whole, each of a datagram of its own."""
    source = struct.pack("!I", 0xc6120000 + number)
    return ip4(17, udp(Millraced.PORT, b"y" * 40), fragment=0x2000, ident=number & 0xffff,
               source=source)


def stranger(number):
    """TCP from anywhere: what an exception device would get."""
    source = struct.pack("!I", 0xc6130000 + number)
    return ip4(6, struct.pack("!HHIIHHHH", 1024 + number % 50000, 22, 1, 0, 0x5002, 1024, 0, 0),
               source=source)


FLOODS = {"none": None, "arp": arp, "nd": solicit, "fragments": fragment, "strangers": stranger}


def capture(case, make, events_per_second):
    """FRAMES frames, events and flood mixed by their rates in an order of chance."""
    share = FLOOD / (FLOOD + events_per_second) if make else 0
    floods = round(FRAMES * share)
    frames = [make(i) for i in range(floods)] + [event(i) for i in range(FRAMES - floods)]
    random.Random(1).shuffle(frames)
    path = case.dir / "flood.pcap"
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for frame in frames:
            out.write(struct.pack("<IIII", 0, 0, len(frame), len(frame)) + frame)
    return path


def trial(case, make, rate, duration, cpu, port):
    """Frames lost of those offered, and what the receiver did."""
    total = rate + (FLOOD if make else 0)
    env = {"MILLRACE_BENCH_RATE": str(total), "MILLRACE_BENCH_QUEUE": str(PACE_QUEUE),
           "MILLRACE_BENCH_WARM_UP": str(WARM_UP)}
    receiver = Millraced(case, pcap_port(capture(case, make, rate)), cpu, log=LOG,
                         memory={"mbufs": MBUFS}, program=POOL, env=env, port=port)
    # Longer than the window that is asked for: the pacer counts from its warm-up to the stop.
    window = Window(receiver, WARM_UP + 1 + duration)
    receiver.stop()
    return pace(receiver)[1], window


def loss_free(case, make, duration, cpu, port):
    low, high, best = LOW, HIGH, None
    for _ in range(STEPS):
        rate = round((low * high) ** 0.5)
        lost, window = trial(case, make, rate, duration, cpu, port)
        if lost:  # once more: a virtual CPU stands still now and then
            lost, window = trial(case, make, rate, duration, cpu, port)
        if lost:
            high = rate
        else:
            low, best = rate, window
    return low, best


def run(case):
    duration = seconds(5)
    cpu, _ = cpus()
    alone = None
    for name, make in FLOODS.items():
        port = {"addresses": ["10.9.0.1/24", "fd09::1/64"]}
        rate, window = loss_free(case, make, duration, cpu, port)
        case.row(f"{name}_loss_free_per_second", rate, "events/s", alone and alone * GOAL)
        alone = alone or rate
        if window:
            case.row(f"{name}_answers", window.delta["lcore.answers"] / window.elapsed, "1/s")


sys.exit(main("flood", run))
