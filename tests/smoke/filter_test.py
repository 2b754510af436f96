#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""Who may send: allow-lists and the rate of a source, each a named drop, while others go on."""

import frames
import logread
import rig
from rig import PORT, RECEIVER4, RECEIVER6, SENDER4, expect, expect_equal

STRANGER, NEIGHBOUR6, OTHER6 = "10.77.0.99", "fd77::1", "fd77::99"


def send_from(net, source, payload):
    net.sh("tx", "nc", "-u", "-q", "0", "-s", source, RECEIVER4, PORT, input=payload)


def only_allowed_networks_are_heard(r):
    net = r.net(quiet=True)
    net.sh("tx", "ip", "addr", "add", f"{STRANGER}/24", "dev", "src0")
    receiver = r.receiver(net, device="af_xdp:rx0", listeners=[
        {"name": "plain", "port": PORT, "allow": ["10.77.0.0/29", "fd77::/125"]}]).start()
    send_from(net, SENDER4, "allowed by IPv4")
    send_from(net, STRANGER, "denied by IPv4")
    # By hand: a kernel that speaks IPv6 has messages of its own, which would be drops here.
    wire, to = net.frame_socket(), frames.mac(net.mac("rx", "rx0"))
    for source, payload in (NEIGHBOUR6, b"allowed by IPv6"), (OTHER6, b"denied by IPv6"):
        wire.send(frames.udp6(to, b"\2" * 6, source, RECEIVER6, (4000, PORT), payload))
    receiver.wait_durable(2)
    receiver.at_rest()
    expect_equal(receiver.drops(), {"source_denied": 2}, "drops")
    receiver.stop()
    expect_equal(logread.read_all(receiver.data), [b"allowed by IPv4", b"allowed by IPv6"], "log")


def a_source_that_sends_too_much_disturbs_only_itself(r):
    net = r.net(quiet=True)
    net.sh("tx", "ip", "addr", "add", f"{STRANGER}/24", "dev", "src0")
    receiver = r.receiver(net, device="af_xdp:rx0", listeners=[
        {"name": "plain", "port": PORT, "source_rate": 500}]).start()
    account = net.send_events("--rate", 10000, "--count", 20000)
    send_from(net, STRANGER, "not too much")
    rest = receiver.at_rest(30)
    drops = receiver.drops()
    taken = rest["events"]["durable"] - 1
    expect_equal(taken + drops["source_rate"], account["sent"] - net.refused(), f"taken and {drops}")
    # Two seconds of 500, and what comes at once.
    expect(800 <= taken <= 500 * 2.5 * rig.PATIENCE + 100, f"{taken} were taken")
    receiver.stop()
    payloads = logread.read_all(receiver.data)
    expect(b"not too much" in payloads, "the other source was heard")


rig.run(only_allowed_networks_are_heard, a_source_that_sends_too_much_disturbs_only_itself)
