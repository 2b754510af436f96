#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""A kernel without io_uring, a file system without O_DIRECT: said at the start, slower, as right."""

import pathlib

import logread
import rig
from rig import MILLRACE, expect, expect_equal, sh

DISABLED = pathlib.Path("/proc/sys/kernel/io_uring_disabled")
EVENTS = 5000


def receives(r, net, receiver):
    account = net.send_events("--rate", 20000, "--count", EVENTS)
    receiver.at_rest()
    io = receiver.get("/api/v1/partitions")[0]["io"]
    receiver.stop()
    payloads = logread.read_all(receiver.data)
    expect_equal(logread.sent_numbers(payloads, account["id"]), list(range(EVENTS)), "events")
    sh(MILLRACE, "log", "verify", receiver.data)
    return io


def a_kernel_that_refuses_io_uring(r):
    if not DISABLED.exists():
        raise rig.Skip("this kernel has no switch for io_uring")
    before = DISABLED.read_text()
    r.stack.callback(DISABLED.write_text, before)
    DISABLED.write_text("2")
    net = r.net(quiet=True)
    receiver = r.receiver(net).start()
    expect("no io_uring" in receiver.log(), f"the fallback is not told: {receiver.log()}")
    expect_equal(receives(r, net, receiver), "pwrite", "way to the disk")


def a_receiver_told_to_use_io_uring_only(r):
    if not DISABLED.exists():
        raise rig.Skip("this kernel has no switch for io_uring")
    before = DISABLED.read_text()
    r.stack.callback(DISABLED.write_text, before)
    DISABLED.write_text("2")
    receiver = r.receiver(device="net_null0", log={"io": "io_uring"})
    receiver.start(wait=False)
    expect(receiver.process.wait(20) != 0, "millraced started without io_uring")
    expect("io_uring" in receiver.log(), f"not told why: {receiver.log()}")


def pwrite_when_asked_for(r):
    net = r.net(quiet=True)
    receiver = r.receiver(net, log={"io": "pwrite", "durability": "dsync"}).start()
    expect_equal(receives(r, net, receiver), "pwrite", "way to the disk")


def a_data_directory_in_memory(r):
    home = r.home / "memory"
    home.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", home)
    r.stack.callback(sh, "umount", "-l", home)
    net = r.net(quiet=True)
    receiver = r.receiver(net, data=home / "log")
    receiver.data = home / "log"
    receiver.start()
    receives(r, net, receiver)


rig.run(a_kernel_that_refuses_io_uring, a_receiver_told_to_use_io_uring_only,
        pwrite_when_asked_for, a_data_directory_in_memory)
