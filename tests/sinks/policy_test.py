#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# timeout: 240
"""With 'ack: sink' what a sender was told to be acknowledged is in Kafka, or in the files, whatever
becomes of the receiver's disk; nothing is acknowledged while Kafka is away."""

import shutil
import time

import checker
import sinks
from rig import expect, expect_equal, wait_until
from sinks import files_sink, kafka_sink, receiver_of

ROUNDS = 3
SURE = [{**sinks.LISTENER, "ack": "sink"}]


def lose_the_disk(r, net, sink, away, back):
    """Again and again, at moments when the sink is behind as well. What was acknowledged."""
    sent = checker.Sent()
    receiver = receiver_of(r, net, [sink], listeners=SURE)
    receiver.start()
    for number in range(ROUNDS):
        senders = [sinks.Told(r, net, f"{sink['name']}-{number}-{n}") for n in range(3)]
        for sender in senders:
            sender.wait_more(500)
        if number > 0:
            away()
            time.sleep(0.5)  # so much is behind: no condition to wait for
        receiver.kill()
        shutil.rmtree(receiver.data)
        for sender in senders:
            sender.kill()
            sent.add_told(sender.account())
        back()
        receiver.start()
    receiver.stop()
    expect(sent.certain() > 500 * ROUNDS, f"only {sent.certain()} events were acknowledged")
    return sent


def judge(sent, found):
    verdict = checker.compare(sent, found)
    print(verdict, flush=True)
    expect(verdict.good(), str(verdict))


def the_disk_is_lost_and_no_acknowledged_event(r, cluster):
    [broker] = cluster.brokers
    sent = lose_the_disk(r, sinks.net_with(r, cluster), kafka_sink(cluster, "policy"),
                         broker.pause, broker.resume)
    judge(sent, checker.read_kafka(cluster, "policy-"))


def it_is_lost_and_all_is_in_the_files(r, cluster):
    net, archive = sinks.net_with(r, cluster), sinks.SmallDisk(r, "archive", 512)
    sink = files_sink(archive.dir, "policy-files", roll_interval="200ms", roll_size="8MiB")
    sent = lose_the_disk(r, net, sink, archive.fill, archive.empty)
    judge(sent, checker.read_files(archive.dir))


def nothing_is_acknowledged_while_kafka_is_away(r, cluster):
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "away")], listeners=SURE).start()
    sender = sinks.Told(r, net, "away")
    sender.wait_more(500)
    [broker] = cluster.brokers
    broker.pause()
    told = [sender.count()]

    def quiet():
        """A transaction that was under way may have been confirmed."""
        told.append(sender.count())
        return len(told) > 50 and told[-50] == told[-1]

    wait_until(quiet, "no more events were acknowledged", 30)
    wait_until(lambda: int(sinks.lag(receiver)) > 500, "events were durable and not acknowledged", 30)
    expect_equal(sender.count(), told[-1], "acknowledged while Kafka is away")
    # What the log has now is on this disk, which is not what is asked for.
    receiver.kill()
    receiver.start()
    wait_until(lambda: receiver.drops().get("rel_unconfirmed", 0) > 5,
               "the sender asked what is acknowledged", 60)
    expect_equal(sender.count(), told[-1], "acknowledged by a restart while Kafka is away")
    broker.resume()
    sender.wait_more(500)
    sender.stop()
    sinks.wait_delivered(receiver)
    receiver.stop()
    sent.add_told(sender.account())
    sinks.expect_all(sent, checker.read_kafka(cluster, "away-"))


def a_restart_acknowledges_what_the_sink_has(r, cluster):
    """Killed at random; the sender goes on in the same epoch, and all is there once."""
    net, sent = sinks.net_with(r, cluster), checker.Sent()
    receiver = receiver_of(r, net, [kafka_sink(cluster, "again")], listeners=SURE).start()
    sender = sinks.Told(r, net, "again")
    for _ in range(4):
        sender.wait_more(400)
        receiver.kill()
        receiver.start()
    sender.wait_more(400)
    sender.stop()
    receiver.stop()
    sent.add_told(sender.account())
    sinks.expect_all(sent, checker.read_kafka(cluster, "again-"))


sinks.run(the_disk_is_lost_and_no_acknowledged_event, it_is_lost_and_all_is_in_the_files,
          nothing_is_acknowledged_while_kafka_is_away, a_restart_acknowledges_what_the_sink_has)
