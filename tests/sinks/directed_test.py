#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# long
# timeout: 300
"""What the mutants in tests/mutants are tried with: the campaign's short form, kills of the receiver and
transactions that come to no end; and power cuts, for a kill leaves what the kernel has."""

import contextlib

import campaign
import checker
import sinks
from disk import FlakyDisk
from rig import expect

FAULTS = {"receiver_killed": 6, "broker_paused": 3, "socket_cut": 2}
CUTS = 4
SEED = campaign.take_seed()


def cuts_and_kills_lose_nothing_and_double_nothing(r, cluster):
    """With a slow disk: much is written and not acknowledged, and comes again."""
    print(f"seed {SEED}", flush=True)
    sent, disk, net = checker.Sent(), FlakyDisk(r), sinks.net_with(r, cluster)
    receiver = sinks.receiver_of(r, net, [sinks.kafka_sink(cluster, "cut")], data=disk.dir / "data")
    disk.plug()
    disk.control("slow-flush 20")  # ms
    receiver.start()
    for number in range(CUTS):
        senders = [sinks.Told(r, net, f"cut-{number}-{n}") for n in range(3)]
        for sender in senders:
            sender.wait_more(300)
        if number % 2:
            receiver.kill()
        else:
            disk.control(f"cut {SEED + number}")
            receiver.kill()
            disk.unplug()
            disk.plug()
            disk.control("slow-flush 20")
        receiver.start()
        for sender in senders:
            # One that was told too much waits for ever: the checker is to say what is wrong.
            with contextlib.suppress(AssertionError):
                sender.wait_more(100, 10)
            sender.kill()
            sent.add_told(sender.account())
    sinks.wait_delivered(receiver)
    receiver.stop()
    expect(sent.certain() > 900 * CUTS, f"only {sent.certain()} events were acknowledged")
    sinks.expect_all(sent, checker.read_kafka(cluster, "cut-"))


def what_protects_exactly_once_is_needed(r, cluster):
    campaign.run(r, cluster, SEED, 200_000, FAULTS, 60)


sinks.run(cuts_and_kills_lose_nothing_and_double_nothing, what_protects_exactly_once_is_needed)
