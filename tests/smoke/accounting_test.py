#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 300
"""Under overload the two identities are exact at rest, and their left side is the sender's count.

Sent = what the sender's kernel took from it, less what the sender's device refused. The receiver
must account for each of these, in its log or by a named drop.
"""

import logread
import rig
from rig import LINES_PORT, expect, expect_equal

TIGHT_LOG = {"segment_size": "16MiB", "block_size": "128KiB", "queue_depth": 1}


def overload(r, device, lost_somewhere, **config):
    net = r.net(quiet=True)
    receiver = r.receiver(net, device=device, **config)
    receiver.config["ports"][0]["rx_descriptors"] = 64
    receiver.start()
    account = net.send_events("--rate", "max", "--duration", "3s", "--size", 64, "--flows", 16)
    arrived = account["sent"] - net.refused()
    rest = receiver.at_rest(60, lambda: account["sent"] - net.refused())
    expect_equal(rest["packets"]["in"], arrived, f"packets in ({account}, {receiver.drops()})")
    missing = {name for name, count in receiver.drops().items() if count}
    expect(not lost_somewhere or missing, "no overload: nothing was dropped anywhere")
    without = {unit: rest[unit]["in"] - rest[unit]["dropped"] for unit in ("packets", "events")}
    expect_equal(without["packets"], rest["packets"]["taken"], "packets taken")
    expect_equal(without["events"], rest["events"]["durable"], "events durable")
    receiver.stop()
    numbers = logread.sent_numbers(logread.read_all(receiver.data), account["id"])
    expect_equal(len(numbers), rest["events"]["durable"], "events in the log")
    expect_equal(len(set(numbers)), len(numbers), "events, each once")


def af_packet_run_to_completion(r):
    # On the CPU of the sender, or this sender is no overload.
    overload(r, "af_packet:rx0", True, cpus="0", log=TIGHT_LOG)


def af_xdp_run_to_completion(r):
    overload(r, "af_xdp:rx0", True, log=TIGHT_LOG)


def pipeline_with_small_rings(r):
    overload(r, "af_packet:rx0", True, mode="pipeline", cpus="0-1", rx_lcores=1,
             memory={"hugepages": False, "ring_size": 64}, log=TIGHT_LOG)


def two_partitions_share_the_flows(r):
    overload(r, "af_packet:rx0", False, partitions=2, cpus="0-1")


def lines_are_events_of_their_own(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net).start()
    account = net.send_events("--rate", 50000, "--count", 60000, "--size", 40, "--batch-lines", 20,
                              port=LINES_PORT)
    arrived = account["datagrams"] - net.refused()
    rest = receiver.at_rest(30, lambda: arrived)
    expect_equal(rest["packets"]["in"], arrived, f"packets in ({account})")
    expect_equal(rest["events"]["in"], rest["packets"]["taken"] * 20, "events in")
    expect_equal(rest["events"]["durable"], rest["events"]["in"], "events durable")
    receiver.stop()


rig.run(af_packet_run_to_completion, af_xdp_run_to_completion, pipeline_with_small_rings,
        two_partitions_share_the_flows, lines_are_events_of_their_own)
