#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 1200
"""kill -9 of senders and receivers at random moments: whatever a sender was told to be durable is in a
log, byte for byte, once in each; nothing is in a log that nobody sent.

10 rounds, 200 with --all. Three senders by libmillrace (tests/lib/told.py), each anew after its kill;
some know two receivers and go from one to the other. MILLRACE_SEED=SEED repeats the choices made here.
"""

import collections
import os
import random
import signal
import sys
import time

import logread
import pyarrow
import pyarrow.ipc
import rig
import told
from rig import OTHER_RECEIVER4, PORT, RECEIVER4, TREE, expect, expect_equal, wait_until

ROUNDS = 200 if rig.RUN_ALL else 10
SENDERS = 3
LISTENERS = [{"name": "sure", "port": PORT, "kind": "reliable"}]
WAYS = [f"{RECEIVER4}:{PORT}", f"{RECEIVER4}:{PORT},{OTHER_RECEIVER4}:{PORT}",
        f"{OTHER_RECEIVER4}:{PORT},{RECEIVER4}:{PORT}"]
LOG = {"segment_size": "16MiB", "block_size": "256KiB", "queue_depth": 4, "commit_interval": "5ms"}


class Log:
    """A partition's log as Arrow reads it: openings, and of each source the events by seq."""

    def __init__(self, directory):
        self.place, self.id = f"{directory.parent.parent.name}/{directory.name}", None
        self.openings, self.events = [], collections.defaultdict(dict)
        for path in logread.segments(directory):
            with pyarrow.memory_map(str(path)) as source, pyarrow.ipc.open_stream(source) as reader:
                self.id = bytes.fromhex(reader.schema.metadata[b"log_id"].decode())
                for batch in reader:
                    columns = [batch.column(name).to_pylist() for name in
                               ("listener", "source_id", "source_epoch", "source_seq", "payload")]
                    for row in zip(*columns):
                        self.take(*row)

    def take(self, listener, source, epoch, seq, payload):
        if listener == logread.PROTOCOL_ROW:
            self.openings.append(logread.opening_of(source, epoch, payload))
            return
        before = self.events[source].get(seq)
        expect(before is None, f"log {self.place}: source {source:x} seq {seq} is there twice, of epochs "
               f"{before and before[0]} and {epoch}")
        self.events[source][seq] = epoch, payload


class Campaign:
    def __init__(self, r):
        self.r, self.home = r, r.home
        self.seed = int(os.environ.get("MILLRACE_SEED", random.randrange(1 << 32)))
        self.dice = random.Random(self.seed)
        self.net = r.net()
        self.net.second_wire()
        self.receivers = [self.receiver("first", "rx0", RECEIVER4),
                          self.receiver("second", "rx1", OTHER_RECEIVER4)]
        self.senders = [None] * SENDERS  # (name, process)
        self.names = []
        self.kills = collections.Counter()

    def receiver(self, name, device, address):
        return self.r.receiver(
            self.net, name, device=f"af_xdp:{device}", listeners=LISTENERS, partitions=2, cpus="0-1",
            ports=[{"name": "wire", "device": f"af_xdp:{device}", "addresses": [f"{address}/24"]}],
            log=LOG)

    def send(self, place):
        name = f"{self.seed}-{len(self.names)}"
        self.names.append(name)
        env = dict(os.environ, MILLRACE_LIBRARY=str(rig.BUILD / "lib/libmillrace.so.0"),
                   PYTHONPATH=f"{TREE}/connectors/python")
        self.senders[place] = name, self.r.popen(
            self.net.command("tx", sys.executable, told.__file__, self.home / name, name,
                             self.dice.choice(WAYS)), env=env)

    def account(self, name):
        return told.Account(self.home / name, name)

    def told(self):
        """Bytes written down by the senders that run."""
        return [path.stat().st_size if (path := self.home / name).exists() else 0
                for name, _ in self.senders]

    def kill_sender(self, place):
        _, process = self.senders[place]
        expect_equal(process.poll(), None, "exit code of a sender")
        process.kill()
        process.wait()
        self.kills["senders"] += 1
        self.send(place)

    def kill_receiver(self, receiver):
        receiver.kill()
        self.kills["receivers"] += 1
        if self.dice.random() < 0.2:  # anywhere in start and recovery, too
            receiver.start(wait=False)
            time.sleep(self.dice.uniform(0, 0.5))
            receiver.kill()
            self.kills["starts"] += 1
        receiver.start()

    def round(self):
        """Something was said to each sender since the last kill; then the random moment, no wait."""
        before = self.told()
        wait_until(lambda: all(now > then + 200 for now, then in zip(self.told(), before)),
                   "every sender was told something", 40)
        time.sleep(self.dice.uniform(0, 0.4))
        victims = [place for place in range(SENDERS) if self.dice.random() < 0.3]
        first, second = (self.dice.random() < chance for chance in (0.7, 0.4))
        for place in victims:
            self.kill_sender(place)
        for receiver, dies in zip(self.receivers, (first, second)):
            if dies:
                self.kill_receiver(receiver)

    def end(self):
        begun = self.told()
        wait_until(lambda: all(now > then for now, then in zip(self.told(), begun)),
                   "every sender was told something", 40)
        for _, process in self.senders:
            process.send_signal(signal.SIGTERM)
        for name, process in self.senders:
            expect_equal(process.wait(40 * rig.PATIENCE), 0, "exit code of a sender")
            expect_equal(self.account(name).left, 0, "events that a sender had not durable at its end")
        for receiver in self.receivers:
            receiver.at_rest()
            receiver.stop()

    def check(self):
        logs = [Log(directory) for receiver in self.receivers
                for directory in logread.partitions(receiver.data)]
        accounts = {account.source: account for account in map(self.account, self.names)}
        accounts.pop(None, None)
        for log in logs:
            for source, events in log.events.items():
                expect(source in accounts, f"log {log.place}: source {source:x} is nobody's")
                check_events(log, accounts[source], events)
        durable = sum(check_told(logs, account) for account in accounts.values())
        moved = check_openings(logs)
        events = sum(len(e) for log in logs for e in log.events.values())
        print(f"{ROUNDS} rounds, killed {dict(self.kills)}, {len(accounts)} sources, {events} events in "
              f"{len(logs)} logs, {durable} were told durable, {moved} epochs went on from another log")
        expect(durable > 100 * ROUNDS, "hardly any event was told durable")


def check_events(log, account, events):
    for seq, (epoch, payload) in events.items():
        expect(seq < account.sends, f"log {log.place}: {account.name} never sent seq {seq}")
        expect(payload == told.payload(account.name, seq),
               f"log {log.place}: {account.name} seq {seq} of epoch {epoch} has other bytes")


def check_told(logs, account):
    there = set().union(*(log.events[account.source] for log in logs))
    lost = sorted(account.durable - there)
    expect(not lost, f"{account.name} was told durable, and no log has: {rig.short(lost)}")
    return len(account.durable)


def check_openings(logs):
    """An epoch names the log of the one before; what is in both is not below its prev_seq."""
    moved = 0
    for log in logs:
        epochs = collections.defaultdict(int)
        for opening in log.openings:
            expect(opening.epoch > epochs[opening.source], f"log {log.place}: {opening} after "
                   f"{epochs[opening.source]}")
            epochs[opening.source] = opening.epoch
            for other in logs:
                if opening.prev_epoch and other is not log:
                    moved += check_from(opening, log, other)
    return moved


def check_from(opening, log, other):
    events = other.events[opening.source]
    old = {seq for seq, (epoch, _) in events.items() if epoch == opening.prev_epoch}
    expect(not old or opening.prev_log == other.id,
           f"log {log.place}: {opening} has its old epoch in {other.place}")
    now = {seq for seq, (epoch, _) in log.events[opening.source].items() if epoch >= opening.epoch}
    twice = {seq for seq, (epoch, _) in events.items() if epoch < opening.epoch and seq in now}
    expect(not twice or min(twice) >= opening.prev_seq,
           f"log {log.place}: {opening}, and {other.place} has {rig.short(sorted(twice))}, too")
    return opening.prev_log == other.id


def what_senders_were_told_survives_kill_9(r):
    campaign = Campaign(r)
    print(f"seed {campaign.seed}", flush=True)
    for receiver in campaign.receivers:
        receiver.start()
    for place in range(SENDERS):
        campaign.send(place)
    for number in range(ROUNDS):
        try:
            campaign.round()
        except AssertionError as failed:
            raise AssertionError(f"round {number}, seed {campaign.seed}: {failed}") from None
    try:
        campaign.end()
        campaign.check()
    except AssertionError as failed:
        raise AssertionError(f"seed {campaign.seed}: {failed}") from None


rig.run(what_senders_were_told_survives_kill_9)
