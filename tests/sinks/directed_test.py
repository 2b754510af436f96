#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# long
# timeout: 300
"""What the mutants in tests/mutants are tried with: the campaign's short form, kills of the receiver and
transactions that come to no end; and power cuts, for a kill leaves what the kernel has."""

import random

import campaign
import checker
import sinks
from disk import FlakyDisk
from rig import expect

FAULTS = {"receiver_killed": 6, "broker_paused": 3, "socket_cut": 2}
CUTS = 4
SEED = campaign.take_seed()


def power_cuts_take_nothing_that_was_acknowledged(r, cluster):
    """Under the sink, too: it gets nothing that the log could lose."""
    print(f"seed {SEED}", flush=True)
    dice, sent = random.Random(SEED), checker.Sent()
    disk, net = FlakyDisk(r), sinks.net_with(r, cluster)
    receiver = sinks.receiver_of(r, net, [sinks.kafka_sink(cluster, "cut")], data=disk.dir / "data")
    disk.plug()
    disk.control("slow-flush 20")  # ms: what is acknowledged too early is far from the disk
    receiver.start()
    for number in range(CUTS):
        senders = [sinks.Told(r, net, f"cut-{number}-{n}") for n in range(3)]
        for sender in senders:
            sender.wait_more(300)
        disk.control(f"cut {SEED + number}")
        receiver.kill()
        for sender in senders:
            sender.kill()
            sent.add_told(sender.account())
        disk.unplug()
        disk.plug()
        disk.control(f"slow-flush {dice.choice((1, 5, 20))}")
        receiver.start()
    sinks.wait_delivered(receiver)
    receiver.stop()
    expect(sent.certain() > 900 * CUTS, f"only {sent.certain()} events were acknowledged")
    sinks.expect_all(sent, checker.read_kafka(cluster, "cut-"))


def what_protects_exactly_once_is_needed(r, cluster):
    campaign.run(r, cluster, SEED, 200_000, FAULTS, 60)


sinks.run(power_cuts_take_nothing_that_was_acknowledged, what_protects_exactly_once_is_needed)
