# SPDX-License-Identifier: BSD-3-Clause
"""Disks that fail: tests/fault/flaky_disk below a loop device below a kernel file system."""

import contextlib
import ctypes
import json
import os
import pathlib
import subprocess

from rig import BUILD, Skip, expect, expect_equal, sh, wait_until

FLAKY_DISK = BUILD / "tests/fault/flaky_disk"
SIZE_MIB = 384  # xfs takes none below 300

MKFS = {
    "ext4": ["mkfs.ext4", "-q", "-F", "-m", "0", "-E",
             "nodiscard,lazy_itable_init=0,lazy_journal_init=0"],
    "xfs": ["mkfs.xfs", "-q", "-f", "-K"],
}
# What a boot does with a disk before it is mounted, by the file system. Without it a kernel before 6.10
# doesn't mount an ext4 whose last commit block, 2 to 8 sectors, reached the disk in part ("journal
# transaction N is corrupt"): https://lore.kernel.org/r/20240425064515.836633-1-yebin@huaweicloud.com
AT_BOOT = {"ext4": ["e2fsck", "-p"], "xfs": ["true"]}
CHECK = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"]}


def need_facilities(fs="ext4"):
    """Skips where the kernel has no FUSE, no loop devices or not this file system."""
    for path in ("/dev/fuse", "/dev/loop-control"):
        if not os.path.exists(path):
            raise Skip(f"needs {path}")
    if fs not in pathlib.Path("/proc/filesystems").read_text().split():
        sh("modprobe", fs, check=False)
    if fs not in pathlib.Path("/proc/filesystems").read_text().split():
        raise Skip(f"needs a kernel with {fs}")


def private_mounts():
    """Mounts of this process and its children only, gone with them.

    Else whoever makes a mount namespace meanwhile (ip netns exec does) takes a copy of ours along,
    and a file system lives on that was unmounted here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x20000) != 0:  # CLONE_NEWNS
        raise Skip(f"needs a mount namespace: {os.strerror(ctypes.get_errno())}")
    sh("mount", "--make-rprivate", "/")


def mounted(directory):
    """mounted() takes a shut-down file system for none."""
    with open("/proc/self/mounts", encoding="utf-8") as mounts:
        return any(line.split()[1] == str(directory) for line in mounts)


def unmount(directory):
    """A killed process's last writes may keep it busy for a moment."""
    def gone():
        return not mounted(directory) or sh("umount", directory, check=False).returncode == 0

    try:
        wait_until(gone, f"{directory} was unmounted", 10)
    except AssertionError:
        sh("umount", "-l", directory, check=False)
        raise


def boot(fs, image):
    """What comes before each mount of what a cut may have left."""
    done = sh(*AT_BOOT[fs], image, check=False)
    expect(done.returncode in (0, 1), f"{fs} after a cut: exit {done.returncode}\n{done.stdout}{done.stderr}")


class FlakyDisk:
    """A disk image with a file system, behind a volatile cache while it is plugged in."""

    def __init__(self, r, fs="ext4", mkfs_options=(), mount_options="noatime"):
        need_facilities(fs)
        private_mounts()
        self.fs, self.mount_options = fs, mount_options
        self.image = r.home / "image"
        self.front, self.dir = r.home / "front", r.home / "fs"
        self.process = None
        for directory in (self.front, self.dir):
            directory.mkdir()
        with open(self.image, "wb") as out:
            out.truncate(SIZE_MIB << 20)
        sh(*MKFS[fs], *mkfs_options, self.image)
        r.stack.callback(self.unplug)

    def plug(self):
        boot(self.fs, self.image)
        self.process = subprocess.Popen([FLAKY_DISK, self.image, self.front])
        wait_until(lambda: mounted(self.front) or self.process.poll(), "the disk was there")
        expect_equal(self.process.poll(), None, "exit code of flaky_disk")
        loop = sh("losetup", "--show", "-f", self.front / "disk", "--direct-io=on").stdout.strip()
        try:
            sh("mount", "-t", self.fs, "-o", self.mount_options, loop, self.dir)
        finally:
            sh("losetup", "-d", loop)  # when it is unmounted
        return self

    def control(self, command):
        with open(self.front / "control", "wb", buffering=0) as out:
            out.write(command.encode())

    def counters(self):
        return json.loads((self.front / "control").read_text())

    def unplug(self):
        """Takes it all down, whatever state it is in; what was flushed stays in the image."""
        try:
            if mounted(self.dir):
                unmount(self.dir)
        finally:
            if self.process is not None:
                sh("umount", "-l", self.front, check=False)
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
                self.process = None

    @contextlib.contextmanager
    def clean(self):
        """The image as it is, on a disk without faults; this replays the journal."""
        boot(self.fs, self.image)
        sh("mount", "-t", self.fs, "-o", "loop," + self.mount_options, self.image, self.dir)
        try:
            yield
        finally:
            unmount(self.dir)

    def check(self):
        done = sh(*CHECK[self.fs], self.image, check=False)
        expect(done.returncode == 0,
               f"{self.fs} is not clean: exit {done.returncode}\n{done.stdout}{done.stderr}")

    def check_after_replay(self):
        with self.clean():
            pass
        self.check()
