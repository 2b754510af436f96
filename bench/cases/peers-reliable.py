#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The same events from one namespace to another with acknowledgements: `millrace send --reliable` to
millraced, rsyslog to rsyslog by RELP, librdkafka to a Kafka broker.

What each one's acknowledgement promises differs, and the unit of its rate says it. The peers may use
all CPUs; millraced and its sender have one each.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import broker  # noqa: E402
from broker import wait_for  # noqa: E402
from harness import (BUILD, BenchError, CpuMeter, Millraced, cpus, ip, main, say,  # noqa: E402
                     seconds, stop)

SIZE = 600
RATE = 20_000  # events/s, for the time to the acknowledgement
SYNCED = ["--rate", "20000"], 0.1  # what rsyslog gets at once to flush one by one, and takes long
RUN_ID = "0000ca5e"
ADDRESS, SENDER = "10.77.0.2", "10.77.0.1"
RELP_PORT = 20514
PATIENCE = 120  # seconds, for what is under way when a sender has no more to send

RELP_SENDER = """\
global(workDirectory="{dir}" maxMessageSize="8k")
module(load="imptcp")
module(load="omrelp")
main_queue(queue.type="FixedArray" queue.size="100000" queue.dequeueBatchSize="1024"
           queue.timeoutEnqueue="600000")
template(name="raw" type="string" string="%rawmsg%")
input(type="imptcp" path="{dir}/in.sock" supportOctetCountedFraming="off")
action(type="omrelp" target="{address}" port="{port}" template="raw" windowSize="{window}"
       action.resumeRetryCount="-1" queue.type="LinkedList" queue.filename="relp"
       queue.size="200000" queue.dequeueBatchSize="1024" queue.maxDiskSpace="8g"
       queue.saveOnShutdown="on" queue.timeoutEnqueue="600000")
"""
RELP_RECEIVER = """\
global(workDirectory="{dir}" maxMessageSize="8k")
module(load="imrelp")
template(name="raw" type="string" string="%rawmsg%\\n")
ruleset(name="keep" queue.type="Disk" queue.filename="kept" queue.maxFileSize="64m"
        queue.dequeueBatchSize="1024" queue.timeoutEnqueue="600000" {sync}) {{
    action(type="omfile" file="{dir}/kept.log" template="raw")
}}
input(type="imrelp" address="{address}" port="{port}" ruleset="keep")
"""

def rows(case, name, means, rate, sent, acknowledged, cpu, reference=None):
    case.row(f"{name}_acknowledged", rate, f"events/s, {means}", reference)
    case.row(f"{name}_acknowledged_share", acknowledged / max(sent, 1), "", 1)
    case.cpu_rows(cpu, sent, f"{name}_")


def latency_rows(case, name, latency):
    for percentile in ("p50", "p99"):
        case.row(f"{name}_ack_{percentile}_at_{RATE}", latency[percentile] / 1e6, "ms")


def ours(case, tx, rx, duration):
    means = "on the device"
    receiver = Millraced(case, "af_xdp:rx0", cpus()[0], netns=rx,
                         port={"addresses": f"[{ADDRESS}/24]"},
                         listeners=[{"name": "sure", "port": Millraced.PORT, "kind": "reliable"}])

    def send(rate):
        return case.send(["--reliable", f"{ADDRESS}:{Millraced.PORT}", "--rate", str(rate),
                          "--size", str(SIZE), "--duration", f"{duration:g}s"],
                         duration + PATIENCE, netns=tx, cpu=cpus()[1])

    meter = CpuMeter(receiver=receiver.pid)
    account = send("max")
    rows(case, "millrace", means, account["events_per_second"], account["sent"],
         account["acknowledged"], {**meter.read(), "sender": case.run_cpu})
    latency_rows(case, "millrace", send(RATE)["ack_latency_ns"])
    receiver.stop()
    return account["events_per_second"]


def rsyslog(case, name, text, **values):
    folder = case.dir / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    conf = folder / "rsyslog.conf"
    conf.write_text(text.format(dir=folder, address=ADDRESS, port=RELP_PORT, **values),
                    encoding="utf-8")
    return folder, ["rsyslogd", "-n", "-f", str(conf), "-i", "NONE"]


def relp(case, tx, rx, name, means, reference, feed, sync="", window=1024):
    """A line counts when it is in the receiver's file: nobody tells when it was acknowledged, which
    is at most the receiver's queue earlier."""
    inbox, argv = rsyslog(case, "relp-in", RELP_RECEIVER, sync=sync)
    receiver = case.start(argv, netns=rx)
    outbox, argv = rsyslog(case, "relp-out", RELP_SENDER, window=window)
    time.sleep(1)
    sender = case.start(argv, netns=tx)
    wait_for((outbox / "in.sock").exists, 10, "rsyslog's socket")
    file = inbox / "kept.log"
    options, duration = feed
    meter = CpuMeter(receiver=receiver.pid, sender=sender.pid)
    account = case.run_json([os.fspath(BUILD / "bench/line_writer"), *options, "--size", str(SIZE), "--id",
                             RUN_ID, str(outbox / "in.sock"), f"{duration:g}"],
                            duration + PATIENCE)
    feeder = case.run_cpu
    wait_for(lambda: file.exists() and file.stat().st_size >= account["sent"] * (SIZE + 1),
             PATIENCE, f"{name}: all lines in the file")
    cpu = {**meter.read(), "feeder": feeder}
    for process in (sender, receiver):
        stop(process, 60)
    check = case.seqcheck(["--id", RUN_ID, "--count", str(account["sent"]), "--size", str(SIZE),
                           "--lines", str(file)])
    rows(case, name, means, account["sent"] / cpu["elapsed"], account["sent"], check["found"], cpu,
         reference)
    case.row(f"{name}_twice", check["twice"], "events")
    say(f"  {name}: the time to an acknowledgement is unknown, RELP has no report of an event")


def kafka(case, tx, rx, duration, name, means, flush, reference):
    process = broker.start(case, ADDRESS, rx, flush)

    def produce(topic, *options):
        return case.run_json([os.fspath(BUILD / "bench/kafka_producer"), *options, "--size",
                              str(SIZE), "--id", RUN_ID, f"{ADDRESS}:{broker.PORT}", topic,
                              f"{duration:g}"], duration + PATIENCE, netns=tx, codes=(0, 1))

    # A Java machine compiles what it has done for a while.
    produce("warm-up")
    meter = CpuMeter(receiver=process.pid)
    account = produce("most")
    rows(case, name, means, account["events_per_second"], account["sent"], account["acknowledged"],
         {**meter.read(), "sender": case.run_cpu}, reference)
    case.row(f"{name}_in_log", account["in_log"], "events", account["acknowledged"])
    latency_rows(case, name, produce("steady", "--rate", str(RATE))["ack_latency_ns"])
    stop(process, 30)


def run(case):
    duration = seconds(8)
    tx, rx, _ = case.namespaces()
    ip("-n", tx, "address", "add", f"{SENDER}/24", "dev", "tx0")
    reference = ours(case, tx, rx, duration)
    # The peers use the kernel's address, and TCP as it is where a NIC computes its checksums.
    ip("-n", rx, "address", "add", f"{ADDRESS}/24", "dev", "rx0")
    subprocess.run(["ip", "netns", "exec", tx, "ethtool", "-K", "tx0", "tx", "on"], check=True,
                   stdout=subprocess.DEVNULL)
    relp(case, tx, rx, "relp", "in a queue in page cache", reference, ([], duration))
    relp(case, tx, rx, "relp_sync", "in a queue on the device", reference, SYNCED,
         'queue.syncQueueFiles="on" queue.checkpointInterval="1"', 128)
    kafka(case, tx, rx, duration, "kafka", "in page cache", "", reference)
    kafka(case, tx, rx, duration, "kafka_flush", "on the device", "log.flush.interval.messages=1",
          reference)


sys.exit(main("peers-reliable", run))
