#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 120
"""A quota that is exceeded is a full disk: counted as log_full, and left again by itself.

On btrfs, whose quotas need no format that a kernel may lack. Where files are not overwritten in
place (copy on write) a quota, as a full disk, can also refuse a write to a segment that has its
room: that fails the partition, and a restart recovers. Needs root (mounts, loop devices).
"""

import disk
import endless
import logread
import rig
from rig import MILLRACE, expect, expect_equal, sh, wait_until

SIZE_MIB = 512
UNPRIVILEGED = ["setpriv", "--bounding-set", "-sys_resource", "--inh-caps", "-sys_resource"]


class Quota:
    """A btrfs subvolume with a limit."""

    def __init__(self, r, mount_options):
        disk.need_facilities("btrfs")
        disk.private_mounts()
        image, self.root = r.home / "image", r.home / "fs"
        self.root.mkdir()
        with open(image, "wb") as out:
            out.truncate(SIZE_MIB << 20)
        sh("mkfs.btrfs", "-q", "-f", image)
        sh("mount", "-t", "btrfs", "-o", f"loop,noatime,{mount_options}", image, self.root)
        r.stack.callback(sh, "umount", "-l", self.root, check=False)
        self.dir = self.root / "volume"
        sh("btrfs", "subvolume", "create", self.dir)
        sh("btrfs", "quota", "enable", self.root)

    def limit(self, size):
        sh("btrfs", "qgroup", "limit", size, self.dir)


def start(r, quota, **log):
    receiver = endless.Endless(r).receiver(r, data=quota.dir / "log", log=log)
    receiver.wrapper = UNPRIVILEGED  # root's CAP_SYS_RESOURCE stands above some quotas
    receiver.start()
    return receiver


def partition(receiver):
    return receiver.get("/api/v1/partitions")[0]


def check_log(receiver, durable):
    sh(MILLRACE, "log", "verify", receiver.data / "0")
    seqs, _ = logread.read_partition(receiver.data / "0")
    expect_equal(seqs[:1] + seqs[-1:], [0, durable - 1], "first and last seq")


def an_exceeded_quota_is_counted_and_left_again(r):
    quota = Quota(r, "nodatacow")
    quota.limit("100M")
    receiver = start(r, quota, retain_size="0")
    wait_until(lambda: partition(receiver)["state"] == "full", "the quota was exceeded", 20)
    wait_until(lambda: receiver.drops().get("log_full", 0) > 0, "events were counted as log_full")
    status = receiver.get("/api/v1/status")
    expect_equal(status["health"], "degraded", f"health ({status['reasons']})")
    expect("Disk quota exceeded" in receiver.log(), f"not told why: {receiver.log_tail()}")
    durable, drops = receiver.durable(), receiver.drops()
    wait_until(lambda: receiver.drops()["log_full"] > drops["log_full"], "reception went on")

    quota.limit("200M")
    wait_until(lambda: receiver.durable() > durable, "writing resumed by itself", 20)
    expect_equal(sorted(receiver.drops()), ["log_full"], "reasons of drops")
    receiver.stop()
    end = int(receiver.log().rsplit("durable up to seq ", 1)[1].split()[0])
    check_log(receiver, end)


def a_write_refused_by_a_quota_fails_the_partition(r):
    quota = Quota(r, "datacow")
    quota.limit("100M")
    receiver = start(r, quota, retain_size="48MiB")
    wait_until(lambda: partition(receiver)["segment_first_seq"] != "0", "a segment was full", 20)
    quota.limit(f"{sum(p.stat().st_size for p in logread.segments(receiver.data / '0')) >> 20}M")
    wait_until(lambda: partition(receiver)["state"] == "failed", "a write was refused", 20)
    expect_equal(partition(receiver)["error"], "Disk quota exceeded", "error")
    wait_until(lambda: receiver.drops().get("partition_failed", 0) > 0, "events were counted")
    durable = receiver.durable()
    receiver.stop(expected=1)
    sh("btrfs", "quota", "disable", quota.root)  # to raise the limit is refused as well
    receiver.start()
    wait_until(lambda: receiver.durable() > durable, "it went on after a restart", 20)
    receiver.stop()
    sh(MILLRACE, "log", "verify", receiver.data / "0")


rig.run(an_exceeded_quota_is_counted_and_left_again,
        a_write_refused_by_a_quota_fails_the_partition)
