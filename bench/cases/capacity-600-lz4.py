#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Text on a disk of 100 MB/s: events of 600 bytes to durable, compressed and not.

The disk is held to that rate by the kernel's block controller (cgroup v1 blkio.throttle, v2 io.max),
which counts direct writes as they are issued. The text: the sources of Python's standard library as
they are installed here, in pieces of 600 bytes.
"""

import contextlib
import os
import pathlib
import struct
import sys
import sysconfig

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import FRAMES, commit_rows, measure, pcap_port, stage_rows  # noqa: E402
from harness import BenchError, Millraced, cpus, main, seconds  # noqa: E402

SIZE = 600
DISK = 100_000_000  # bytes/s
TARGET = 187_000    # events/s: a gigabit of them with all headers
# Blocks of a size that a lcore compresses in half a millisecond: it polls nothing meanwhile.
LOG = {"segment_size": "128MiB", "retain_size": "512MiB", "queue_depth": 8, "block_size": "256KiB"}


def corpus(size):
    text = bytearray()
    for path in sorted(pathlib.Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        text += path.read_bytes()
        if len(text) >= size:
            return bytes(text[:size])
    raise BenchError("Python's standard library is too small a corpus here")


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(payload, number):
    udp_len = 8 + len(payload)
    address = bytes([10, 9, 0, 2, 10, 9, 0, 1])
    udp = struct.pack(">HHHH", 0x8000 | number % 64, Millraced.PORT, udp_len, 0)
    total = checksum(address + struct.pack(">HH", 17, udp_len) + udp + payload)
    udp = udp[:6] + struct.pack(">H", total)
    ip4 = struct.pack(">BBHHHBBH", 0x45, 0, 20 + udp_len, 0, 0x4000, 64, 17, 0) + address
    ip4 = ip4[:10] + struct.pack(">H", checksum(ip4)) + ip4[12:]
    return bytes.fromhex("020000000001020000000002") + b"\x08\x00" + ip4 + udp + payload


def write_capture(path):
    """A classic pcap file (magic in this machine's order, snap length, Ethernet)."""
    text = corpus(SIZE * FRAMES)
    with open(path, "wb") as f:
        f.write(struct.pack("=IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for number in range(FRAMES):
            one = frame(text[number * SIZE:][:SIZE], number)
            f.write(struct.pack("=IIII", 0, 0, len(one), len(one)) + one)


def whole_disk(path):
    """major:minor of the disk below: a partition can't be throttled."""
    number = os.stat(path).st_dev
    device = pathlib.Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve()
    if (device / "partition").exists():
        device = device.parent
    return (device / "dev").read_text(encoding="ascii").strip()


@contextlib.contextmanager
def throttled(path):
    """This process and what it starts writes no faster than DISK; yields by what means."""
    name = f"millrace-bench-{os.getpid()}"
    ways = [(pathlib.Path("/sys/fs/cgroup/blkio"), "blkio.throttle.write_bps_device",
             f"{whole_disk(path)} {DISK}"),
            (pathlib.Path("/sys/fs/cgroup"), "io.max", f"{whole_disk(path)} wbps={DISK}")]
    for top, file, text in ways:
        group = top / name
        try:
            group.mkdir()
            (group / file).write_text(text, encoding="ascii")
            (group / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
        except OSError:
            with contextlib.suppress(OSError):
                group.rmdir()
            continue
        try:
            yield file
        finally:
            (top / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")
            group.rmdir()
        return
    raise BenchError("no block controller that can throttle: neither blkio.throttle nor io.max")


def run(case):
    duration = seconds(20)
    cpu, _ = cpus()
    capture = case.dir / "text.pcap"
    write_capture(capture)
    windows = {}
    with throttled(case.dir) as means:
        for name in ("none", "lz4"):
            windows[name] = measure(case, pcap_port(capture), cpu, duration,
                                    log={**LOG, "compression": name})
    case.row(f"disk_by_{means}", DISK / 1e6, "MB/s")
    plain = windows["none"].per_second
    for name, window in windows.items():
        case.row(f"{name}_durable_per_second", window.per_second, "events/s", TARGET)
        case.row(f"{name}_disk_written", window.megabytes, "MB/s", DISK / 1e6)
        commit_rows(case, window, f"{name}_")
    lz4 = windows["lz4"]
    case.row("lz4_against_none", lz4.per_second / plain, "")
    case.row("lz4_ratio", lz4.delta["partition.compressed_from_bytes"] /
             max(lz4.delta["partition.compressed_to_bytes"], 1), "")
    stage_rows(case, lz4, "lz4_")


sys.exit(main("capacity-600-lz4", run))
