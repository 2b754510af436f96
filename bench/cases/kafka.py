#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""600-byte events from the log into Kafka, in transactions, beside a bare transactional producer of
librdkafka with the same messages: one broker on this machine, nothing compressed.

First what lies in the log, flat out, with no packets coming, so that the CPU is the sink's alone;
then from the NIC, half as much a second, to the committed transaction.
"""

import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import broker  # noqa: E402
from capacity import (MBUFS, NULL_PORT, PACE_QUEUE, POOL, make_capture, pace,  # noqa: E402
                      pcap_port)
from harness import BUILD, CpuMeter, Millraced, cpus, main, say, seconds, stop  # noqa: E402

SIZE = 600
BATCH = 10_000  # events of a transaction
FILL_RATE = 250_000
LOG = {"segment_size": "512MiB", "seal_events": BATCH, "seal_interval": "10s"}
GOAL = 1.3  # CPU of the bare producer
PATIENCE = 300


def sink(topic, **more):
    return [{"name": topic, "kind": "kafka", "topic": topic, "transaction_batches": 1,
             "properties": f'{{bootstrap.servers: "127.0.0.1:{broker.PORT}"}}', **more}]


def fill(case, cpu, events):
    """A log with at least so many events; how many."""
    receiver = Millraced(case, pcap_port(make_capture(case, SIZE)), cpu, log=LOG,
                         memory={"mbufs": MBUFS}, program=POOL,
                         env={"MILLRACE_BENCH_RATE": str(FILL_RATE)})
    broker.wait_for(lambda: receiver.durable() >= events, 120, "the log is filled")
    receiver.stop()


def idle(case, cpu, **more):
    """On the log that is there, with no packets."""
    return Millraced(case, NULL_PORT, cpu, log=LOG, memory={"mbufs": MBUFS}, program=POOL,
                     env={"MILLRACE_BENCH_RATE": "1"}, keep=True, idle_sleep="10ms", **more)


def idle_cpu(case, cpu):
    """CPU seconds a second of a receiver that nothing comes to."""
    receiver = idle(case, cpu)
    meter = CpuMeter(millraced=receiver.pid)
    time.sleep(3)
    used = meter.read()
    receiver.stop()
    return used["millraced"] / used["elapsed"]


def drain(case, cpu, process):
    """Events, seconds, CPU seconds of millraced and broker, until the sink has all."""
    receiver = idle(case, cpu, sinks=sink("drained"))
    broker.wait_for(lambda: receiver.counters()["sink.events"] > 0, 60, "the sink begins")
    before, meter = receiver.counters()["sink.events"], CpuMeter(millraced=receiver.pid,
                                                                broker=process.pid)
    broker.wait_for(lambda: receiver.counters()["sink.lag_batches"] == 0, PATIENCE,
                    "the sink has all")
    used = meter.read()
    counters = receiver.counters()
    receiver.stop()
    events = counters["sink.events"] - before
    say(f"  {events} events, {counters['sink.events'] / counters['sink_kafka.transactions']:.0f} in "
        f"a transaction; {counters['sink.retries']} retries")
    return events, used


def bare(case, events):
    return case.run_json([os.fspath(BUILD / "bench/kafka_transactions"), "--size", str(SIZE),
                          "--batch", str(BATCH), f"127.0.0.1:{broker.PORT}", "bare", str(events)],
                         PATIENCE)


def live(case, cpu, rate, duration):
    receiver = Millraced(case, pcap_port(make_capture(case, SIZE)), cpu, log=LOG,
                         memory={"mbufs": MBUFS}, program=POOL, sinks=sink("live"),
                         env={"MILLRACE_BENCH_RATE": str(int(rate)),
                              "MILLRACE_BENCH_QUEUE": str(PACE_QUEUE)})
    time.sleep(3)
    before, begin = receiver.counters(), time.monotonic()
    time.sleep(duration)
    after, elapsed = receiver.counters(), time.monotonic() - begin
    receiver.stop()
    offered, lost, _ = pace(receiver)
    case.row("from_nic_lost", lost, f"of {offered} packets", 0)
    committed = (after["sink.events"] - before["sink.events"]) / elapsed
    case.row("from_nic_committed", committed, "events/s", rate)
    case.row("from_nic_behind_at_begin", before["sink.lag_events"], "events")
    case.row("from_nic_behind_at_end", after["sink.lag_events"], "events")
    memory, disk = after["sink.memory_blocks"], after["sink.disk_blocks"]
    case.row("from_nic_read_from_memory", memory / max(memory + disk, 1), "of blocks")


def run(case):
    duration = seconds(10)
    cpu, _ = cpus()
    events = int(FILL_RATE * duration)
    process = broker.start(case)
    bare(case, events // 4)  # a Java machine compiles what it has done for a while
    account = bare(case, events)
    case.row("bare_committed", account["events_per_second"], "events/s")
    case.row("bare_cpu", account["cpu_seconds_per_million"], "CPU s/M events")
    fill(case, cpu, events)
    base = idle_cpu(case, cpu)
    events, used = drain(case, cpu, process)
    case.row("sink_committed", events / used["elapsed"], "events/s", account["events_per_second"])
    own = used["millraced"] - base * used["elapsed"]
    case.row("sink_cpu", own * 1e6 / events, "CPU s/M events",
             GOAL * account["cpu_seconds_per_million"])
    case.row("broker_cpu", used["broker"] * 1e6 / events, "CPU s/M events")
    live(case, cpu, events / used["elapsed"] / 2, duration)
    stop(process, 30)


sys.exit(main("kafka", run))
