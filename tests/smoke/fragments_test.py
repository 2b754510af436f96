#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""Datagrams longer than the MTU, which the sender's kernel cuts up: put together by the receiver."""

import socket

import frames
import logread
import rig
from rig import PORT, RECEIVER4, RECEIVER6, expect, expect_equal, wait_until

DATAGRAMS = 200


def payload(number, size):
    return (b"%08d" % number + bytes((number * 7 + i) % 251 for i in range(size)))[:size]


def send(net, family, address, sizes):
    sock = net.udp_socket(family)
    for number, size in enumerate(sizes):
        sock.sendto(payload(number, size), (address, PORT))


def counter(receiver, name):
    return next(row["value"] for row in receiver.get("/api/v1/stats")
                if (row["subsystem"], row["name"]) == ("lcore", name))


def sizes():
    """Up to 8 fragments of an MTU of 1500, some in one piece."""
    return [200 + (number * 397) % 11000 for number in range(DATAGRAMS)]


def datagrams_come_whole(r, **config):
    net = r.net()
    receiver = r.receiver(net, device="af_xdp:rx0", **config).start()
    send(net, socket.AF_INET, RECEIVER4, sizes())
    receiver.wait_durable(DATAGRAMS)
    send(net, socket.AF_INET6, RECEIVER6, sizes())
    receiver.wait_durable(2 * DATAGRAMS)
    expect(counter(receiver, "joined_fragments") > 4 * DATAGRAMS, "fragments were joined")
    receiver.at_rest()
    # The sender's kernel has messages of its own for all routers and the like.
    drops = {name for name in receiver.drops() if name not in ("ip_other_host", "icmp_other")}
    expect_equal(drops, set(), "drops")
    receiver.stop()
    wanted = [payload(number, size) for number, size in enumerate(sizes())]
    found = logread.read_all(receiver.data)
    expect_equal(sorted(found), sorted(wanted + wanted), "events in the log")


def fragments_become_the_datagrams_that_they_were(r):
    datagrams_come_whole(r)


def so_they_do_through_a_ring(r):
    datagrams_come_whole(r, mode="pipeline", rx_lcores=1, cpus="0-1")


def what_never_becomes_whole_is_given_up(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net, device="af_xdp:rx0",
                          fragments={"flows": 64, "timeout": "200ms"}).start()
    wire, to = net.frame_socket(), frames.mac(net.mac("rx", "rx0"))
    half = frames.udp(4000, PORT, bytes(1400), length=4000)
    for ident in range(1000):
        wire.send(frames.ip4(to, b"\2" * 6, rig.SENDER4, RECEIVER4, socket.IPPROTO_UDP, half, ident,
                             0x2000))
    net.sh("tx", "nc", "-u", "-q", "0", RECEIVER4, PORT, input="in one piece")
    receiver.wait_durable(1)
    wait_until(lambda: counter(receiver, "held_fragments") == 0, "all were given up", 10)
    drops = receiver.drops()
    expect_equal(drops.get("frag_full", 0) + drops.get("frag_timeout", 0), 1000 - net.refused(),
                 f"fragments given up: {drops}")
    expect(drops.get("frag_full", 0) > 0, f"the table had no bound: {drops}")
    receiver.at_rest()
    # And the next one that does become whole is taken.
    send(net, socket.AF_INET, RECEIVER4, [8000])
    receiver.wait_durable(2)
    receiver.stop()


rig.run(fragments_become_the_datagrams_that_they_were, so_they_do_through_a_ring,
        what_never_becomes_whole_is_given_up)
