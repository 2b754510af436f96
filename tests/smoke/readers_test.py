#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""What pyarrow, polars and nanoarrow read is what was sent, byte by byte."""

import os
import random
import subprocess

import logread
import pyarrow
import pyarrow.ipc
import rig
from rig import MILLRACE, PORT, RECEIVER4, SENDER4, expect, expect_equal, sh


def send_one_by_one(net, receiver, payloads):
    """In portions that the receiver has in its log before the next."""
    out = net.udp_socket()
    out.bind((SENDER4, 40001))
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})  # see Net.send_events() for why
    net.fix_neighbour()
    for start in range(0, len(payloads), 50):
        for payload in payloads[start:start + 50]:
            out.sendto(payload, (RECEIVER4, PORT))
        receiver.wait_durable(min(start + 50, len(payloads)))
    os.sched_setaffinity(0, everywhere)


def every_reader_reads_what_was_sent(r):
    net = r.net()
    receiver = r.receiver(net, log={"segment_size": "16MiB", "block_size": "128KiB", "commit_interval": "2ms"}).start()
    dice = random.Random(7)
    payloads = [dice.randbytes(dice.choice((1, 2, 18, 63, 64, 65, 600, 1400, 1472)))
                for _ in range(2000)]
    send_one_by_one(net, receiver, payloads)
    receiver.stop()
    for reader in logread.READERS:
        seqs, read = logread.read_partition(receiver.data / "0", reader)
        expect_equal(seqs, list(range(len(payloads))), f"seqs by {reader.__name__}")
        expect(read == payloads, f"payloads by {reader.__name__}")


def the_other_columns_say_who_and_when(r):
    net = r.net()
    receiver = r.receiver(net).start()
    send_one_by_one(net, receiver, [b"x"] * 60)
    receiver.stop()
    path = logread.segments(receiver.data / "0")[0]
    table = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).read_all()
    expect_equal(set(table["src_addr"].to_pylist()), {bytes(10) + b"\xff\xff\x0a\x4d\x00\x01"},
                 "src_addr")
    expect_equal(set(table["src_port"].to_pylist()), {40001}, "src_port")
    expect_equal(set(table["listener"].to_pylist()), {0}, "listener")
    for name in ("source_id", "source_epoch", "source_seq"):
        expect_equal(set(table[name].to_pylist()), {0}, name)
    times = table["received_at"].cast(pyarrow.int64()).to_pylist()
    expect_equal(times, sorted(times), "received_at, in order")
    age = rig.time.time_ns() - times[0]
    expect(0 < age < 120e9, f"received_at is {age} ns ago")


def log_cat_says_the_same_while_it_runs(r):
    net = r.net()
    receiver = r.receiver(net).start()
    payloads = [b"event %d" % number for number in range(100)]
    send_one_by_one(net, receiver, payloads)
    text = receiver.cli("log", "cat", "--format", "ndjson").stdout
    expect_equal(len(text.splitlines()), 100, f"lines of log cat ({text[:200]})")
    arrow = subprocess.run([str(MILLRACE), "--socket", str(receiver.socket), "log", "cat", "--format",
                            "arrow"], capture_output=True, check=True).stdout
    table = pyarrow.ipc.open_stream(arrow).read_all()
    expect_equal(table["payload"].to_pylist(), payloads, "payloads of log cat as Arrow")
    receiver.stop()
    later = sh(MILLRACE, "log", "cat", receiver.data, "--from", 90, "--format", "ndjson").stdout
    expect_equal(len(later.splitlines()), 10, "lines of log cat --from 90 of a directory")


rig.run(every_reader_reads_what_was_sent, the_other_columns_say_who_and_when,
        log_cat_says_the_same_while_it_runs)
