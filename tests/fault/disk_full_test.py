#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 300
"""A full disk: counted as log_full, reception goes on, writing resumes by itself."""

import os

import disk as disks
import logread
import rig
from rig import expect, expect_equal, sh, wait_until

DISK_MIB = 160
BALLAST_MIB = 64
RESERVE_MIB = 16  # that the log leaves to cursors and the like


def small_disk(r):
    """A file system of its own, ext4 on a loop device, or tmpfs where there is none."""
    disk, image = r.home / "disk", r.home / "image"
    disk.mkdir()
    disks.private_mounts()
    with open(image, "wb") as out:
        out.truncate(DISK_MIB << 20)
    sh("mkfs.ext4", "-q", "-F", "-m", "0", image)
    if sh("mount", "-o", "loop", image, disk, check=False).returncode != 0:
        print("no loop device: tmpfs")
        sh("mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", disk)
    r.stack.callback(sh, "umount", "-l", disk)
    return disk


def fill(net, receiver):
    """Sends until the log is full, and returns what was sent."""
    sent = 0
    while "log_full" not in receiver.drops():
        sent += net.send_events("--rate", 20000, "--count", 10000, "--size", 1400)["sent"]
        expect(sent < 400000, f"the disk does not fill: {receiver.get('/api/v1/partitions')}")
    return sent


def a_full_disk_is_counted_and_left_again(r):
    disk = small_disk(r)
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(BALLAST_MIB << 20))
    net = r.net(quiet=True)
    receiver = r.receiver(net, data=disk / "log",
                          log={"segment_size": "16MiB", "block_size": "128KiB"})
    receiver.data = disk / "log"
    receiver.start()
    sent = fill(net, receiver)
    rest = receiver.at_rest(30, lambda: sent - net.refused())
    expect_equal(rest["packets"]["in"], sent - net.refused(), "packets in")
    expect_equal(receiver.get("/api/v1/partitions")[0]["state"], "full", "state")
    status = receiver.get("/api/v1/status")
    expect_equal(status["health"], "degraded", f"health ({status['reasons']})")

    # The log has left room for small files.
    left = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize >> 20
    expect(left >= RESERVE_MIB - 1, f"only {left} MiB are left")
    write_synced(disk / "log/cursor", bytes(RESERVE_MIB // 2 << 20))
    (disk / "log/cursor").unlink()

    # Full, but it receives: each packet is counted.
    more = net.send_events("--rate", 5000, "--count", 1000)["sent"]
    after = receiver.at_rest(30, lambda: sent + more - net.refused())
    expect_equal(after["packets"]["in"], sent + more - net.refused(), "packets in while full")

    durable = receiver.durable()
    ballast.unlink()

    def resumed():
        nonlocal more
        more += net.send_events("--rate", 1000, "--count", 100)["sent"]
        return receiver.durable() > durable

    wait_until(resumed, "writing resumed by itself", 20)
    last = net.send_events("--rate", 1000, "--count", 500, "--id", "0badcafe")
    rest = receiver.at_rest(30, lambda: sent + more + last["sent"] - net.refused())
    expect_equal(rest["packets"]["in"], sent + more + last["sent"] - net.refused(), "packets in")
    expect_equal(receiver.get("/api/v1/partitions")[0]["state"], "ok", "state")
    receiver.stop()
    for reader in logread.READERS:
        seqs, payloads = logread.read_partition(receiver.data / "0", reader)
        expect_equal(len(seqs), rest["events"]["durable"], f"events by {reader.__name__}")
        expect_equal(logread.sent_numbers(payloads, "0badcafe"), list(range(last["sent"])),
                     f"events after the disk was freed, by {reader.__name__}")


def write_synced(path, data):
    with open(path, "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def fill_to_the_last_byte(path):
    with open(path, "wb") as out:
        at = 0
        for piece in (1 << 20, 4096, 1024):
            try:
                while True:
                    os.posix_fallocate(out.fileno(), at, piece)
                    at += piece
            except OSError as full:
                expect_equal(full.errno, 28, "error of a full disk")


def others_leave_not_a_byte(r):
    """What was given to a segment is written; behind it, and at a start, the disk is just full."""
    disk = small_disk(r)
    net = r.net(quiet=True)
    receiver = r.receiver(net, data=disk / "log",
                          log={"segment_size": "16MiB", "block_size": "128KiB"})
    receiver.data = disk / "log"
    receiver.start()
    sent = net.send_events("--rate", 5000, "--count", 1000, "--size", 1400)["sent"]
    fill_to_the_last_byte(disk / "ballast")
    sent += fill(net, receiver)
    receiver.at_rest(30, lambda: sent - net.refused())
    expect_equal(sorted(receiver.drops()), ["log_full"], "reasons of drops")
    durable = receiver.durable()
    expect(durable > 10000, f"only {durable} events were written")
    receiver.stop()

    fill_to_the_last_byte(disk / "more")
    receiver.start()
    expect_equal(receiver.durable(), durable, "durable after a start on the full disk")
    net.send_events("--rate", 1000, "--count", 200)
    wait_until(lambda: "log_full" in receiver.drops(), "events were counted as log_full")
    (disk / "ballast").unlink()
    (disk / "more").unlink()
    wait_until(lambda: receiver.get("/api/v1/partitions")[0]["state"] == "ok", "it had room", 20)
    last = net.send_events("--rate", 1000, "--count", 500, "--id", "0badcafe")["sent"]
    receiver.wait_durable(durable + last)
    receiver.stop()
    seqs, payloads = logread.read_partition(receiver.data / "0")
    expect_equal(len(seqs), durable + last, "events in the log")
    expect_equal(logread.sent_numbers(payloads, "0badcafe"), list(range(last)), "the last events")


def start_on_a_full_disk_is_told(r):
    disk = small_disk(r)
    (disk / "ballast").write_bytes(bytes((DISK_MIB - 28) << 20))
    receiver = r.receiver(device="net_null0", log={"segment_size": "64MiB"}, data=disk / "log")
    receiver.start(wait=False)

    def settled():
        return not receiver.running() or receiver.socket.exists()

    wait_until(settled, "millraced started or refused", 20)
    if receiver.running():
        status = receiver.get("/api/v1/status")
        expect(status["health"] != "ok", f"healthy on a full disk: {status}")
        receiver.stop()
    else:
        expect("space" in receiver.log(), f"not told why: {receiver.log_tail()}")
        receiver.expect_clean()


rig.run(a_full_disk_is_counted_and_left_again, others_leave_not_a_byte,
        start_on_a_full_disk_is_told)
