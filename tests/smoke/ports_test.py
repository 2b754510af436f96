#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""Several ports, rx queues, lcores and partitions in one receiver, in both modes."""

import logread
import rig
from rig import OTHER_RECEIVER4, RECEIVER4, expect, expect_equal

FLOWS = 32
EVENTS = 20000


def both_wires(r, **config):
    """One port by AF_PACKET with two queues, one by AF_XDP, two partitions on two lcores."""
    net = r.net(quiet=True)
    net.second_wire()
    net.sh("tx", "ip", "neigh", "replace", OTHER_RECEIVER4, "lladdr", net.mac("rx", "rx1"), "dev",
           "src1", "nud", "permanent")
    receiver = r.receiver(net, partitions=2, cpus="0-1", **config)
    receiver.config["ports"] = [
        {"name": "first", "device": "af_packet:rx0", "rx_queues": 2,
         "addresses": [f"{RECEIVER4}/24"]},
        {"name": "second", "device": "af_xdp:rx1", "addresses": [f"{OTHER_RECEIVER4}/24"]}]
    receiver.start()
    rate = 4000 if rig.SANITIZED else 20000
    accounts = [net.send_events("--rate", rate, "--count", EVENTS, "--flows", FLOWS),
                net.send_events("--rate", rate, "--count", EVENTS, "--flows", FLOWS,
                                to=OTHER_RECEIVER4)]
    rest = receiver.at_rest(30)
    expect_equal(rest["packets"]["in"], 2 * EVENTS, f"packets in ({receiver.drops()})")
    lost = {name: count for name, count in receiver.drops().items() if count}
    expect(not lost, f"packets were dropped at a rate that is no load: {lost}")
    durable = [int(p["durable_seq"]) for p in receiver.get("/api/v1/partitions")]
    ports = {p["name"]: p for p in receiver.get("/api/v1/ports")}
    expect_equal(sorted(ports), ["first", "second"], "ports")
    for port in ports.values():
        expect_equal(port["rx_packets_total"] + port["rx_missed_total"], EVENTS,
                     f"packets of port {port['name']}")
    receiver.stop()
    expect(all(durable), f"a partition got nothing: {durable}")
    by_partition = [logread.read_partition(path)[1] for path in logread.partitions(receiver.data)]
    for account in accounts:
        numbers = [logread.sent_numbers(payloads, account["id"]) for payloads in by_partition]
        expect_equal(sorted(sum(numbers, [])), list(range(EVENTS)), "events of one sender")
        # A flow has one partition, and keeps its order there.
        flows = [{n % FLOWS for n in part} for part in numbers]
        expect_equal(flows[0] & flows[1], set(), "flows in both partitions")
        for part in numbers:
            for flow in range(FLOWS):
                mine = [n for n in part if n % FLOWS == flow]
                expect_equal(mine, sorted(mine), f"order of flow {flow}")


def run_to_completion(r):
    both_wires(r, mode="run-to-completion")


def pipeline(r):
    receiver_cpus = {"mode": "pipeline", "rx_lcores": 1, "partitions": 1}
    net = r.net(quiet=True)
    receiver = r.receiver(net, cpus="0-1", **receiver_cpus).start()
    account = net.send_events("--rate", 20000, "--count", EVENTS, "--flows", FLOWS)
    rest = receiver.at_rest(30)
    expect_equal(rest["events"]["durable"], EVENTS, f"durable ({receiver.drops()})")
    receiver.stop()
    numbers = logread.sent_numbers(logread.read_all(receiver.data), account["id"])
    expect_equal(sorted(numbers), list(range(EVENTS)), "events")


rig.run(run_to_completion, pipeline)
