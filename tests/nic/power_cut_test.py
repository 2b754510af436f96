#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""Power cuts in the middle of a load: QEMU is killed, and its disk loses a random part of what the
guest had not flushed (tests/fault/flaky_disk). What millraced reported as durable must be there
after the next boot, once and unchanged, and the log goes on.

Each cut prints its seed; MILLRACE_SEED=SEED begins a campaign with it.
"""

import json
import os
import random
import subprocess
import time

import disk
import guest
import lab
import rig
from guest import SLOW
from lab import Lab, printed
from rig import expect, sh, wait_until

CUTS = 20 if rig.RUN_ALL else 5
RATE, SIZE = 4000, 600
# virtio-blk has no write-through writes (FUA), so the guest's kernel flushes instead. QEMU's NVMe
# says that it has them and does without: seen by this test, with O_DSYNC, on its second cut.
NODE = "/dev/vda"


# What `millrace send` fills an event with behind its 18 bytes of id and number.
WORDS = b"the quick brown fox jumps over the lazy dog, 0123456789 times"
FILLER = bytes(WORDS[i % len(WORDS)] for i in range(18, SIZE))


class Disk:
    """An ext4 image behind a volatile cache, which QEMU has as its disk."""

    def __init__(self, r):
        disk.need_facilities()
        disk.private_mounts()
        self.image, self.front = r.home / "image", r.home / "front"
        self.front.mkdir()
        with open(self.image, "wb") as out:
            out.truncate(disk.SIZE_MIB << 20)
        sh(*disk.MKFS["ext4"], self.image)
        self.process = None
        r.stack.callback(self.unplug)

    def plug(self):
        self.process = subprocess.Popen([disk.FLAKY_DISK, self.image, self.front])
        wait_until(lambda: disk.mounted(self.front) or self.process.poll(), "the disk was there")

    def control(self, command):
        with open(self.front / "control", "wb", buffering=0) as out:
            out.write(command.encode())
        return json.loads((self.front / "control").read_text())

    def unplug(self):
        if self.process is not None:
            sh("umount", "-l", self.front, check=False)
            self.process.wait(20)
            self.process = None

    def read_log(self, mountpoint):
        """Payloads of the log on the image as it is, on a sound disk: all of it verified, a torn
        tail left out. Of a copy, so that what the guest finds is what the cut has left."""
        mountpoint.mkdir(exist_ok=True)
        copy = mountpoint.with_name("copy")
        sh("cp", "--sparse=always", self.image, copy)
        disk.boot("ext4", copy)
        sh("mount", "-o", "loop", copy, mountpoint)
        try:
            log = mountpoint / "data/0"
            done = sh(rig.MILLRACE, "log", "verify", log, check=False)
            expect(done.returncode == 0, f"log verify: {done.stdout}{done.stderr}")
            return sh(rig.MILLRACE, "log", "cat", "--format", "text", log).stdout.splitlines()
        finally:
            disk.unmount(mountpoint)


class Campaign:
    def __init__(self, r):
        self.r, self.disk = r, Disk(r)
        machine = guest.Machine()
        machine.nic("e1000e")
        machine.disk(self.disk.front / "disk", "virtio-blk-pci")
        self.lab = Lab(r, machine)
        self.durable = self.unflushed = 0

    def boot(self, durability):
        """Up to a receiver that has recovered what the last cut left."""
        pci = self.lab.boot().nic()
        self.lab.setup("hugepages 64")
        self.lab.setup(f"bind {pci}")
        self.lab.guest.run(f"{{ {' '.join(disk.AT_BOOT['ext4'])} {NODE} || [ $? = 1 ]; }} && "
                           f"mount -o noatime {NODE} /mnt")
        self.lab.configure([(pci, [])], log="  segment_size: 16MiB\n  block_size: 128KiB\n"
                                            f"  durability: {durability}\n  commit_interval: 5ms\n")
        self.lab.start()

    def cut(self, number, seed):
        dice = random.Random(seed)
        self.disk.plug()
        self.disk.control(f"slow-flush {dice.choice((0, 5, 20, 50))}")
        durability = dice.choice(("flush", "flush", "dsync"))
        self.boot(durability)
        said = self.lab.guest.run(f"cat {lab.LOG}")
        self.lab.ping(guest.GUEST4)  # first packets that wait for ARP would be overtaken
        begin = self.lab.drops()["events"]["durable"]
        sender = self.r.popen(self.lab.wire.command(
            rig.MILLRACE, "--json", "send", f"{guest.GUEST4}:{rig.PORT}", "--rate", RATE, "--size",
            SIZE, "--duration", "60s"), stdout=subprocess.DEVNULL)
        wait_until(lambda: self.lab.drops()["events"]["durable"] > begin + RATE / 2,
                   "something became durable", 3 * SLOW)
        time.sleep(dice.uniform(0, 1.5))
        counters = self.disk.control(f"cut {seed}")
        self.lab.guest.kill()
        events = self.lab.guest.events()
        sender.kill()
        sender.wait()
        self.disk.unplug()
        seen = printed(events)
        expect(seen, f"nothing was reported durable: {events!r}; {said}")
        self.durable = max(self.durable, seen[0])
        self.unflushed += counters["lost_sectors"] + counters["kept_sectors"]
        print(f"cut {number}: seed {seed}, {durability}: durable below {self.durable}, sectors "
              f"lost {counters['lost_sectors']}, kept {counters['kept_sectors']}", flush=True)

    def recovers(self):
        """Once more, without a cut: the guest itself finds all of it, and ends in peace."""
        self.disk.plug()
        self.boot("flush")
        rows = sum(part["rows"] for part in self.lab.verify())
        expect(rows >= self.durable, f"{self.durable} events were durable, {rows} are there")
        self.lab.stop()
        self.lab.guest.run("umount /mnt")
        self.lab.guest.kill()
        self.disk.unplug()

    def survived(self):
        payloads = [p.encode() for p in self.disk.read_log(self.r.home / "mnt")]
        expect(len(payloads) >= self.durable,
               f"{self.durable} events were durable, {len(payloads)} are there")
        # Each was sent by one of the loads: of those, in order and once (the wire may lose some).
        runs = []
        for payload in payloads:
            expect(len(payload) == SIZE and payload[18:] == FILLER, f"no event of ours: {payload}")
            if not runs or runs[-1][0] != payload[:8]:
                runs.append((payload[:8], []))
            runs[-1][1].append(int(payload[8:18]))
        expect(len({run for run, _ in runs}) == len(runs), "a load comes back after another's events")
        for run, numbers in runs:
            wrong = [i for i in range(1, len(numbers)) if numbers[i] <= numbers[i - 1]]
            expect(not wrong, f"order of load {run}: "
                              f"{[numbers[max(0, i - 3):i + 3] for i in wrong[:5]]}")
        return len(payloads)


def what_was_durable_is_there_after_the_next_boot(r):
    seed = int(os.environ.get("MILLRACE_SEED") or random.randrange(1 << 32))
    run = Campaign(r)
    for number in range(CUTS):
        try:
            run.cut(number, seed + number)
            run.survived()
        except AssertionError as failed:
            raise AssertionError(f"cut {number}, seed {seed + number}: {failed}") from None
    expect(run.unflushed > 0, "no cut hit a write that was not flushed yet")
    run.recovers()
    run.survived()


def the_disk_forgets_what_was_not_flushed(r):
    """Without this the other test would show nothing."""
    flaky = Disk(r)
    machine = guest.Machine()
    machine.disk(flaky.front / "disk", "virtio-blk-pci")
    lab_ = Lab(r, machine)
    flaky.plug()
    g = lab_.boot()
    g.run(f"mount {NODE} /mnt; cd /mnt; for name in kept lost; do truncate -s 8M $name; "
          "dd if=/dev/zero of=$name bs=1M count=8 conv=notrunc,fsync; done; sync; "
          "for name in kept lost; do tr '\\0' x </dev/zero | dd of=$name bs=64k count=64 "
          "iflag=fullblock oflag=direct conv=notrunc $([ $name = kept ] && echo conv=fsync); done",
          60)
    counters = flaky.control("cut 1")
    g.kill()
    flaky.unplug()
    mountpoint = r.home / "mnt"
    mountpoint.mkdir()
    sh("mount", "-o", "loop", flaky.image, mountpoint)
    try:
        kept, lost = (mountpoint.joinpath(name).read_bytes().count(b"x") for name in ("kept", "lost"))
    finally:
        disk.unmount(mountpoint)
    expect(kept == 4 << 20, f"{kept} bytes are left of those that were flushed")
    expect(lost < 4 << 20 and counters["lost_sectors"] > 0,
           f"{lost} bytes are left of those that were not flushed: {counters}")


rig.run(the_disk_forgets_what_was_not_flushed, what_was_durable_is_there_after_the_next_boot)
