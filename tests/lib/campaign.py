# SPDX-License-Identifier: BSD-3-Clause
"""Events under way to Kafka, files and pull clients at once, while by a seed's dice everything around
them fails; at the end each has everything that was sent, once."""

import collections
import contextlib
import os
import random
import subprocess
import sys
import time

import checker
import puller
import rig
import sinks
from rig import expect, wait_until
from sinks import TRANSACTION_TIMEOUT

PARTITIONS = 2
SENDERS = 3
SIZES = "60-300"
CHUNK = 20000  # events of one run of a sender
FAULTS = ["receiver_killed", "broker_killed", "leader_moved", "broker_paused", "disk_full",
          "socket_cut"]


def take_seed():
    """--seed N, which must not be taken for a test's name; else MILLRACE_SEED, else any."""
    if "--seed" in sys.argv:
        at = sys.argv.index("--seed")
        seed = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
        return seed
    return int(os.environ.get("MILLRACE_SEED", random.randrange(1 << 32)))


class Campaign:
    """faults: {one of FAULTS: how often}. seconds: about so long the events last."""

    def __init__(self, r, cluster, seed, events, faults, seconds):
        self.r, self.cluster, self.events = r, cluster, events
        self.dice = random.Random(seed)
        self.plan = [kind for kind, times in faults.items() for _ in range(times)]
        self.dice.shuffle(self.plan)
        self.rate = max(500, int(events / seconds / SENDERS))
        self.done = collections.Counter()
        self.net = sinks.net_with(r, cluster)
        # Sparse: what is written, three times what is sent, and what is spare.
        mib = 2048 + (events * 1000 >> 20)
        self.log_disk = sinks.SmallDisk(r, "log-disk", mib)
        self.archive = sinks.SmallDisk(r, "archive", mib)
        self.topic = cluster.create_topic(f"out-{rig.PORT}", 3)
        self.receiver = sinks.receiver_of(
            r, self.net, [sinks.kafka_sink(cluster), sinks.files_sink(self.archive.dir)],
            data=self.log_disk.dir / "data", partitions=PARTITIONS, cpus="0-1",
            log={**sinks.LOG, "retain_size": "48MiB", "seal_interval": "100ms"})
        self.receiver.data = self.log_disk.dir / "data"
        self.pulled = r.home / "pulled"
        self.pullers = [None] * PARTITIONS
        self.senders, self.sent, self.given = [None] * SENDERS, checker.Sent(), 0
        self.accounts = []
        self.torn = []  # what sinks said that had to mend what they read back

    # Who takes part.

    def start(self):
        self.receiver.start()
        for partition in range(PARTITIONS):
            self.start_puller(partition)
        # Their places hold retention from here on.
        wait_until(lambda: all((self.pulled / str(p)).exists() for p in range(PARTITIONS)),
                   "the pull clients have registered")
        self.feed()

    def start_puller(self, partition):
        with open(self.r.home / f"pull{partition}.log", "ab") as said:
            self.pullers[partition] = self.r.popen(
                [sys.executable, puller.__file__, self.receiver.socket, partition, "puller",
                 self.pulled / str(partition)], stderr=said)

    def feed(self, more=True):
        """Takes accounts of senders that have ended, and starts the next runs."""
        for place, process in enumerate(self.senders):
            if process is not None and process.poll() is None:
                continue
            if process is not None:
                self.take_account(process)
            start = more or self.given < self.events
            self.senders[place] = self.start_sender() if start else None

    def take_account(self, process):
        account = sinks.account_of(process)
        expect(account["acknowledged"] == account["sent"], f"a sender ended with {account}")
        self.accounts.append(account)

    def start_sender(self):
        self.given += CHUNK
        return sinks.start_send(self.r, self.net, "--rate", self.rate, "--count", CHUNK, "--size", SIZES)

    # What goes wrong.

    def receiver_killed(self):
        self.receiver.kill()
        if self.dice.random() < 0.3:  # anywhere in start and recovery, too
            self.receiver.start(wait=False)
            time.sleep(self.dice.uniform(0, 0.6))
            self.receiver.kill()
        self.receiver.start()

    def broker_killed(self):
        broker = self.dice.choice([*self.cluster.brokers, self.leader()])
        broker.kill()
        time.sleep(self.dice.uniform(0.3, 4))
        broker.start()

    def leader(self):
        wait_until(lambda: self.cluster.leader(self.topic), "the topic has a leader", 30)
        return self.cluster.leader(self.topic, self.dice.randrange(3)) or self.cluster.brokers[0]

    def leader_moved(self):
        """Back to the preferred ones, when an earlier fault has moved some, else away from one."""
        if self.cluster.elect_preferred() == 0:
            self.cluster.move_leader(self.topic, self.dice.randrange(3))

    def broker_paused(self):
        victims = [self.leader()] if self.dice.random() < 0.5 else self.cluster.brokers
        for broker in victims:
            broker.pause()
        try:
            time.sleep(TRANSACTION_TIMEOUT + self.dice.uniform(0.3, 2))
        finally:
            for broker in victims:
                broker.resume()

    def disk_full(self):
        disk = self.dice.choice([self.archive, self.log_disk])
        disk.fill()
        try:
            time.sleep(self.dice.uniform(1.5, 4))
        finally:
            disk.empty()

    def socket_cut(self):
        dice = self.dice.random()
        if dice < 0.35:
            self.cluster.cut()
        elif dice < 0.7:
            self.cluster.wire(False)
            time.sleep(self.dice.uniform(0.5, TRANSACTION_TIMEOUT + 1))
            self.cluster.wire(True)
        else:
            partition = self.dice.randrange(PARTITIONS)
            self.pullers[partition].kill()
            self.pullers[partition].wait()
            self.start_puller(partition)

    # The run.

    def places(self):
        """{(sink, partition): (seq that its cursor is at, events that it is behind)}; none while the
        receiver doesn't answer."""
        found = {}
        with contextlib.suppress(OSError):
            for row in sinks.rows(self.receiver):
                seq = int((row["cursor"] or {"seq": 0})["seq"])
                found[row["sink"], row["partition"]] = seq, int(row["lag_events"])
                if int(row["repaired_total"]) or int(row["doubled_total"]):
                    self.torn.append(row)
        return found

    def progress(self, seconds=90):
        """After a fault every sink goes on wherever it has something to deliver, and none has stopped."""
        begin = self.places()

        def gone_on():
            self.feed()
            now = self.places()
            further = {key for key, (seq, _) in now.items() if seq > begin.get(key, (0, 0))[0]}
            return begin.keys() <= now.keys() and {"out", "archive"} == {sink for sink, _ in further} \
                and all(key in further or behind == 0 for key, (_, behind) in now.items())

        try:
            wait_until(gone_on, "every sink went on", seconds)
        except AssertionError as failed:
            raise AssertionError(f"{failed}: from {begin}, {sinks.rows(self.receiver)}") from None
        # Mended or not: these brokers lose nothing of a transaction, so it was the sink.
        expect(not self.torn, f"a batch that counted as delivered was not whole: {self.torn[:1]}")

    def run(self):
        begin = time.monotonic()
        self.start()
        self.progress()
        for number, kind in enumerate(self.plan):
            time.sleep(self.dice.uniform(0, 1.5))
            try:
                if kind in ("broker_killed", "leader_moved", "broker_paused"):
                    self.cluster.wait_ready()
                getattr(self, kind)()
                self.done[kind] += 1
                self.progress()
            except AssertionError as failed:
                raise AssertionError(f"fault {number}, {kind}: {failed}") from None
        wait_until(self.fed, "all senders had ended", 60 + self.events / self.rate)
        self.end()
        print(f"{time.monotonic() - begin:.0f} s, {dict(self.done)}, {self.given} events sent", flush=True)

    def fed(self):
        self.feed(more=False)
        return not any(self.senders)

    def end(self):
        self.cluster.wait_ready()
        sinks.wait_delivered(self.receiver, 180)
        last = {row["partition"]: int(row["cursor"]["batch"]) - 1 for row in sinks.rows(self.receiver)}
        wait_until(lambda: all(self.pulled_to(p) >= batch for p, batch in last.items()),
                   f"the pull clients had batches {last}", 120)
        for process in self.pullers:
            process.terminate()
        self.receiver.stop()
        for process in self.pullers:
            process.wait(30)

    def pulled_to(self, partition):
        return max((int(path.stem.split("-")[1])
                    for path in (self.pulled / str(partition)).glob("[0-9a-f]*.arrows")), default=-1)

    def check(self):
        for account in self.accounts:
            self.sent.add_account(account, SIZES)
        sinks.expect_all(self.sent, checker.read_kafka(self.cluster, "out-", seconds=120),
                         checker.read_files(self.archive.dir), checker.read_streams(self.pulled))


def run(r, cluster, seed, events, faults, seconds):
    """Runs it, and says the seed where it fails."""
    print(f"seed {seed}", flush=True)
    campaign = Campaign(r, cluster, seed, events, faults, seconds)
    try:
        campaign.run()
        campaign.check()
    except (AssertionError, OSError, subprocess.SubprocessError) as failed:
        for partition in range(PARTITIONS):
            said = r.home / f"pull{partition}.log"
            print(f"pull client {partition}: {said.read_text()[-500:] if said.exists() else ''}")
        raise AssertionError(f"seed {seed}: {failed}") from None
