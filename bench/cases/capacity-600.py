#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""How many events of 600 bytes become durable each second, from a source that is never empty.

The pcap port copies every frame out of a preloaded file. What that costs by itself, and what fio
reaches on the same disk, are measured in the same run.
"""

import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from harness import RXONLY, CpuMeter, Millraced, cpus, main, seconds  # noqa: E402

SIZE = 600
FRAMES = 10000
RUN_ID = "00000600"
TARGET = 1e6
MBUFS = 32767  # the port keeps FRAMES of them for good
FIO_BYTES = "2G"
FIO_DEPTH = 16
WARM_UP = 2.0


def hugepages_free():
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("HugePages_Free:"):
            return int(line.split()[1])
    return 0


def fio(case, duration):
    """Sequential writes over a file that is written already, as over a recycled segment; MB/s."""
    memory = ["--iomem=mmaphuge", "--hugepage-size=2m"] if hugepages_free() > 2 * FIO_DEPTH \
        else ["--iomem=malloc"]
    out = case.run(["fio", "--name=reference", f"--filename={case.dir}/fio.dat",
                    f"--size={FIO_BYTES}", "--rw=write", "--bs=1M", "--ioengine=io_uring",
                    "--direct=1", f"--iodepth={FIO_DEPTH}", "--overwrite=1", "--time_based",
                    f"--runtime={max(1, round(duration))}", "--output-format=json", *memory],
                   duration + 120)
    (case.dir / "fio.dat").unlink()
    write = json.loads(out[out.index("{"):])["jobs"][0]["write"]
    return write["bw_bytes"] / 1e6, memory[0].partition("=")[2]


def tsc_hz():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines():
        if line.startswith("cpu MHz"):
            return float(line.split(":")[1]) * 1e6
    return 0.0


def measure(receiver, duration):
    """Counters and CPU over 'duration', after the start has settled."""
    time.sleep(min(WARM_UP, duration))
    cpu = CpuMeter(millraced=receiver.pid)
    before, begin = receiver.counters(), time.monotonic()
    time.sleep(duration)
    after, elapsed = receiver.counters(), time.monotonic() - begin
    return {name: after[name] - before.get(name, 0) for name in after}, elapsed, cpu.read()


def run(case):
    duration = seconds(20)
    receiver_cpu, _ = cpus()
    capture = case.dir / "events.pcap"
    device = f"net_pcap0,rx_pcap={capture},infinite_rx=1"
    case.send(["--port", f"net_pcap0,tx_pcap={capture}", "--no-huge", "--to",
               f"10.9.0.1:{Millraced.PORT}", "--rate", "max", "--size", str(SIZE), "--count",
               str(FRAMES), "--id", RUN_ID], 60)
    alone = case.run_json([RXONLY, "--cpu", str(receiver_cpu), device, f"{duration / 4:g}"],
                          duration + 60)
    disk, memory = fio(case, duration / 2)

    receiver = Millraced(case, device, receiver_cpu, log={"retain_size": "8GiB"},
                         memory={"mbufs": MBUFS})
    delta, elapsed, cpu = measure(receiver, duration)
    commit = receiver.histogram("commit_latency_ns")
    receiver.stop()
    # Each frame comes again and again, so only what is wrong with an event can be told.
    check = case.seqcheck(["--id", RUN_ID, "--count", str(FRAMES), "--size", str(SIZE),
                           str(receiver.data)])

    events = delta["partition.rows_durable"]
    written = delta["partition.written_bytes"] / elapsed / 1e6
    case.row("durable_per_second", events / elapsed, "events/s", TARGET)
    case.row("disk_written", written, "MB/s", disk)
    case.row(f"disk_fio_{memory}", disk, "MB/s")
    case.row("distinct_in_log", check["found"], "events", FRAMES)
    case.row("damaged", check["damaged"] + check["foreign"] + check["beyond"], "events")
    case.row("log_bytes_per_event", delta["partition.written_bytes"] / max(events, 1), "bytes")
    for name in ("p50", "p99", "max"):
        case.row(f"commit_{name}", commit[name] / 1e6, "ms")
    case.row("cycles_per_event", cpu["millraced"] * tsc_hz() / max(events, 1), "cycles")
    case.row("source_alone_per_second", alone["packets_per_second"], "packets/s")
    case.row("source_alone_cycles", alone["cycles_per_packet"], "cycles/packet")
    case.cpu_rows(cpu, events)


sys.exit(main("capacity-600", run))
