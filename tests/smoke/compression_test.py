#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
"""A partition that compresses: less on disk, the same for every reader, and noise left as it is."""

import json
import os
import random
import subprocess

import logread
import pyarrow
import pyarrow.ipc
import rig
from rig import MILLRACE, PORT, RECEIVER4, SENDER4, expect, expect_equal, sh

LOG = {"segment_size": "16MiB", "block_size": "128KiB", "commit_interval": "500ms",
       "compression": "lz4"}


def text_events(count):
    dice = random.Random(11)
    words = [w for w in open(rig.__file__, encoding="utf-8").read().split() if len(w) < 30]
    for number in range(count):
        line = b"%08d " % number
        while len(line) < 600:
            line += dice.choice(words).encode() + b" "
        yield line[:600]


def send(net, receiver, payloads, ports=(40001,), already=0):
    """In portions that the receiver has in its log before the next; the ports take turns."""
    outs = [net.udp_socket() for _ in ports]
    for out, port in zip(outs, ports):
        out.bind((SENDER4, port))
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(everywhere)})  # see Net.send_events() for why
    net.fix_neighbour()
    for start in range(0, len(payloads), 400):
        for number, payload in enumerate(payloads[start:start + 400]):
            outs[number % len(outs)].sendto(payload, (RECEIVER4, PORT))
        receiver.wait_durable(already + min(start + 400, len(payloads)))
    os.sched_setaffinity(0, everywhere)


def counters(receiver, partition="0"):
    found = {}
    for line in receiver.get_text("/metrics")[1].splitlines():
        name, _, value = line.rpartition(" ")
        if f'partition="{partition}"' in name and name.startswith("millrace_partition_"):
            found[name.split("{")[0].removeprefix("millrace_partition_").removesuffix("_total")] = \
                float(value)
    return found


def compression_of(path):
    return pyarrow.ipc.open_stream(pyarrow.memory_map(str(path))).schema.metadata[b"compression"]


def text_takes_less_and_reads_the_same(r):
    net = r.net()
    receiver = r.receiver(net, log=LOG).start()
    payloads = list(text_events(4000))
    send(net, receiver, payloads)
    found = counters(receiver)
    expect(found["compressed_blocks"] > 0, f"compressed blocks ({found})")
    expect(found["compressed_to_bytes"] < 0.8 * found["compressed_from_bytes"], f"ratio ({found})")
    text = receiver.cli("log", "cat", "--format", "ndjson").stdout
    expect_equal(len(text.splitlines()), len(payloads), "lines of log cat")
    verified = json.loads(receiver.cli("--json", "log", "verify").stdout)
    expect_equal(verified["data"][0]["state"], "ok", "log verify of a running receiver")
    arrow = subprocess.run([str(MILLRACE), "--socket", str(receiver.socket), "log", "cat", "--format",
                            "arrow"], capture_output=True, check=True).stdout
    table = pyarrow.ipc.open_stream(arrow).read_all()
    expect(table["payload"].to_pylist() == payloads, "payloads of log cat as Arrow")
    receiver.stop()
    for reader in logread.READERS:
        seqs, read = logread.read_partition(receiver.data / "0", reader)
        expect_equal(seqs, list(range(len(payloads))), f"seqs by {reader.__name__}")
        expect(read == payloads, f"payloads by {reader.__name__}")
    expect_equal(compression_of(logread.segments(receiver.data / "0")[0]), b"lz4", "metadata")
    lines = sh(MILLRACE, "log", "cat", receiver.data).stdout.splitlines()
    expect_equal(lines, [p.decode() for p in payloads], "lines of log cat of a directory")


def noise_is_left_as_it_is(r):
    net = r.net()
    receiver = r.receiver(net, log=LOG).start()
    dice = random.Random(12)
    payloads = [dice.randbytes(1400) for _ in range(2000)]
    send(net, receiver, payloads)
    found = counters(receiver)
    expect_equal(found["compressed_blocks"], 0, f"compressed blocks ({found})")
    expect(found["compression_tries"] < 0.5 * found["blocks"], f"tries ({found})")
    receiver.stop()
    expect(logread.read_partition(receiver.data / "0")[1] == payloads, "payloads")


def only_named_partitions_compress_and_a_restart_may_change_it(r):
    net = r.net()
    receiver = r.receiver(net, partitions=2, cpus="0-1",
                          log={**LOG, "compressed_partitions": "1"}).start()
    payloads = list(text_events(2000))
    send(net, receiver, payloads, ports=range(40001, 40017))
    receiver.kill()
    receiver.config["log"]["compressed_partitions"] = "0"
    receiver.start()
    send(net, receiver, payloads, ports=range(40001, 40017), already=receiver.durable())
    receiver.stop()
    for partition in (0, 1):
        paths = logread.segments(receiver.data / str(partition))
        expect_equal([compression_of(path) for path in paths],
                     [b"none", b"lz4"] if partition == 0 else [b"lz4", b"none"],
                     f"compression of the segments of partition {partition}")
    expect_equal(sorted(logread.read_all(receiver.data)), sorted(payloads * 2), "payloads")
    sh(MILLRACE, "log", "verify", receiver.data)


rig.run(text_takes_less_and_reads_the_same, noise_is_left_as_it_is,
        only_named_partitions_compress_and_a_restart_may_change_it)
