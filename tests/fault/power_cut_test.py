#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
"""Power cuts under load, on a disk that loses what was not flushed.

millraced writes at full speed to a kernel file system on tests/fault/flaky_disk. At a random
moment the disk loses a random part of what it was not told to flush, and answers no more. The
image is then mounted on a sound disk: all that millraced ever printed as durable must be there,
once, in order, unchanged, and nothing else. The log goes on from cut to cut.

Each cut prints its seed; MILLRACE_SEED=SEED begins a campaign with it. That repeats all choices
made here; what was in flight at the moment is the machine's. Needs root (mounts, loop devices).
"""

import os
import random
import re
import time

import endless
import logread
import rig
from disk import FlakyDisk
from rig import MILLRACE, expect, printed_durable, sh, wait_until

CUTS = {"ext4": 50 if rig.RUN_ALL else 8, "xfs": 25 if rig.RUN_ALL else 4}
# In turn: while blocks are written; while the newest segment's name is not synced yet; in a start.
MOMENTS = ("load", "name", "load", "start", "load")
# The keeper's syncs of the directory take a while, the lcores' flushes don't.
SLOW_NAMES = ["strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=fsync", "-e",
              "inject=fsync:delay_enter=150000"]


class Campaign:
    def __init__(self, r, fs):
        self.disk = FlakyDisk(r, fs)
        source = endless.Endless(r)
        self.receiver = source.receiver(r, data=self.disk.dir / "log")
        self.partition = self.receiver.data / "0"
        self.witness = endless.Witness(source, self.receiver)

    def cut(self, number, seed):
        dice = random.Random(seed)
        moment = MOMENTS[number % len(MOMENTS)]
        log = self.receiver.config["log"]
        log["durability"] = dice.choice(("flush", "flush", "dsync"))
        log["io"] = dice.choice(("io_uring", "io_uring", "pwrite"))
        log["compression"] = dice.choice(("none", "none", "lz4"))
        log["commit_interval"] = dice.choice(("2ms", "2ms", "20ms"))
        slow_flush = dice.choice((0, 1, 5, 20))
        if moment == "name":  # which takes some full segments
            log["compression"], slow_flush = "none", 0
        self.disk.plug()
        self.disk.control(f"slow-flush {slow_flush}")
        self.receiver.stdout_path.unlink(missing_ok=True)
        self.receiver.wrapper = SLOW_NAMES if moment == "name" else []
        self.run_until(moment, dice)
        self.disk.control(f"cut {seed}")
        counters = self.disk.counters()
        if self.receiver.running():
            self.receiver.kill()
        printed = self.witness.look()
        self.disk.unplug()
        print(f"cut {number} of {self.disk.fs}: seed {seed}, {moment}, {log['durability']}, "
              f"{log['io']}, {log['compression']}: durable {printed}, "
              f"sectors lost {counters['lost_sectors']}, kept {counters['kept_sectors']}", flush=True)
        self.survived(recover=moment != "load" or dice.random() < 0.7)

    def run_until(self, moment, dice):
        if moment == "start":
            self.receiver.start("--print-durable", wait=False)
            time.sleep(dice.uniform(0, 0.5))  # anywhere in start and recovery
            return
        self.receiver.start("--print-durable")
        wait_until(lambda: printed_durable(self.receiver).get(0, 0) > self.witness.durable,
                   "something became durable", 20)
        if moment == "name":
            self.wait_for_a_new_name()
            time.sleep(dice.uniform(0.05, 0.13))
        else:
            time.sleep(dice.uniform(0, 0.8))

    def wait_for_a_new_name(self):
        """Of a recycled file: to flush a fresh one, ext4 commits the rename along with it."""
        recycled = self.counter("segments_recycled")
        wait_until(lambda: self.counter("segments_recycled") > recycled,
                   "a segment was recycled", 30)
        last = logread.segments(self.partition)[-1]
        wait_until(lambda: logread.segments(self.partition)[-1] != last, "it got its name", 30)

    def counter(self, name):
        text = self.receiver.get_text("/metrics")[1]
        return int(re.search(rf"partition_{name}_total{{.*?}} (\d+)", text)[1])

    def survived(self, recover):
        """On a sound disk: the file system is whole, the log too, up to a torn tail."""
        with self.disk.clean():
            done = sh(MILLRACE, "log", "verify", self.partition, check=False)
            expect(done.returncode == 0, f"log verify: exit {done.returncode}\n{done.stdout}"
                                         f"{done.stderr}")
            if recover:
                self.witness.recover()
        self.disk.check()


def campaign(r, fs):
    seed = int(os.environ.get("MILLRACE_SEED") or random.randrange(1 << 32))
    run = Campaign(r, fs)
    for number in range(CUTS[fs]):
        try:
            run.cut(number, seed + number)
        except AssertionError as failed:
            raise AssertionError(f"cut {number}, seed {seed + number}: {failed}") from None
    print(f"{CUTS[fs]} cuts on {fs}, {run.witness.durable} events durable, "
          f"{run.witness.events} read")


def ext4_keeps_what_was_durable(r):
    campaign(r, "ext4")


def xfs_keeps_what_was_durable(r):
    campaign(r, "xfs")


rig.run(ext4_keeps_what_was_durable, xfs_keeps_what_was_durable)
