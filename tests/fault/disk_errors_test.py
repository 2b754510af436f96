#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 180
"""A disk that refuses a write, refuses a flush, turns read-only, or takes a second for a flush.

After an error the partition is failed for good: nothing more becomes durable, every event is
counted, health says so, the process lives and ends with exit code 1; the next start recovers, and
all that was reported as durable is there. Needs root (mounts, loop devices).
"""

import time

import endless
import rig
from disk import FlakyDisk
from rig import expect, expect_equal, printed_durable, sh, wait_until

SLOW_MS = 1000
SEED_THAT_LOSES_ALL = 3  # of what was not flushed
IN_FLIGHT_MAX = 9 * (256 << 10) // 1000  # events of that size in the blocks that may be in flight


def start(r, disk, **log):
    source = endless.Endless(r)
    receiver = source.receiver(r, data=disk.dir / "log", log=log)
    receiver.start("--print-durable")
    wait_until(lambda: printed_durable(receiver).get(0, 0) > 0, "something became durable", 20)
    return source, receiver


def partition(receiver):
    return receiver.get("/api/v1/partitions")[0]


def histogram(receiver, name):
    return next(row for row in receiver.get("/api/v1/stats") if row["name"] == name)


def failed_for_good(receiver, errors, between_segments=False):
    """Waits for the failure and looks at it from all sides; returns what was durable.

    between_segments: it may come while nothing is in flight that could be lost.
    """
    wait_until(lambda: partition(receiver)["state"] == "failed", "the partition failed")
    durable = int(partition(receiver)["durable_seq"])
    expect(partition(receiver)["error"] in errors, f"error {partition(receiver)['error']}")
    status, text = receiver.get_text("/healthz")
    expect_equal(status, 503, f"HTTP status of /healthz ({text})")
    expect("partition 0 failed" in text, f"health does not say why: {text}")
    before = receiver.drops()
    wait_until(lambda: receiver.drops().get("partition_failed", 0) >
               before.get("partition_failed", 0), "events went on being received and counted")
    if not between_segments:
        expect(receiver.drops().get("rows_lost", 0) > 0, f"no rows_lost: {receiver.drops()}")
    expect_equal(int(partition(receiver)["durable_seq"]), durable, "durable after the failure")
    wait_until(lambda: "partition 0 failed" in receiver.log(), "it was told in the log")
    expect_equal(receiver.log().count("partition 0 failed"), 1, "times it was told")
    return durable


def end_of_failed(receiver, durable):
    receiver.stop(expected=1)
    expect_equal(printed_durable(receiver)[0], durable, "durable at the end")
    events = {}
    line = [line for line in receiver.log().splitlines() if "; events: " in line][-1]
    for part in line.split("; events: ")[1].split(", "):
        count, word = part.split()
        events[word] = int(count)
    expect_equal(events["durable"] + events["dropped"], events["in"], f"events counted ({line})")


def recovers(source, receiver, durable):
    receiver.start("--print-durable")
    wait_until(lambda: printed_durable(receiver)[0] > durable + endless.FRAMES, "it went on", 20)
    expect_equal(receiver.get("/api/v1/status")["health"], "ok", "health after a restart")
    receiver.stop()
    source.check(receiver.data / "0", printed_durable(receiver)[0])


def a_failed_write(r, **log):
    disk = FlakyDisk(r).plug()
    source, receiver = start(r, disk, **log)
    disk.control("fail-writes 1 65536")
    durable = failed_for_good(receiver, ["Input/output error"])
    expect_equal(disk.counters()["failed_writes"], 1, "writes refused")
    end_of_failed(receiver, durable)
    recovers(source, receiver, durable)


def a_failed_write_fails_the_partition(r):
    a_failed_write(r)


def a_failed_pwrite_fails_the_partition(r):
    a_failed_write(r, io="pwrite")


def a_failed_dsync_write_fails_the_partition(r):
    a_failed_write(r, durability="dsync")


def refuse_flushes(receiver, disk):
    """Returns what was durable when the failure was found."""
    disk.control("fail-flushes 1000000")
    begin = int(partition(receiver)["durable_seq"])
    durable = failed_for_good(receiver, ["Input/output error", "Read-only file system"])
    expect(durable - begin <= IN_FLIGHT_MAX, f"{durable - begin} events became durable by refused "
                                             "flushes")
    return durable


def a_failed_flush_fails_the_partition(r):
    """What the flush was to make durable is then lost, as by some disks."""
    disk = FlakyDisk(r).plug()
    source, receiver = start(r, disk)
    durable = refuse_flushes(receiver, disk)
    disk.control(f"cut {SEED_THAT_LOSES_ALL}")
    end_of_failed(receiver, durable)
    disk.unplug()
    disk.check_after_replay()
    disk.plug()
    recovers(source, receiver, durable)


def a_failed_flush_alone_fails_the_partition(r):
    """No journal that fails, too, and no segment that ends before a hundred megabytes more."""
    disk = FlakyDisk(r, mkfs_options=["-O", "^has_journal"]).plug()
    source, receiver = start(r, disk, segment_size="96MiB", retain_size="0")
    durable = refuse_flushes(receiver, disk)
    end_of_failed(receiver, durable)
    disk.control("fail-flushes 0")
    recovers(source, receiver, durable)


def a_file_system_turned_read_only(r):
    """In the middle of a segment. While a journal is being aborted ext4 can call a directory's sync
    done and lose the name all the same: seen in 1 of 90 aborts, on 6.18, of a program that does
    nothing but rename and sync. So there must be no new name in that moment."""
    disk = FlakyDisk(r, mount_options="noatime,errors=remount-ro").plug()
    source, receiver = start(r, disk, segment_size="96MiB", retain_size="0")
    done = sh("mount", "-o", "remount,ro", disk.dir, check=False)
    expect(done.returncode != 0, "a file system is remounted although its files are written to")
    # As ext4 does by itself when its metadata or journal can't be written.
    sh("mount", "-o", "remount,abort", disk.dir, check=False)
    durable = failed_for_good(receiver, ["Input/output error", "Read-only file system"])
    end_of_failed(receiver, durable)
    receiver.start(wait=False)
    expect_equal(receiver.process.wait(20), 1, "exit code of a start on a read-only file system")
    expect("Read-only file system" in receiver.log_tail(3), f"not told why: {receiver.log_tail()}")
    disk.unplug()
    disk.plug()
    recovers(source, receiver, durable)


def a_new_segment_on_a_read_only_file_system_fails_the_partition(r):
    disk = FlakyDisk(r).plug()
    source = endless.Endless(r)
    receiver = source.receiver(r, data=disk.dir / "log")
    receiver.wrapper = ["strace", "-D", "-f", "-o", r.home / "trace", "-e", "trace=fallocate",
                        "-e", "inject=fallocate:error=EROFS:when=3+"]
    receiver.start("--print-durable")
    durable = failed_for_good(receiver, ["Read-only file system"], between_segments=True)
    expect("until there is room" not in receiver.log(), "it passes for a full disk")
    end_of_failed(receiver, durable)
    receiver.wrapper = []
    recovers(source, receiver, durable)


def a_slow_flush_delays_and_loses_nothing(r):
    disk = FlakyDisk(r).plug()
    net = r.net(quiet=True)
    receiver = r.receiver(net, log={"segment_size": "16MiB", "block_size": "128KiB"},
                          data=disk.dir / "log")
    receiver.data = disk.dir / "log"
    receiver.start()
    disk.control(f"slow-flush {SLOW_MS}")
    begin = time.monotonic()
    sent = net.send_events("--rate", 1000, "--count", 4000, "--size", 200)["sent"]
    took = time.monotonic() - begin
    rest = receiver.at_rest(30, lambda: sent)
    expect_equal(rest["packets"]["in"], sent, "packets in")
    expect_equal(rest["events"]["durable"], sent, f"durable events ({receiver.drops()})")
    commit = histogram(receiver, "commit_latency_ns")
    expect(commit["p50"] >= SLOW_MS * 1e6, f"a flush's second is not seen: {commit['p50']} ns")
    print(f"{sent} events in {took:.1f} s; commit p50 {commit['p50'] / 1e6:.0f} ms, "
          f"p99 {commit['p99'] / 1e6:.0f} ms")
    expect_equal(receiver.get("/api/v1/status")["health"], "ok", "health")
    disk.control("slow-flush 0")
    receiver.stop()


rig.run(a_failed_write_fails_the_partition, a_failed_pwrite_fails_the_partition,
        a_failed_dsync_write_fails_the_partition, a_failed_flush_fails_the_partition,
        a_failed_flush_alone_fails_the_partition, a_file_system_turned_read_only,
        a_new_segment_on_a_read_only_file_system_fails_the_partition, a_slow_flush_delays_and_loses_nothing)
