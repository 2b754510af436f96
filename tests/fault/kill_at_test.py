#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""Killed at the very moment of each system call by which files change.

strace kills millraced when one of its threads enters a call for the Nth time, or holds every such
call for a while, so that a kill at a random moment meets it while the other threads go on: before
a spare is allocated, zeroed, synced, before a segment gets its name or a retired one the spare's,
between the name and the directory's sync, before recovery truncates, before a state file is
replaced. Segments rotate many times a second. In half of the cases the power fails at that moment,
too (tests/fault/flaky_disk). After each, the next start must go on with all that was printed as
durable, and leave no file that is not documented. Needs root (mounts, loop devices).

MILLRACE_SEED=SEED repeats the choices made here.
"""

import collections
import os
import random
import re
import time

import endless
import rig
from disk import FlakyDisk
from rig import MILLRACE, expect, printed_durable, sh, wait_until

# The largest N worth a try: some calls are made at each rotation, some once in a start or at the
# end. strace counts by thread.
CALLS = {"rename": 30, "unlink": 3, "fsync": 16, "fdatasync": 20, "fallocate": 2, "pwrite64": 16,
         "ftruncate": 1, "renameat": 3}
FIRST = 10 if rig.RUN_ALL else 2   # each N up to this
RANDOM = 10 if rig.RUN_ALL else 0  # and so many from above
HELD = 5 if rig.RUN_ALL else 1     # cases in which each call is held
HOLD_US = 200000
DOCUMENTED = re.compile(r"[0-9]{20}\.arrows|spare\.arrows|scrub\.json")
WAIT_S = 3.0
AGAIN = 5  # tries, at the end, of a call that no case has reached


class Campaign:
    def __init__(self, r):
        self.disk = FlakyDisk(r).plug()
        source = endless.Endless(r)
        self.receiver = source.receiver(
            r, data=self.disk.dir / "log",
            log={"retain_size": "48MiB", "scrub_interval": "1s", "scrub_rate": "4GiB"})
        self.trace = r.home / "trace"
        self.witness = endless.Witness(source, self.receiver)
        self.killed = collections.Counter()

    def case(self, call, number, power_cut, seed):
        """number: 0 holds every call."""
        receiver = self.receiver
        receiver.stdout_path.unlink(missing_ok=True)
        fault = f"signal=KILL:when={number}" if number else f"delay_enter={HOLD_US}"
        receiver.wrapper = ["strace", "-D", "-f", "-o", self.trace, "-e", f"trace={call}", "-e",
                            f"inject={call}:{fault}"]
        receiver.start("--print-durable", wait=False)
        hit = self.ended() if number else self.held(call, random.Random(seed))
        if power_cut:
            self.disk.control(f"cut {seed}")
        if receiver.running():
            receiver.kill()
        self.witness.look()
        if power_cut:
            self.disk.unplug()
            self.disk.check_after_replay()
            self.disk.plug()
        self.killed[call] += hit
        print(f"{call} {number or 'held'}{', power cut' if power_cut else ''}: "
              f"{'killed' if hit else 'not reached'}, durable {self.witness.durable}", flush=True)
        self.survived()

    def held(self, call, dice):
        """Kills at a random moment, most likely while a call is held."""
        wait_until(lambda: printed_durable(self.receiver).get(0, 0) > self.witness.durable,
                   "something became durable", 30)
        time.sleep(dice.uniform(0, 1))  # the random moment itself
        self.receiver.kill()
        return call in self.trace.read_text()

    def ended(self):
        """Whether it was killed; the call may never be made so often while it runs, nor at its
        end."""
        try:
            wait_until(lambda: not self.receiver.running(), "", WAIT_S)
        except AssertionError:
            self.receiver.process.terminate()
            self.receiver.process.wait(20)
        return self.receiver.process.returncode == -9

    def survived(self):
        """Recovers, and looks at the log and at the names in its directory."""
        self.witness.recover()
        partition = self.receiver.data / "0"
        sh(MILLRACE, "log", "verify", partition)
        stray = [p.name for p in partition.iterdir() if not DOCUMENTED.fullmatch(p.name)]
        expect(not stray, f"files left behind: {stray}")
        expect(sorted(p.name for p in self.receiver.data.iterdir()) == ["0", "lock"],
               f"in the data directory: {list(self.receiver.data.iterdir())}")


def numbers(last, dice):
    above = range(FIRST + 1, last + 1)
    return [*[0] * HELD, *range(1, min(FIRST, last) + 1),
            *dice.sample(above, min(RANDOM, len(above)))]


def a_kill_at_any_system_call_loses_nothing(r):
    seed = int(os.environ.get("MILLRACE_SEED") or random.randrange(1 << 32))
    dice = random.Random(seed)
    print(f"seed {seed}")
    run = Campaign(r)
    cases = [(call, number) for call, last in CALLS.items() for number in numbers(last, dice)]
    dice.shuffle(cases)
    for call, number in cases:
        try:
            run.case(call, number, dice.random() < 0.5, dice.randrange(1 << 32))
        except AssertionError as failed:
            raise AssertionError(f"{call} {number}, seed {seed}: {failed}") from None
    # A spare that is there already is taken as it is: then none is allocated.
    for call in [call for call in CALLS if not run.killed[call]] * AGAIN:
        if not run.killed[call]:
            (run.receiver.data / "0/spare.arrows").unlink(missing_ok=True)
            run.case(call, 1, dice.random() < 0.5, dice.randrange(1 << 32))
    print(f"{len(cases)} cases, killed at {dict(run.killed)}, durable {run.witness.durable}")
    never = [call for call in CALLS if not run.killed[call]]
    expect(not never, f"never reached: {never}")


rig.run(a_kill_at_any_system_call_loses_nothing)
