# SPDX-License-Identifier: BSD-3-Clause
"""What the cases share that take the receiver to a limit: sources, the disk's own figures, a window
of counters, and rows of what a stage costs."""

import json
import pathlib
import re
import time

from harness import BUILD, USABLE, BenchError, CpuMeter, Millraced, say

SOURCE = "198.18.0.1"
FRAMES = 10000
MBUFS = 32767  # of a queue, which keeps FRAMES of them for good

# Enough segments that the log overwrites written ones after a few seconds, as it does in the long
# run, and room for what is in flight.
LOG = {"segment_size": "512MiB", "retain_size": "2GiB", "queue_depth": 16}
RECYCLED = 3  # segments overwritten before it counts

PACE_QUEUE = 16384  # descriptors: a virtual CPU is taken away for up to half a millisecond

NULL_PORT = "net_null0,size=60"  # with millraced_pool: a frame of 64 bytes with its FCS
POOL = str(BUILD / "bench/millraced_pool")
NULL_DISK = str(BUILD / "bench/millraced_null")


def crc32c(crc, data):
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc


def partition_of(port, partitions):
    """Where dataplane/steer.h puts a flow from SOURCE and that port."""
    source = bytes(10) + b"\xff\xff" + bytes(map(int, SOURCE.split(".")))
    crc = crc32c(0xffffffff, source + (port << 16 | Millraced.PORT).to_bytes(8, "little"))
    mixed = (crc * 0x9e3779b97f4a7c15 & (1 << 64) - 1) >> 32
    return mixed * partitions >> 32


def make_capture(case, size, partition=0, partitions=1, run_id="00000600"):
    """A file of FRAMES numbered events of that size for pcap_port(), all of a flow that belongs to
    the partition, as a NIC that spreads flows over queues would sort them."""
    path = case.dir / f"events-{size}-{partition}-of-{partitions}.pcap"
    port = next(p for p in range(40000, 50000) if partition_of(p, partitions) == partition)
    case.send(["--port", f"net_pcap0,tx_pcap={path}", "--no-huge", "--to",
               f"10.9.0.1:{Millraced.PORT}", "--from", f"{SOURCE}:{port}", "--rate", "max",
               "--size", str(size), "--count", str(FRAMES), "--id", run_id], 60)
    return path


def pcap_port(*captures):
    """A queue for each file, which copies its frames again and again and is never empty."""
    return "net_pcap0," + "".join(f"rx_pcap={path}," for path in captures) + "infinite_rx=1"


def spread_port(case, size, partitions):
    """A port with a queue for each partition; and what else such a receiver is started with."""
    captures = [make_capture(case, size, p, partitions) for p in range(partitions)]
    return pcap_port(*captures), {"partitions": partitions, "port": {"rx_queues": partitions}}


def hugepages_free():
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0


def fio(case, duration, *more, depth=16, block="1M"):
    """Sequential writes over a file that is written already, as over a recycled segment; fio's job
    and where its buffers were."""
    memory = ["--iomem=mmaphuge", "--hugepage-size=2m"] if hugepages_free() > 2 * depth \
        else ["--iomem=malloc"]
    out = case.run(["fio", "--name=reference", f"--filename={case.dir}/fio.dat",
                    "--size=2G", "--rw=write", f"--bs={block}", "--ioengine=io_uring",
                    "--direct=1", f"--iodepth={depth}", "--overwrite=1", "--time_based",
                    f"--runtime={max(1, round(duration))}", "--output-format=json", *memory,
                    *more], duration + 180)
    return json.loads(out[out.index("{"):])["jobs"][0], memory[0].partition("=")[2]


def disk_rate(case, duration):
    """MB/s of the disk without flushes, 16 writes of 1 MiB in flight, from hugepages."""
    job, memory = fio(case, duration)
    return job["write"]["bw_bytes"] / 1e6, memory


def quantile(buckets, q):
    """Upper bound of the bucket in which the quantile lies; ns."""
    whole = sum(buckets.values())
    below = 0
    for upper in sorted(buckets):
        below += buckets[upper]
        if below >= q * whole:
            return upper
    return 0


def commit_buckets(receiver):
    """All partitions' commit latencies: {upper bound in ns: blocks}."""
    result = {}
    for one in receiver.get("/api/v1/stats"):
        if one["kind"] == "histogram" and one["name"] == "commit_latency_ns":
            for upper, count in one["buckets"]:
                result[upper] = result.get(upper, 0) + count
    return result


class Window:
    """What a receiver did and used between two moments: counters by their differences."""

    def __init__(self, receiver, duration):
        cpu = CpuMeter(millraced=receiver.pid)
        before, begin = receiver.counters(), time.monotonic()
        blocks = commit_buckets(receiver)
        time.sleep(duration)
        after, self.elapsed = receiver.counters(), time.monotonic() - begin
        self.commit = {upper: count - blocks.get(upper, 0)
                       for upper, count in commit_buckets(receiver).items()}
        self.cpu = cpu.read()
        self.delta = {name: after[name] - before.get(name, 0) for name in after}
        self.events = self.delta["partition.rows_durable"]

    @property
    def per_second(self):
        return self.events / self.elapsed

    @property
    def megabytes(self):
        """MB/s written to the log."""
        return self.delta["partition.written_bytes"] / self.elapsed / 1e6

    def cycles(self, name):
        """An event; of what the receiving side does, a packet: in pipeline mode it may take more
        than the ring behind it."""
        packets = name in ("lcore.rx_cycles", "lcore.parse_cycles")
        return self.delta[name] / max(self.delta["lcore.rx_packets"] if packets else self.events, 1)


def warm_up(receiver, timeout=60):
    """Until the log overwrites written segments."""
    until = time.monotonic() + timeout
    while receiver.counters()["partition.segments_recycled"] < RECYCLED:
        if time.monotonic() > until:
            say("  the log did not come round in time: fresh extents are measured, too")
            return
        time.sleep(0.25)


def measure(case, device, cpu, duration, log=None, program=None, env=None, warm=warm_up, **more):
    """A receiver under that load until it is stopped; its window."""
    queues = device.count("rx_pcap=")
    memory = {"mbufs": MBUFS * queues} if queues else {}
    receiver = Millraced(case, device, cpu, log={**LOG, **(log or {})}, memory=memory,
                         program=program, env=env, **more)
    warm(receiver)
    window = Window(receiver, duration)
    receiver.stop()
    return window


def pace(receiver):
    """What bench/pool_pace.c says at the end: packets offered, packets lost, longest wait in ns."""
    for line in receiver.said:
        found = re.match(r"pace: offered (\d+) lost (\d+) late_max_ns (\d+)", line)
        if found:
            return [int(number) for number in found.groups()]
    raise BenchError("the pacer said nothing")


def paced(case, device, cpu, rate, duration, prefix, log, seconds_before, **more):
    """A receiver whose packets come at the pace of a wire, into a queue of PACE_QUEUE; its window,
    and rows of what was offered and lost."""
    memory = {"mbufs": MBUFS} if device.startswith("net_pcap") else {}
    env = {"MILLRACE_BENCH_RATE": str(int(rate)), "MILLRACE_BENCH_QUEUE": str(PACE_QUEUE),
           "MILLRACE_BENCH_WARM_UP": str(seconds_before)}
    receiver = Millraced(case, device, cpu, log={**LOG, **log}, memory=memory, program=POOL,
                         env=env, **more)
    time.sleep(seconds_before + 0.6)  # the pacer begins half a second after the port
    recycled = receiver.counters()["partition.segments_recycled"]
    if recycled < RECYCLED and not more.get("keep"):
        raise BenchError("the log did not come round during the warm-up")
    window = Window(receiver, duration)
    receiver.stop()
    offered, lost, late = pace(receiver)
    case.row(f"{prefix}per_second", window.per_second, "events/s", rate)
    case.row(f"{prefix}offered", offered, "packets")
    case.row(f"{prefix}lost", lost, "packets")
    case.row(f"{prefix}queued_max", late / 1e6, "ms")
    return window


STAGES = [("rx", "lcore.rx_cycles"), ("parse", "lcore.parse_cycles"), ("free", "lcore.free_cycles"),
          ("close", "partition.close_cycles"), ("compress", "partition.compress_cycles"),
          ("crc", "partition.checksum_cycles"), ("submit", "partition.submit_cycles"),
          ("wait", "lcore.wait_cycles")]


def stage_rows(case, window, prefix=""):
    """Cycles an event of each stage. Append is what is left of its stage when the blocks that were
    closed on the way, and the waits, are taken off; other is polling, yields, clocks."""
    used = {name: window.cycles(counter) for name, counter in STAGES}
    inside = sum(used[name] for name in ("close", "compress", "crc", "submit", "wait"))
    used["append"] = max(0.0, window.cycles("lcore.append_cycles") - inside)
    busy = window.cycles("lcore.busy_cycles")
    used["other"] = max(0.0, busy - sum(used.values()))
    for name, value in used.items():
        if value >= 0.05:
            case.row(f"{prefix}cycles_{name}", value, "cycles/event")
    case.row(f"{prefix}cycles_busy", busy, "cycles/event")


def commit_rows(case, window, prefix="", quantiles=(0.5, 0.99)):
    for q in quantiles:
        text = f"{q * 100:g}".replace(".", "_")
        case.row(f"{prefix}commit_p{text}", quantile(window.commit, q) / 1e6, "ms")


def two_cpus():
    """Both CPUs of the machine as millraced wants them."""
    if len(USABLE) < 2:
        raise BenchError("needs two CPUs")
    return f"{USABLE[0]},{USABLE[1]}"
