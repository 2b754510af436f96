#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# builds: test asan
# timeout: 240
"""Stops, restarts, a port that vanishes, retention."""

import logread
import rig
from rig import RECEIVER4, PORT, MILLRACE, expect, expect_equal, sh, wait_until


def sigterm_under_load_loses_nothing_that_was_taken(r):
    """All that the card's queue gave is durable after SIGTERM, by the counters it ends with."""
    net = r.net(quiet=True)
    receiver = r.receiver(net, log={"commit_interval": "1s", "seal_interval": "2s"}).start()
    sender = r.popen(net.command("tx", MILLRACE, "--json", "send", f"{RECEIVER4}:{PORT}", "--rate",
                                 30000, "--duration", "20s", "--id", "0badcafe"),
                     stdout=-3, stderr=-3)
    wait_until(lambda: receiver.get("/api/v1/drops")["packets"]["taken"] > 20000,
               "20,000 packets were taken", 30)
    before = receiver.get("/api/v1/drops")["packets"]["taken"]
    receiver.stop()
    sender.kill()
    numbers = logread.sent_numbers(logread.read_all(receiver.data), "0badcafe")
    expect(len(numbers) >= before, f"{len(numbers)} events of {before} taken before SIGTERM")
    expect_equal(numbers, list(range(numbers[0], numbers[0] + len(numbers))),
                 "no gap up to the end")
    expect_equal(sh(MILLRACE, "log", "verify", receiver.data).returncode, 0, "log verify")


def a_restart_goes_on_where_the_log_ended(r):
    net = r.net()
    receiver = r.receiver(net)
    sent, identity = 0, None
    for generation in range(1, 4):
        receiver.start()
        partition = receiver.get("/api/v1/partitions")[0]
        expect_equal(int(partition["next_seq"]), sent, "next seq at start")
        expect_equal(partition["generation"], generation, "generation")
        identity = identity or partition["log_id"]
        expect_equal(partition["log_id"], identity, "log_id")
        sent += net.send_events("--rate", 5000, "--count", 1000)["sent"]
        receiver.wait_durable(sent)
        receiver.stop()
    seqs, payloads = logread.read_partition(receiver.data / "0")
    expect_equal(seqs, list(range(sent)), "seqs over three runs")


def a_port_that_vanishes_is_seen_and_survived(r):
    net = r.net()
    receiver = r.receiver(net).start()
    sent = net.send_events("--rate", 5000, "--count", 500)["sent"]
    receiver.wait_durable(sent)
    net.sh("rx", "ip", "link", "del", "rx0")

    def noticed():
        status = receiver.get("/api/v1/status")
        return status["health"] != "ok" and any("wire" in text for text in status["reasons"])

    wait_until(noticed, "the vanished port was seen", 15)
    expect_equal(receiver.durable(), sent, "durable events")
    expect(receiver.running(), "millraced went with its port")
    receiver.stop()
    expect_equal(len(logread.read_all(receiver.data)), sent, "events in the log")


def retention_by_bytes_removes_the_oldest(r):
    net = r.net()
    receiver = r.receiver(net, log={"segment_size": "16MiB", "block_size": "128KiB",
                                    "retain_size": "40MiB"}).start()
    while not receiver.get("/api/v1/partitions")[0]["log_bytes"] or first_seq(receiver) == 0:
        net.send_events("--rate", 20000, "--count", 20000, "--size", 1400)
        expect(receiver.durable() < 400000, "nothing was retired")
    wait_until(lambda: receiver.get("/api/v1/partitions")[0]["log_bytes"] <= 40 << 20,
               "the log was within its bytes")
    first = first_seq(receiver)
    receiver.at_rest()
    receiver.stop()
    seqs, _ = logread.read_partition(receiver.data / "0")
    expect(seqs[0] >= first > 0, f"log begins with {seqs[0]}, segments with {first}")
    receiver.start()
    expect_equal(int(receiver.get("/api/v1/partitions")[0]["next_seq"]), seqs[-1] + 1, "next seq")
    receiver.stop()


def first_seq(receiver):
    return min(int(p.stem) for p in logread.segments(receiver.data / "0"))


def retention_by_age_removes_the_oldest(r):
    net = r.net()
    receiver = r.receiver(net, log={"segment_size": "16MiB", "block_size": "128KiB",
                                    "retain_age": "1s"}).start()

    def retired():
        net.send_events("--rate", 20000, "--count", 10000, "--size", 1400)
        return first_seq(receiver) > 0

    wait_until(retired, "an old segment was retired", 40)
    receiver.stop()


rig.run(sigterm_under_load_loses_nothing_that_was_taken, a_restart_goes_on_where_the_log_ended,
        a_port_that_vanishes_is_seen_and_survived, retention_by_bytes_removes_the_oldest,
        retention_by_age_removes_the_oldest)
