#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""One sink catches up flat out, at half the load that the receiver takes: MB/s that it reads, and
what becomes of reception. It writes files, once into memory, so that the log's disk is read and not
written by it, and once beside the log.
"""

import pathlib
import shutil
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from capacity import (MBUFS, PACE_QUEUE, POOL, Window, make_capture, measure, pace,  # noqa: E402
                      pcap_port, quantile)
from harness import BenchError, Millraced, cpus, main, say, seconds  # noqa: E402

SIZE = 600
LOG = {"segment_size": "512MiB", "retain_size": 0, "queue_depth": 16}
MEMORY = pathlib.Path("/dev/shm/millrace-bench-catch-up")
LOAD = 0.5
GOAL = 2.0  # commit p99, times that without a sink
WARM_UP = 1


def take_away(stop):
    """What the sink has finished in memory is somebody else's, who has room. Beside the log it
    stays: on a file system mounted with 'discard' to remove a file stops the disk for 20 ms."""
    while not stop.wait(0.1):
        for path in MEMORY.rglob("*.arrow"):
            path.unlink(missing_ok=True)


def paced_run(case, port, cpu, rate, duration, **more):
    env = {"MILLRACE_BENCH_RATE": str(int(rate)), "MILLRACE_BENCH_QUEUE": str(PACE_QUEUE),
           "MILLRACE_BENCH_WARM_UP": str(WARM_UP)}
    receiver = Millraced(case, port, cpu, log=LOG, memory={"mbufs": MBUFS}, program=POOL, env=env,
                         **more)
    time.sleep(WARM_UP + 0.6)
    window = Window(receiver, duration)
    counters = receiver.counters()
    receiver.stop()
    offered, lost, _ = pace(receiver)
    return window, counters, offered, lost


def catch_up(case, name, out, alone, port, cpu, rate, duration):
    """What the log holds before is what the sink, which is new, has not delivered."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    stop = threading.Event()
    taker = threading.Thread(target=take_away, args=(stop,))
    taker.start()
    sinks = [{"name": name, "kind": "files", "path": str(out)}]
    try:
        window, counters, offered, lost = paced_run(case, port, cpu, rate, duration, keep=True,
                                                    sinks=sinks)
    finally:
        stop.set()
        taker.join()
        shutil.rmtree(out, ignore_errors=True)
    if counters["sink.lag_events"] < rate:
        raise BenchError("the sink caught up within the run: nothing was measured")
    say(f"  {counters['sink.lag_events']} events behind at the end; the log waited for a segment "
        f"{window.delta['partition.segment_waits']} times")
    events = window.delta["sink.events"]
    case.row(f"{name}_read", events / window.elapsed, "events/s")
    case.row(f"{name}_read_bytes", events * SIZE / window.elapsed / 1e6, "MB/s of payload")
    case.row(f"{name}_lost", lost, f"of {offered} packets", 0)
    case.row(f"{name}_commit_p99", quantile(window.commit, 0.99) / 1e6, "ms", GOAL * alone)


def run(case):
    duration = seconds(8)
    cpu, _ = cpus()
    port = pcap_port(make_capture(case, SIZE))
    # The log grows, as it does while a sink that holds it is behind: no segment is overwritten.
    most = measure(case, port, cpu, duration / 2, log={"retain_size": 0},
                   warm=lambda _: time.sleep(WARM_UP)).per_second
    rate = LOAD * most
    case.row("capacity_per_second", most, "events/s")
    window, _, offered, lost = paced_run(case, port, cpu, rate, duration)
    alone = quantile(window.commit, 0.99) / 1e6
    case.row("alone_lost", lost, f"of {offered} packets")
    case.row("alone_commit_p99", alone, "ms")
    catch_up(case, "to-memory", MEMORY, alone, port, cpu, rate, duration)
    catch_up(case, "to-own-disk", case.dir / "out", alone, port, cpu, rate, duration)


sys.exit(main("catch-up", run))
