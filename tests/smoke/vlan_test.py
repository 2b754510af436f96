#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""VLAN and QinQ: events behind tags arrive, inquiries behind tags are answered behind them."""

import logread
import rig
from rig import PORT, expect_equal


def tagged(r, device, *tags):
    net = r.net()
    # Tags stand in the frame as they would on a wire.
    net.sh("tx", "ethtool", "-K", "src0", "txvlan", "off", "tx-vlan-stag-hw-insert", "off",
           check=False)
    parent = "src0"
    for protocol, tag in tags:
        child = f"v{tag}"
        net.sh("tx", "ip", "link", "add", "link", parent, "name", child, "type", "vlan",
               "proto", protocol, "id", tag)
        net.sh("tx", "ip", "link", "set", child, "up")
        parent = child
    net.sh("tx", "ip", "addr", "add", "10.78.0.1/24", "dev", parent)
    receiver = r.receiver(net, device=device)
    receiver.config["ports"][0]["addresses"].append("10.78.0.2/24")
    receiver.start()
    net.sh("tx", "ping", "-c", "1", "-W", "5", "10.78.0.2")
    net.sh("tx", "logger", "-n", "10.78.0.2", "-P", PORT, "-d", "behind a tag")
    receiver.wait_durable(1)
    receiver.at_rest()
    receiver.stop()
    payloads = logread.read_all(receiver.data)
    expect_equal([p.endswith(b"behind a tag") for p in payloads], [True], f"log {payloads}")


def vlan_by_af_packet(r):
    tagged(r, "af_packet:rx0", ("802.1Q", 5))


def vlan_by_af_xdp(r):
    tagged(r, "af_xdp:rx0", ("802.1Q", 5))


def qinq_by_af_xdp(r):
    tagged(r, "af_xdp:rx0", ("802.1ad", 100), ("802.1Q", 5))


rig.run(vlan_by_af_packet, vlan_by_af_xdp, qinq_by_af_xdp)
