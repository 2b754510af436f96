#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 240
"""Reliable sources over restarts with another number of partitions: what was acknowledged is in one
of the logs, nothing is twice over all of them, and each source goes on where it was."""

import random
import shutil

import logread
import reliable
import rig
from rig import OTHER_RECEIVER4, PORT, RECEIVER4, expect, expect_equal

LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"}]
SOURCES = 40
SLOTS = 1024
FACTOR = 0x9e3779b97f4a7c15  # docs/protocol.md: the slot is the highest 10 bits of id x this
EACH = 20  # events of a datagram


dice = random.Random()
seed = dice.randrange(1 << 32)
dice.seed(seed)


def source_of_slot(slot):
    return ((slot << 54) + dice.getrandbits(50)) * pow(FACTOR, -1, 1 << 64) % (1 << 64)


class Source:
    """A source that sends again what isn't acknowledged, and its account of it."""

    def __init__(self, net, slot, **options):
        self.sender = reliable.sender_of(net, RECEIVER4, PORT, source=source_of_slot(slot), **options)
        self.sent = self.durable = 0
        self.ways = [RECEIVER4]

    def payloads(self, first, count):
        return [b"%d %08d" % (self.sender.source, first + i) for i in range(count)]

    def open(self):
        """What it was told to be durable is known, whatever partition it has now."""
        self.sender.to = (RECEIVER4, PORT)
        found = self.sender.open(first_seq=self.durable,
                                 flags=0 if self.durable else reliable.FRESH)
        expect(isinstance(found, int) and found >= self.durable,
               f"source {self.sender.source:x}: {self.durable} were durable, now {found}")

    def events(self, first, count):
        for seq in range(first, first + count, EACH):
            self.sender.to = (self.ways[seq // EACH % len(self.ways)], PORT)
            self.sender.events(seq, self.payloads(seq, min(EACH, first + count - seq)))

    def more(self, count):
        self.events(self.sent, count)
        self.sent += count

    def hear(self):
        """What ACKs that have come say to be durable."""
        while (answer := self.sender.take(0.0001)) is not None:
            if answer[0] == reliable.ACK and answer[1][5] == self.sender.token:
                self.durable = max(self.durable, reliable.Ack(answer[2]).durable)

    def wait_durable(self):
        self.durable = max(self.durable, self.sender.wait_durable(self.sent).durable)


class Campaign:
    def __init__(self, r, partitions):
        net = r.net()
        net.second_wire()
        self.receiver = r.receiver(net, listeners=LISTENERS, cpus="0-1", partitions=partitions)
        self.receiver.config["log"] = {"segment_size": "16MiB", "queue_depth": 2}
        self.receiver.config["ports"] = [
            {"name": "first", "device": "af_packet:rx0", "rx_queues": 2,
             "addresses": [f"{RECEIVER4}/24"]},
            {"name": "second", "device": "af_xdp:rx1", "addresses": [f"{OTHER_RECEIVER4}/24"]}]
        # Spread over all slots, so that each partition has some and many change theirs.
        self.sources = [Source(net, SLOTS * i // SOURCES) for i in range(SOURCES - 1)]
        self.wide = Source(net, SLOTS - 1, sockets=100)
        self.wide.ways = [RECEIVER4, OTHER_RECEIVER4]
        self.sources.append(self.wide)

    def start(self, partitions):
        self.receiver.config["partitions"] = partitions
        self.receiver.start()

    def each(self, what, *args):
        for source in self.sources:
            getattr(source, what)(*args)

    def kill_under_way(self):
        """Among datagrams of all sources, so that blocks of all partitions are under way."""
        moment = dice.randrange(SOURCES, 6 * SOURCES)
        for i in range(7 * SOURCES):
            if i == moment:
                self.receiver.kill()
            source = self.sources[i % SOURCES]
            source.more(EACH)
            source.hear()

    def restart_and_send_all_again(self, partitions):
        self.start(partitions)
        self.each("open")
        for source in self.sources:
            source.events(0, source.sent)
        self.each("more", 2 * EACH)
        self.each("wait_durable")

    def begin(self, partitions, events):
        self.start(partitions)
        self.each("open")
        self.each("more", events)
        self.each("wait_durable")

    def check(self, partitions):
        """Nothing twice, nothing foreign, and all that was sent: for all of it was acknowledged."""
        self.receiver.at_rest()
        self.receiver.stop()
        wanted = [p for source in self.sources for p in source.payloads(0, source.sent)]
        found = logread.read_events(self.receiver.data)
        expect_equal(len(found), len(set(found)), "events and different ones")
        expect_equal(sorted(found), sorted(wanted), "events in the logs")
        for number in range(partitions):
            expect(logread.read_partition(self.receiver.data / str(number))[0],
                   f"partition {number} got something")


def four_become_six_and_four_again(r):
    campaign = Campaign(r, 4)
    campaign.begin(4, 5 * EACH)
    for partitions in (6, 4, 6, 4):
        campaign.kill_under_way()
        campaign.restart_and_send_all_again(partitions)
    campaign.check(6)


def killed_right_after_a_change(r):
    """Before a source's new partition has written by itself what it was told of it."""
    campaign = Campaign(r, 4)
    campaign.begin(4, 5 * EACH)
    for partitions in (6, 6, 4, 4):
        campaign.receiver.kill()
        campaign.start(partitions)
        campaign.wide.open()
        campaign.wide.more(EACH)
        campaign.wide.wait_durable()
    campaign.receiver.kill()
    campaign.restart_and_send_all_again(6)
    campaign.check(6)


def a_directory_that_is_no_more_may_go(r):
    """After one start its sources are known without it; before, it is not to be somebody else's."""
    campaign = Campaign(r, 6)
    receiver = campaign.receiver
    campaign.begin(6, EACH)
    receiver.kill()
    shutil.copytree(receiver.data / "0", receiver.data / "7")
    receiver.config["partitions"] = 4
    receiver.start(wait=False)
    expect_equal(receiver.process.wait(30 * rig.PATIENCE), 5, "exit code")
    expect("partition 7, one more than 'partitions' says now" in receiver.log(), receiver.log_tail())
    shutil.rmtree(receiver.data / "7")
    campaign.start(4)
    receiver.kill()
    before = logread.read_events(receiver.data)
    for number in (4, 5):
        shutil.rmtree(receiver.data / str(number))
    kept = logread.read_events(receiver.data)
    campaign.start(4)
    campaign.each("open")
    for source in campaign.sources:
        source.events(0, source.sent)
    campaign.each("wait_durable")
    receiver.at_rest()
    receiver.stop()
    expect(len(kept) < len(before), "the directories held events")
    expect_equal(sorted(logread.read_events(receiver.data)), sorted(kept), "events in the logs left")


print(f"seed {seed}")
rig.run(four_become_six_and_four_again, killed_right_after_a_change,
        a_directory_that_is_no_more_may_go)
