#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 600
"""kill -9 at random moments under load: what was printed as durable is there, once, in order.

50 times, 1,000 with --all. A round's segments are read, by every reader, after the next start has
recovered them.
"""

import random
import time

import logread
import rig
from rig import MILLRACE, PORT, RECEIVER4, expect, expect_equal, printed_durable, wait_until

ROUNDS = 1000 if rig.RUN_ALL else 50
RUN_ID = "0badcafe"


class Campaign:
    def __init__(self, r):
        self.dice = random.Random()
        self.seed = self.dice.randrange(1 << 32)
        self.dice.seed(self.seed)
        self.net = r.net(quiet=True)
        self.receiver = r.receiver(
            self.net, partitions=2, cpus="0-1",
            log={"segment_size": "16MiB", "block_size": "128KiB", "commit_interval": "2ms",
                 "seal_interval": "20ms"})
        self.checked = {}  # partition: segments already read
        self.last_seq = {0: -1, 1: -1}
        self.last_number = {0: -1, 1: -1}
        self.durable = {}  # as printed so far
        self.events = 0

    def kill_once(self):
        """Starts, lets the previous round be checked, kills at a random moment."""
        receiver = self.receiver
        receiver.stdout_path.unlink(missing_ok=True)
        moment = self.dice.uniform(0, 0.6)
        if self.dice.random() < 0.15:
            receiver.start("--print-durable", wait=False)
            time.sleep(moment)  # anywhere in start and recovery
        else:
            receiver.start("--print-durable")
            wait_until(self.begun, "each partition began a segment of this run", 20)
            self.check_closed(sparing_newest=True)
            goal = self.progress()
            wait_until(lambda: self.progress() > goal, "something became durable", 20)
            time.sleep(moment)  # the random moment itself, not a wait for anything
        receiver.kill()
        for partition, seq in printed_durable(receiver).items():
            expect(seq >= self.durable.get(partition, 0),
                   f"partition {partition}: durable {seq} printed after {self.durable.get(partition)}")
            self.durable[partition] = seq

    def begun(self):
        """Recovery appends to nothing, so this run's newest segment begins behind all of before."""
        newest = [logread.segments(self.receiver.data / str(p))[-1:] for p in (0, 1)]
        return all(paths and int(paths[0].name.split(".")[0]) >= self.durable.get(p, 0)
                   for p, paths in enumerate(newest))

    def progress(self):
        return sum(printed_durable(self.receiver).values())

    def check_closed(self, sparing_newest):
        """Reads the segments that were not read yet, all but the one now being written."""
        for partition in (0, 1):
            paths = logread.segments(self.receiver.data / str(partition))
            for path in paths[:-1] if sparing_newest else paths:
                if path not in self.checked.setdefault(partition, set()):
                    self.checked[partition].add(path)
                    self.check_segment(partition, path)
            expect(self.last_seq[partition] + 1 >= self.durable.get(partition, 0),
                   f"partition {partition}: the log ends with {self.last_seq[partition]}, but "
                   f"{self.durable.get(partition)} was printed as durable")

    def check_segment(self, partition, path):
        seqs, payloads = logread.with_pyarrow(path)
        for reader in logread.READERS[1:]:
            expect(reader(path) == (seqs, payloads), f"{path}: {reader.__name__} reads otherwise")
        first = self.last_seq[partition] + 1
        expect_equal((seqs or [first])[0], first, f"{path}: first seq")
        expect(seqs == list(range(first, first + len(seqs))), f"{path}: seqs have a gap")
        numbers = logread.sent_numbers(payloads, RUN_ID)
        expect_equal(len(numbers), len(payloads), f"{path}: rows that were sent")
        expect(all(a < b for a, b in zip([self.last_number[partition]] + numbers, numbers)),
               f"{path}: events twice or out of order")
        if seqs:
            self.last_seq[partition], self.last_number[partition] = seqs[-1], numbers[-1]
        self.events += len(seqs)


def what_was_printed_as_durable_survives_kill_9(r):
    campaign = Campaign(r)
    print(f"seed {campaign.seed}")
    # One flow for each event, so that both partitions get some; per flow the order is the sender's.
    r.popen(campaign.net.command("tx", "taskset", "-c", "0", MILLRACE, "send", f"{RECEIVER4}:{PORT}", "--rate", 20000,
                                 "--duration", "10h", "--size", "18-400", "--id", RUN_ID,
                                 "--flows", 16), stdout=-3, stderr=-3)
    for number in range(ROUNDS):
        try:
            campaign.kill_once()
        except AssertionError as failed:
            raise AssertionError(f"round {number}, seed {campaign.seed}: {failed}") from None
    campaign.receiver.start("--print-durable")
    campaign.receiver.stop()
    campaign.check_closed(sparing_newest=False)
    print(f"{ROUNDS} kills, {campaign.events} events read three times, durable "
          f"{campaign.durable}")
    expect(campaign.events > 100 * ROUNDS, "hardly any event was in flight")


rig.run(what_was_printed_as_durable_survives_kill_9)
